"""Templates, the matrix and wildcards in Python: what each argument does, and what is refused."""

import itertools
import re

import pytest
import xdev_llm
from conftest import ROOT
from xdev_llm import prompt


def test_all_prompts_in_turn():
    assert prompt.expand("a {red|blue} {cat|dog}") == ["a red cat", "a red dog", "a blue cat", "a blue dog"]
    assert prompt.expand("{a|b}" * 40, limit=2) == ["a" * 40, "a" * 39 + "b"]
    words = [[f"w{place}_{option}" for option in range(3)] for place in range(4)]
    template = " ".join("{" + "|".join(options) + "}" for options in words)
    assert prompt.expand(template) == [" ".join(each) for each in itertools.product(*words)]


def test_drawn_prompts():
    template = "{0::never|1::a|1::b} {1|2|3}"
    drawn = prompt.expand(template, seed=5, limit=20)
    assert drawn == prompt.expand(template, seed=5, limit=20) != prompt.expand(template, seed=6, limit=20)
    assert len(drawn) == 20 and set(drawn) <= set(prompt.expand("{a|b} {1|2|3}"))
    assert prompt.expand(template, seed=5) == drawn[:1]


def test_one_after_another():
    prompts = prompt.iterate("{a|b}" * 40)
    assert prompts.left == 2**40 and next(prompts) == "a" * 40 and prompts.left == 2**40 - 1
    assert list(prompt.iterate("{a|b}" * 40, start=2**40 - 2)) == ["b" * 39 + "a", "b" * 40]
    assert list(prompt.iterate("{a|é}", start=7)) == []
    assert prompt.iterate("{a|b|c}" * 1000).left == 2**128 - 1


def test_matrix():
    assert prompt.matrix("a | b | c", mode="pairwise") == ["a, b", "a, c", "b, c"]
    assert prompt.matrix("a|b", base="x", separator=" + ") == ["x + a", "x + b", "x + a + b"]
    assert prompt.matrix("a|b\nc|d", mode="cartesian", limit=3) == ["a, c", "a, d", "b, c"]
    mixed = prompt.matrix("a|b|c|d", shuffle=True, seed=3)
    assert sorted(mixed) == sorted(prompt.matrix("a|b|c|d")) != mixed
    assert mixed != prompt.matrix("a|b|c|d", shuffle=True, seed=4)
    assert prompt.matrix_size("|".join("abcdefghijklmnopqrstuvwxyz" * 2)) == (2**52 - 1, 52)


def test_wildcards(tmp_path):
    (tmp_path / "color.txt").write_text("red\nblue\n")
    folders = [tmp_path]
    assert prompt.wildcards("a __color__", folders=folders, count=9, combinatorial=True) == ["a red", "a blue"]
    assert len(prompt.wildcards("a __color__", folders=folders, count=9)) == 9
    known = prompt.Wildcards([str(tmp_path), tmp_path / "none"])
    assert known.names() == ["color"] and len(known.problems()) == 1
    assert prompt.expand("__color__", wildcards=known, limit=1) == ["red"]
    assert list(prompt.iterate("__c*__", wildcards=known)) == ["red", "blue"]
    before = known.fingerprint()
    (tmp_path / "other.txt").write_text("x")
    assert prompt.Wildcards([tmp_path]).fingerprint() != before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: prompt.expand("{a|b}" * 40), "give a limit"),
        (lambda: prompt.expand("${x}"), "has no value"),
        (lambda: prompt.matrix(" | "), "no parts"),
        (lambda: prompt.matrix("a", mode="all"), "all_combinations, incremental"),
        (lambda: prompt.wildcards("__x__", folders=["/no/such"]), "There is no wildcard __x__"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(xdev_llm.InvalidInput, match=words):
        call()


def test_the_page_about_prompts_shows_what_works(capsys):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "prompts.md").read_text(), re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.splitlines() == ["a c", "a d", "b c", "b d"]
    [line, shown] = re.search(r"prompt\.(parse\(.*?\)) +# (\[.*\])", code).groups()
    assert eval(f"prompt.{line}", {"prompt": prompt}) == eval(shown)
