"""What ComfyUI is told of the nodes, which saved workflows depend on; and the files beside them.

widgets.json lists the inputs of each node in the order in which workflows save them. It may only grow at the
ends.
"""

import json
from pathlib import Path

import pytest

from host.hosts import request
from nodes.graphs import CHAT, defaults, node

WIDGETS = json.loads((Path(__file__).parent / "widgets.json").read_text())
OUTPUTS = {
    CHAT: ["response", "full_conversation", "server_info", "generation_stats", "reasoning"],
    "XDEV_LLMServer": ["server_url", "status", "models", "healthy"],
    "XDEV_LLMModels": ["models", "details", "auto", "count"],
    "XDEV_LLMSampling": ["sampling", "summary"],
    "XDEV_ChatHistory": ["message_history", "chat", "messages", "tokens"],
    "XDEV_LLMDoctor": ["report", "works"],
    "XDEV_LLMLoad": ["value", "model", "report"],
    "XDEV_LLMUnload": ["value", "report"],
    "XDEV_LLMCompare": ["responses", "table", "chart", "stats"],
    "XDEV_InputDev": ["data", "metadata"],
    "XDEV_OutputDev": [],
    "XDEV_StyleBuilder": ["style_prompt", "style_info", "style_breakdown", "negative_prompt"],
    "XDEV_PersonBuilder": ["person_prompt", "template_info", "trait_summary"],
    "XDEV_StyleLibrary": ["positive", "negative", "style_name"],
    "XDEV_PromptAnalyzer": [
        "analysis_report",
        "statistics",
        "word_count",
        "complexity_score",
        "token_count",
        "within_limit",
    ],
    "XDEV_InputDev": ["data", "metadata"],
    "XDEV_OutputDev": [],
    "XDEV_PromptMatrix": ["matrix_prompts", "combination_info", "combination_list", "prompts"],
    "XDEV_PromptWildcards": ["prompt", "prompts", "info"],
    "XDEV_PromptCombiner": ["combined_prompt", "combination_info", "total_prompts"],
    "XDEV_PromptWeighter": ["weighted_prompt", "operation_info", "weights_modified"],
    "XDEV_PromptCleaner": ["cleaned_prompt", "cleanup_info", "changes_made"],
}


def definitions(client):
    """The pack's entries in /object_info."""
    return {name: entry for name, entry in client.get("/object_info").items() if name.startswith("XDEV_")}


def inputs(entry):
    """All inputs of an entry, with their options."""
    listed = {**entry["input"].get("required", {}), **entry["input"].get("optional", {})}
    return {name: (kind, rest[0] if rest else {}) for name, (kind, *rest) in listed.items()}


def test_the_pack_loads(client):
    log = client.host.log()
    assert "IMPORT FAILED" not in "".join(line for line in log.splitlines() if line.endswith("/xdev-llm"))
    assert set(definitions(client)) == set(OUTPUTS) == set(WIDGETS)


@pytest.mark.parametrize("name", OUTPUTS)
def test_names_that_workflows_keep(client, name):
    entry = definitions(client)[name]
    assert entry["category"].startswith("XDev/") and entry["display_name"].endswith("(XDev)")
    assert entry["output_name"] == OUTPUTS[name] and entry["output_node"] is True
    order = list(inputs(entry))
    assert order[: len(WIDGETS[name])] == WIDGETS[name], "saved workflows would load into the wrong widgets"
    assert len(order) == len(WIDGETS[name]), "a new input: add it to the end of widgets.json"


def test_the_chat_has_what_the_specification_says(client):
    entry = definitions(client)[CHAT]
    assert entry["display_name"] == "LM Studio Chat (XDev)"
    assert list(entry["input"]["required"]) == ["prompt", "server_url", "model", "preset"]
    found = inputs(entry)
    expected = {
        "prompt": ("STRING", {"multiline": True}),
        "server_url": ("STRING", {"default": "http://localhost:1234"}),
        "model": ("STRING", {"default": "auto", "xdev_llm_models": "server_url"}),
        "temperature": ("FLOAT", {"default": 0.7, "min": 0.0, "max": 2.0}),
        "max_tokens": ("INT", {"default": 1024, "min": 1, "max": 8192}),
        "top_p": ("FLOAT", {"default": 0.8, "min": 0.0, "max": 1.0}),
        "stream": ("BOOLEAN", {"default": True}),
        "auto_detect_server": ("BOOLEAN", {"default": True}),
        "timeout": ("INT", {"default": 120, "min": 5, "max": 300}),
        "validate_input": ("BOOLEAN", {"default": True}),
        "seed": ("INT", {"default": 0, "min": 0, "max": 2147483647, "control_after_generate": True}),
    }
    for name, (kind, options) in expected.items():
        assert found[name][0] == kind
        assert {key: found[name][1].get(key) for key in options} == options, name
    kind, options = found["preset"]
    choices = kind if isinstance(kind, list) else options["options"]
    assert (
        choices[:5] == ["creative", "balanced", "focused", "precise", "custom"]
        and options["default"] == "balanced"
    )


def test_every_input_and_output_is_explained(client):
    for name, entry in definitions(client).items():
        assert entry["description"], name
        for field, (_, options) in inputs(entry).items():
            assert len(options.get("tooltip", "")) > 10, f"{name}.{field}"
        assert all(entry["output_tooltips"]), name


def test_both_apis_draw_the_same(world):
    drawn = []
    for kind in ("contract", "contract-v1"):
        found = request(world.host(kind).url + "/object_info")
        entries = {name: entry for name, entry in found.items() if name.startswith("XDEV_")}
        drawn.append(
            {
                name: (
                    {field: plain(given) for field, given in inputs(entry).items()},
                    entry["output"],
                    entry["output_name"],
                    entry["display_name"],
                    entry["description"],
                )
                for name, entry in entries.items()
            }
        )
    assert drawn[0] == drawn[1]


def plain(given):
    """An input in the same form for both APIs."""
    kind, options = given
    # The V3 API writes down what is not so, too.
    options = {
        key: value
        for key, value in options.items()
        if key not in ("options", "multiselect") and (key, value) != ("multiline", False)
    }
    choices = kind if isinstance(kind, list) else given[1].get("options")
    return "COMBO" if choices else kind, choices, options


def test_javascript_is_loaded_once(client):
    found = [path for path in client.get("/extensions") if "xdev" in path.lower()]
    assert found and len(found) == len(set(found))
    assert {path.split("/")[2] for path in found} == {"xdev-llm"}
    for path in found:
        assert text_of(client, path)


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_node_has_a_help_page(client, name):
    page = text_of(client, f"/extensions/xdev-llm/docs/{name}.md")
    assert page.startswith(f"# {definitions(client)[name]['display_name']}\n") and len(page) > 200


def test_translations(client):
    found = client.get("/i18n")
    for language in ("en", "zh"):
        named = found[language]["nodeDefs"]
        for name, entry in definitions(client).items():
            assert named[name]["display_name"]
            assert set(named[name].get("inputs", {})) >= set(inputs(entry)), f"{language} {name}"


def test_example_workflows(client):
    names = client.get("/workflow_templates")["xdev-llm"]
    assert len(names) >= 4
    known = client.get("/object_info")
    for name in names:
        workflow = request(
            client.host.url + f"/api/workflow_templates/xdev-llm/{name}.json".replace(" ", "%20")
        )
        kinds = [
            entry["type"] for entry in workflow["nodes"] if entry["type"] not in ("Note", "MarkdownNote")
        ]
        assert any(kind.startswith("XDEV_") for kind in kinds)
        # PreviewAny and the like are there in every ComfyUI; the contract host has a few of them.
        assert [kind for kind in kinds if kind.startswith("XDEV_") and kind not in known] == []


def text_of(client, path):
    """The text of a file."""
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(client.host.url + path, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_node_runs_as_it_is_first_drawn(client, serve, name):
    """Every widget at its default, but for the address and the prompt, which a user must give."""
    server = serve("--personality", "lmstudio")
    changes = {field: server.url for field in ("server_url", "server") if field in WIDGETS[name]}
    if name in (CHAT, "XDEV_LLMCompare"):
        changes["prompt"] = "Hello"
    if name == "XDEV_LLMCompare":
        server.models([{"id": "one", "loaded": True}, {"id": "two", "loaded": True}])
        changes["models"] = "one\ntwo"
    graph = {"source": node("PrimitiveString", value="Hello")}
    if name == "XDEV_OutputDev":
        changes["input_1"] = ["source", 0]
    run = client.run({**graph, "node": defaults(client, name, **changes)})
    assert run.output("node")["xdev_llm"]
