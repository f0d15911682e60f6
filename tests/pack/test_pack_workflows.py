"""The example workflows: they hold the specified examples, and what a front end queues is what nodes take.

Not here: running them (they need a ComfyUI), and how they look.
"""

import pytest

from pack.workflows import CORE, NOTES, read_workflows

PRESETS = {
    "creative": {"temperature": 0.9, "top_p": 0.9, "max_tokens": 2048},
    "balanced": {"temperature": 0.7, "top_p": 0.8, "max_tokens": 1024},
    "focused": {"temperature": 0.3, "top_p": 0.7, "max_tokens": 512},
    "precise": {"temperature": 0.1, "top_p": 0.5, "max_tokens": 256},
    "custom": {},
}
CHOICES_OF_THE_ENGINE = {"preset": list(PRESETS)}
EXAMPLES = {
    "1-simple-chat": {
        "prompt": "Explain quantum computing in simple terms",
        "server_url": "http://localhost:1234",
        "model": "llama-3.1-8b",
        "preset": "balanced",
    },
    "2-creative-writing": {
        "prompt": "Write a short story about a time-traveling cat",
        "system_prompt": "You are a creative writer specializing in whimsical fantasy stories",
        "preset": "creative",
        "temperature": 0.9,
        "max_tokens": 2048,
    },
    "3-technical-analysis": {
        "prompt": "Review this code for potential security issues: [code here]",
        "system_prompt": "You are a senior security engineer. Provide detailed analysis.",
        "preset": "focused",
        "temperature": 0.2,
        "max_tokens": 1024,
    },
    "4-conversation-context": {
        "prompt": "What do you think about that solution?",
        "message_history": '[{"role":"user","content":"How do I solve this math problem?"},'
        '{"role":"assistant","content":"Here\'s the step-by-step solution..."}]',
        "preset": "balanced",
    },
}
CHAINS = {
    "5-two-chats-in-a-row": [
        ("XDEV_LMStudioChat", "full_conversation", "XDEV_LMStudioChat", "message_history"),
        ("XDEV_LMStudioChat", "full_conversation", "XDEV_ChatHistory", "message_history"),
    ],
    "6-server-chat-doctor": [
        ("XDEV_LLMServer", "server_url", "XDEV_LMStudioChat", "server_url"),
        ("XDEV_LLMServer", "server_url", "XDEV_LLMDoctor", "server_url"),
    ],
    # The specified patterns of use.
    "7-input-chat-output": [
        ("XDEV_InputDev", "data", "XDEV_LMStudioChat", "prompt"),
        ("XDEV_LMStudioChat", "response", "XDEV_OutputDev", "input_1"),
    ],
    "8-combine-chat-analyze": [
        ("XDEV_PromptCombiner", "combined_prompt", "XDEV_LMStudioChat", "prompt"),
        ("XDEV_LMStudioChat", "response", "XDEV_PromptAnalyzer", "prompt"),
        ("XDEV_PromptAnalyzer", "analysis_report", "XDEV_OutputDev", "input_2"),
    ],
    "9-matrix-chat-clean-style": [
        ("XDEV_PromptMatrix", "prompts", "XDEV_LMStudioChat", "prompt"),
        ("XDEV_LMStudioChat", "response", "XDEV_PromptCleaner", "prompt"),
        ("XDEV_PromptCleaner", "cleaned_prompt", "XDEV_StyleBuilder", "prompt"),
    ],
    "10-person-chat-weight": [
        ("XDEV_PersonBuilder", "person_prompt", "XDEV_LMStudioChat", "system_prompt"),
        ("XDEV_LMStudioChat", "response", "XDEV_PromptWeighter", "prompt"),
        ("XDEV_PromptWeighter", "weighted_prompt", "XDEV_OutputDev", "input_2"),
    ],
    "11-fan-out": [
        ("XDEV_PromptMatrix", "prompts", "XDEV_LMStudioChat", "prompt"),
        ("XDEV_LMStudioChat", "response", "XDEV_OutputDev", "input_1"),
    ],
    "12-chat-unload-sample": [
        ("XDEV_LMStudioChat", "response", "CLIPTextEncode", "text"),
        ("CLIPTextEncode", "CONDITIONING", "KSampler", "positive"),
        ("VAEDecode", "IMAGE", "PreviewImage", "images"),
    ],
    "13-compare-models": [
        ("XDEV_LLMCompare", "chart", "PreviewImage", "images"),
        ("XDEV_LLMCompare", "table", "PreviewAny", "source"),
        ("XDEV_LLMCompare", "responses", "XDEV_OutputDev", "input_1"),
    ],
}


@pytest.fixture(scope="session")
def workflows(root, nodes):
    """Every example workflow by its name."""
    return read_workflows(root, nodes)


def is_fine(given, value):
    """Whether a widget takes a value."""
    choices = given["choices"] or CHOICES_OF_THE_ENGINE.get(given["name"])
    if given["kind"] == "COMBO":
        # What only the running engine knows is refused when it is run.
        return choices is None or value in choices
    kinds = {"STRING": (str,), "INT": (int,), "FLOAT": (int, float), "BOOLEAN": (bool,)}[given["kind"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and given["kind"] != "BOOLEAN"):
        return False
    options = given["options"]
    return options.get("min", value) <= value <= options.get("max", value)


def test_the_examples_are_there_and_no_other(workflows):
    assert set(workflows) == set(EXAMPLES) | set(CHAINS)


def test_values_are_those_of_the_specification(workflows, nodes):
    defaults = {given["name"]: given["default"] for given in nodes["XDEV_LMStudioChat"]["inputs"]}
    for name, wanted in EXAMPLES.items():
        queued = workflows[name].api().values()
        (chat,) = [node for node in queued if node["class_type"] == "XDEV_LMStudioChat"]
        # What the example leaves open is what a new node with this preset shows.
        expected = {**defaults, **PRESETS[wanted["preset"]], **wanted}
        del expected["sampling"]
        assert chat["inputs"] == expected, name


def test_chains_are_linked(workflows):
    for name, chains in CHAINS.items():
        queued = workflows[name].api()
        linked = [
            (*workflows[name].output_name(value), node["class_type"], input_name)
            for node in queued.values()
            for input_name, value in node["inputs"].items()
            if isinstance(value, list)
        ]
        assert set(chains) <= set(linked), name


def test_everything_queued_is_known_and_in_range(workflows, nodes):
    for name, workflow in workflows.items():
        for node in workflow.api().values():
            kind = node["class_type"]
            known = {given["name"]: given for given in {**nodes, **CORE}[kind]["inputs"]}
            assert set(node["inputs"]) <= set(known), name
            needed = {given["name"] for given in known.values() if not given["optional"]}
            assert needed <= set(node["inputs"]), name
            for field, value in node["inputs"].items():
                assert isinstance(value, list) or is_fine(known[field], value), (name, kind, field, value)


def test_links_fit_both_ends(workflows, nodes):
    known = {**nodes, **CORE}
    for name, workflow in workflows.items():
        by_id = {node["id"]: node for node in workflow.graph["nodes"]}
        for link, origin, slot, target, place, kind in workflow.graph["links"]:
            assert link in by_id[origin]["outputs"][slot]["links"], name
            assert by_id[target]["inputs"][place]["link"] == link, name
            assert known[by_id[origin]["type"]]["outputs"][slot]["kind"] == kind, name
            assert "*" in (kind, taken := by_id[target]["inputs"][place]["type"]) or kind == taken, name
        count = sum(given["link"] is not None for node in by_id.values() for given in node["inputs"])
        assert count == len(workflow.graph["links"]), name


PRESETS_OF_PATTERNS = {
    "7-input-chat-output": "balanced",
    "8-combine-chat-analyze": "balanced",
    "9-matrix-chat-clean-style": "creative",
    "10-person-chat-weight": "focused",
    "11-fan-out": "creative",
}


@pytest.mark.parametrize("name", PRESETS_OF_PATTERNS)
def test_the_patterns_have_the_specified_presets(workflows, name):
    (chat,) = [node for node in workflows[name].api().values() if node["class_type"] == "XDEV_LMStudioChat"]
    preset = PRESETS_OF_PATTERNS[name]
    assert chat["inputs"]["preset"] == preset
    assert {field: chat["inputs"][field] for field in ("temperature", "top_p")} == {
        field: PRESETS[preset][field] for field in ("temperature", "top_p")
    }


def test_the_memory_goes_to_the_sampler(workflows):
    queued = workflows["12-chat-unload-sample"].api().values()
    (chat,) = [node for node in queued if node["class_type"] == "XDEV_LMStudioChat"]
    assert chat["inputs"]["memory"] == "unload after the last LLM node"


def test_each_says_what_to_press(workflows):
    for name, workflow in workflows.items():
        notes = [node["widgets_values"][0] for node in workflow.graph["nodes"] if node["type"] in NOTES]
        assert notes and "**Run**" in notes[0], name


def test_each_has_a_small_picture(root, workflows):
    pictures = {path.stem: path.stat().st_size for path in (root / "example_workflows").glob("*.jpg")}
    assert set(pictures) == set(workflows)
    assert max(pictures.values()) < 40_000
