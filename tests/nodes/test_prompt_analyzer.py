"""The prompt analyzer as a node: what each input changes, and what a connected encoder counts."""

import json

import pytest

from host.hosts import Refused
from nodes.graphs import defaults, node, outputs_of

ANALYZER = "XDEV_PromptAnalyzer"
PROMPT = "a (red:1.2) cat, day, night, {day|night}, A (red:1.4) cat, :)"


def analyzed(client, clip=None, /, **inputs):
    """Report, statistics, words, complexity, tokens, and whether these are within the limit."""
    inputs = {"prompt": PROMPT, **inputs}
    graph = outputs_of(ANALYZER, 6, defaults(client, ANALYZER, **inputs))
    if clip:
        graph |= {"clip": clip}
        graph["node"]["inputs"]["clip"] = ["clip", 0]
    done = client.run(graph)
    report, statistics, words, complexity, tokens, within = (done.text(str(index))[0] for index in range(6))
    return report, json.loads(statistics), int(words), float(complexity), int(tokens), within == "True"


def test_what_there_is_to_say(client):
    report, statistics, words, complexity, tokens, within = analyzed(client)
    assert words == statistics["words"] == 10 and tokens == statistics["clip"]["tokens"] and within
    assert complexity == statistics["complexity"] == pytest.approx(1.0 + 6 * 0.3 + 2 * 0.5 + 0.06)
    assert statistics["conflicts"] == [{"first": "day", "second": "night"}]
    assert [(twice["text"], twice["count"]) for twice in statistics["duplicates"]] == [("a (red:1.2) cat", 2)]
    assert "Conflicts: day and night" in report and '")" has no partner' in report


def test_an_empty_prompt_has_nothing(client):
    _, statistics, words, complexity, tokens, within = analyzed(client, prompt="")
    assert (words, complexity, tokens, within) == (0, 0.0, 0, True) and statistics["phrases"] == 0


def test_levels_tell_more_and_more(client):
    reports = [analyzed(client, analysis_level=level)[0] for level in ("basic", "detailed", "comprehensive")]
    assert ["Conflicts:" in report for report in reports] == [False, True, True]
    assert ["Keywords, colour: red" in report for report in reports] == [False, False, True]


@pytest.mark.parametrize(
    ("name", "line", "key"),
    [
        ("include_weights", "Weights: 2, from 1.2 to 1.4", "weights"),
        ("word_frequency", "Frequent words:", "frequency"),
        ("validate_input", "Problems:", "problems"),
    ],
)
def test_parts_that_can_be_left_out(client, name, line, key):
    report, statistics, *_ = analyzed(client, **{name: True})
    assert line in report and statistics[key]
    report, statistics, *_ = analyzed(client, **{name: False})
    assert line not in report and key not in statistics


def test_the_limit_decides(client):
    tokens = analyzed(client)[4]
    assert analyzed(client, token_limit=tokens)[5] is True
    report, statistics, *_, within = analyzed(client, token_limit=tokens - 1)
    assert within is False and statistics["within_limit"] is False and f"over the limit of {tokens - 1}" in report


def test_the_dialect_says_what_brackets_mean(client):
    prompt = "((b:1.2):1.5) BREAK c"
    comfyui, a1111 = (analyzed(client, prompt=prompt, dialect=name)[1] for name in ("comfyui", "a1111"))
    assert comfyui["weights"]["max"] == 1.2 and a1111["weights"]["max"] == pytest.approx(1.8)
    assert len(comfyui["clip"]["chunks"]) == 1 and len(a1111["clip"]["chunks"]) == 2


def test_a_connected_encoder_counts_with_its_own_tokenizer(client):
    clip = node("ProbeClip", is_there=True)
    report, statistics, words, _, tokens, within = analyzed(client, clip, prompt="one two three four five six", token_limit=5)
    assert statistics["encoders"] == {"l": [4, 2], "g": [4, 2], "t5": [6]}
    assert (words, tokens, within, statistics["within_limit"]) == (6, 6, False, False)
    assert "Connected encoder g: 6 tokens, over the limit of 5, in chunks of 4, 2" in report
    assert analyzed(client, clip, prompt="")[4] == 0


def test_a_checkpoint_without_an_encoder_is_said(client):
    graph = outputs_of(ANALYZER, 1, defaults(client, ANALYZER, prompt="x"))
    graph["clip"] = node("ProbeClip", is_there=False)
    graph["node"]["inputs"]["clip"] = ["clip", 0]
    error = client.run(graph).error
    assert "InvalidInput" in error["exception_type"] and "there is no encoder in it" in error["exception_message"]


def test_a_choice_that_is_none_is_refused(client):
    with pytest.raises(Refused) as refused:
        client.run(outputs_of(ANALYZER, 1, node(ANALYZER, prompt="x", analysis_level="deep")))
    assert "analysis_level" in str(refused.value)


def test_what_it_shows_in_itself(client):
    done = client.run({"node": defaults(client, ANALYZER, prompt="a cat")})
    assert done.output("node")["xdev_llm"][0]["report"].startswith("Words: 2")
