"""`xdev_llm.prompt`: prompts that are combined, weighed and cleaned from Python.

Not here: what comes of which text (the engine's own tests).
"""

import pytest

import xdev_llm
from xdev_llm import prompt


def test_combine():
    result = prompt.combine(["a", "", "b"], weights=[1.2, 3.0], mode="weighted_merge", separator="pipe")
    assert result == {"text": "(a:1.2) | b", "prompts": 2, "order": [1, 3], "duplicates": 0}
    assert prompt.combine(["a", "b"], separator="custom", custom_separator="<>")["text"] == "a<>b"
    assert prompt.combine([])["text"] == ""


def test_weight():
    assert prompt.weight("a cat", value=1.2) == {"text": "(a cat:1.2)", "changed": 1, "found": None}
    assert prompt.weight("a cat", value=1.2, target="CAT") == {"text": "a (cat:1.2)", "changed": 1, "found": 1}
    assert prompt.weight("(a:1.5)", "normalize_weights", value=0.9, by="maximum")["text"] == "(a:0.9)"
    assert prompt.weight("[a]", "remove_weights", dialect="a1111")["text"] == "a"


def test_clean():
    result = prompt.clean("Here is a prompt: a ,b,, A")
    assert result["text"] == "a, b" and result["changed"] == sum(step["count"] for step in result["changes"])
    messy = " a ,b,, A, ()"
    kept = prompt.clean(
        messy,
        strip_model_talk=False,
        remove_duplicates=False,
        fix_spacing=False,
        fix_punctuation=False,
        remove_empty_weights=False,
        encoder_safe="none",
    )
    assert kept == {"text": messy, "changed": 0, "changes": []}
    assert prompt.clean("b, a", case="title", sort_alphabetically=True, max_length=3)["text"] == "A"


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda: prompt.combine(["a"], weights=[1, 2]), "2 weights"),
        (lambda: prompt.combine(["a"], weights=[float("nan")]), "prompt 1"),
        (lambda: prompt.combine(["a"], mode="mix"), "mix"),
        (lambda: prompt.combine(["a"], separator="dot"), "dot"),
        (lambda: prompt.weight("a", "double"), "double"),
        (lambda: prompt.weight("(a:2)", "normalize_weights", by="sum"), "sum"),
        (lambda: prompt.weight("a", value=float("inf")), "finite"),
        (lambda: prompt.clean("a", case="upper"), "upper"),
        (lambda: prompt.clean("a", encoder_safe="yes"), "yes"),
        (lambda: prompt.clean("a", dialect="sd"), "sd"),
    ],
)
def test_what_is_wrong_is_said(ask, word):
    with pytest.raises(xdev_llm.InvalidInput, match=word):
        ask()
