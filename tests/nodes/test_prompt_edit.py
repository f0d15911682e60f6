"""The nodes that change prompts: what each input does, and how they go together with others.

Not here: how prompts are read and written (the engine's own tests).
"""

import json

import pytest

from host.hosts import Refused
from nodes.graphs import chat, defaults, node, outputs_of

COMBINER, WEIGHTER, CLEANER = "XDEV_PromptCombiner", "XDEV_PromptWeighter", "XDEV_PromptCleaner"


def run(client, kind, /, **inputs):
    """The three outputs of a node, as text."""
    done = client.run(outputs_of(kind, 3, defaults(client, kind, **inputs)))
    return [done.text(str(index))[0] if done.text(str(index)) else "" for index in range(3)]


@pytest.mark.parametrize("kind", [COMBINER, WEIGHTER, CLEANER])
def test_each_runs_as_it_is_first_shown(client, kind):
    done = client.run({"node": defaults(client, kind)})
    (shown,) = done.output("node")["xdev_llm"]
    assert shown["report"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, "a, b, c, d"),
        ({"prompt_2": "", "mode": "weighted_merge", "weight_2": 3.0, "weight_3": 1.2}, "a, (c:1.2), d"),
        ({"mode": "weighted_merge", "weight_1": 1.1, "weight_4": 0.5}, "(a:1.1), b, c, (d:0.5)"),
        ({"prompt_1": "a1, a2", "mode": "alternating"}, "a1, b, c, d, a2"),
        ({"prompt_4": "d, a", "mode": "priority_merge", "weight_3": 2.0, "weight_2": 1.5}, "c, b, d, a"),
        ({"separator": "space"}, "a b c d"),
        ({"separator": "newline"}, "a\nb\nc\nd"),
        ({"separator": "pipe"}, "a | b | c | d"),
        ({"separator": "semicolon"}, "a; b; c; d"),
        ({"separator": "custom", "custom_separator": " and "}, "a and b and c and d"),
        ({"prompt_3": "(c:1.5)", "mode": "weighted_merge", "weight_3": 2.0}, "a, b, (c:3), d"),
        (
            {"prompt_3": "[c]", "mode": "weighted_merge", "weight_3": 2.0, "dialect": "a1111"},
            "a, b, (c:1.8182), d",
        ),
    ],
)
def test_combiner(client, inputs, expected):
    text, info, count = run(
        client, COMBINER, **{"prompt_1": "a", "prompt_2": "b", "prompt_3": "c", "prompt_4": "d", **inputs}
    )
    assert text == expected
    assert count == ("3" if inputs.get("prompt_2") == "" else "4") and info.startswith(f"{count} prompts")


def test_combiner_says_what_it_left_out(client):
    info = run(client, COMBINER, prompt_1="a, b", prompt_2="b, c", mode="priority_merge", weight_2=2.0)[1]
    assert info == "2 prompts (2, 1), 1 repeated phrases left out"


@pytest.mark.parametrize(
    ("inputs", "expected", "changed"),
    [
        ({"weight_value": 1.3}, "(a (red:1.56) hat:1.3)", "2"),
        ({"operation": "add_deemphasis", "weight_value": 0.8}, "(a (red:0.96) hat:0.8)", "2"),
        ({"operation": "multiply_existing", "multiplier": 0.5}, "a (red:0.6) hat", "1"),
        ({"operation": "remove_weights"}, "a red hat", "1"),
        ({"operation": "normalize_weights", "weight_value": 1.5}, "a (red:1.5) hat", "1"),
        ({"target_text": "HAT", "weight_value": 1.4}, "a (red:1.2) (hat:1.4)", "1"),
        ({"target_text": "ha"}, "a (red:1.2) hat", "0"),
        ({"target_text": "red", "weight_value": 1.5, "dialect": "a1111"}, "a (red:1.8) hat", "1"),
    ],
)
def test_weighter(client, inputs, expected, changed):
    text, info, count = run(client, WEIGHTER, prompt="a (red:1.2) hat", **inputs)
    assert (text, count) == (expected, changed)
    assert info.startswith(f"{inputs.get('operation', 'add_emphasis')}: {changed} weights changed")


def test_weighter_normalises_by_the_mean_or_the_largest(client):
    inputs = {"prompt": "(a:1.2), (b:1.6)", "operation": "normalize_weights", "weight_value": 0.8}
    assert run(client, WEIGHTER, **inputs)[0] == "(a:0.6857), (b:0.9143)"
    assert run(client, WEIGHTER, **inputs, normalize_by="maximum")[0] == "(a:0.6), (b:0.8)"


def test_weighter_counts_in_the_web_uis_dialect(client):
    inputs = {"prompt": "[a]", "operation": "remove_weights"}
    assert run(client, WEIGHTER, **inputs)[0] == "[a]"
    assert run(client, WEIGHTER, **inputs, dialect="a1111")[0] == "a"


OFF = {
    "remove_duplicates": False,
    "fix_spacing": False,
    "fix_punctuation": False,
    "remove_empty_weights": False,
    "strip_model_talk": False,
    "encoder_safe": "none",
}
MESSY = '"b ,A, (a), (), , c :) (d:1.2)"'


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, MESSY),
        ({"remove_duplicates": True, "prompt": "b ,a,A"}, "b ,a"),
        ({"fix_spacing": True}, '"b, A, (a), (),, c :) (d:1.2)"'),
        ({"fix_punctuation": True}, '"b ,A, (a), (), c :) (d:1.2)"'),
        ({"remove_empty_weights": True}, '"b ,A, (a), , c :) (d:1.2)"'),
        ({"strip_model_talk": True}, MESSY.strip('"')),
        ({"encoder_safe": "escape"}, '"b ,A, \\(a\\), \\(\\), , c :\\) (d:1.2)"'),
        ({"encoder_safe": "keep"}, '"b ,A, (a), (), , c :\\) (d:1.2)"'),
        ({"encoder_safe": "escape", "dialect": "a1111", "prompt": "[a]"}, "\\[a\\]"),
        ({"encoder_safe": "escape", "prompt": "[a]"}, "[a]"),
        ({"case_normalize": "title", "prompt": "a <lora:x:1> CAT"}, "A <lora:x:1> Cat"),
        ({"case_normalize": "lower", "prompt": "A CAT"}, "a cat"),
        ({"case_normalize": "sentence", "prompt": "a CAT"}, "A cat"),
        ({"sort_alphabetically": True, "prompt": "b, a"}, "a, b"),
        ({"max_length": 10, "prompt": "a cat, a dog"}, "a cat"),
    ],
)
def test_cleaner(client, inputs, expected):
    text, info, count = run(client, CLEANER, **{"prompt": MESSY, **OFF, **inputs})
    assert text == expected
    assert (int(count) > 0) == (info != "nothing to clean") == (text != inputs.get("prompt", MESSY))


@pytest.mark.parametrize("text", ["a (red) cat", "snakebite \\(piercing\\)", "a cat :)", "(a, b:1.2)"])
def test_cleaner_leaves_what_it_does_not_understand(client, text):
    assert run(client, CLEANER, prompt=text) == [text, "nothing to clean", "0"]


def test_the_answer_of_a_chat_is_cleaned(client, server):
    answer = "Sure! Here is your prompt:\n\n```\nA fox ,in snow,, a fox\n```\n\nLet me know if you like it!"
    server.script(text=answer)
    graph = {
        **chat(server),
        "clean": node(CLEANER, prompt=["chat", 0]),
        "seen": node("PreviewAny", source=["clean", 0]),
    }
    assert client.run(graph).text("seen") == ["A fox, in snow"]


def test_they_go_one_after_another(client):
    graph = {
        "combine": node(COMBINER, prompt_1="a ,b", prompt_2=""),
        "clean": node(CLEANER, prompt=["combine", 0]),
        "weigh": node(WEIGHTER, prompt=["clean", 0], operation="add_emphasis", weight_value=1.2),
        "seen": node("PreviewAny", source=["weigh", 0]),
    }
    assert client.run(graph).text("seen") == ["(a, b:1.2)"]


def test_each_item_of_a_list_is_changed(client):
    graph = {
        "matrix": defaults(
            client, "XDEV_PromptMatrix", matrix_prompt="red | blue", combination_mode="cartesian"
        ),
        "combine": node(COMBINER, prompt_1="a ,cat", prompt_2=["matrix", 3]),
        "clean": node(CLEANER, prompt=["combine", 0]),
        "weigh": node(WEIGHTER, prompt=["clean", 0], operation="add_emphasis", weight_value=1.2),
        "seen": node("PreviewAny", source=["weigh", 0]),
    }
    assert client.run(graph).text("seen") == ["(a, cat, red:1.2)", "(a, cat, blue:1.2)"]


@pytest.mark.parametrize(
    ("kind", "inputs", "words"),
    [
        (COMBINER, {"mode": "mix"}, ["mode", "mix"]),
        (COMBINER, {"weight_2": 9.0}, ["weight_2", "5"]),
        (WEIGHTER, {"operation": "double"}, ["operation", "double"]),
        (WEIGHTER, {"weight_value": 0.0, "multiplier": 7.0}, ["weight_value", "multiplier"]),
        (CLEANER, {"max_length": 5, "case_normalize": "upper"}, ["max_length", "case_normalize"]),
        (CLEANER, {"encoder_safe": "yes", "dialect": "sd"}, ["encoder_safe", "dialect"]),
    ],
)
def test_bad_fields_are_named(client, kind, inputs, words):
    with pytest.raises(Refused) as caught:
        client.queue({"node": defaults(client, kind, **inputs)})
    said = json.dumps(caught.value.answer)
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [(COMBINER, {"mode": "mix"}), (WEIGHTER, {"operation": "double"}), (CLEANER, {"encoder_safe": "yes"})],
)
def test_without_validate_input_the_run_says_it(client, kind, inputs):
    done = client.run({"node": defaults(client, kind, validate_input=False, **inputs)})
    assert "InvalidInput" in done.error["exception_type"]


def test_a_weight_that_is_not_finite_is_said(client):
    done = client.run({"node": defaults(client, WEIGHTER, prompt="(a:nan)")})
    assert "InvalidInput" in done.error["exception_type"] and "nan" in done.error["exception_message"]
