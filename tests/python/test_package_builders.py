"""`xdev_llm.prompt`: styles, persons and the library of styles, and the user's own files for them."""

import json

import pytest

import xdev_llm
from xdev_llm import prompt


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's own folder, empty."""
    monkeypatch.setenv("XDEV_LLM_CONFIG", str(tmp_path / "config.toml"))
    folder = tmp_path / "prompt"
    (folder / "library").mkdir(parents=True)
    return folder


def test_a_style(own):
    built = prompt.style({"primary_style": "cubism", "medium": "ink"}, prompt="a fox", weight=1.3, seed=4)
    assert built["prompt"] == f"a fox, {built['added']}" and ":1.3)" in built["prompt"]
    assert [piece["entry"] for piece in built["pieces"]][:2] == ["cubism", "ink"]
    assert built["seed"] == 4 and built["left_out"] == [] and built["notes"] == []
    assert built == prompt.style({"primary_style": "cubism", "medium": "ink"}, prompt="a fox", weight=1.3, seed=4)


def test_each_keyword_counts(own):
    plain = prompt.style({"primary_style": "cubism"}, prompt="a fox")
    assert prompt.style({"primary_style": "cubism"}, prompt="a fox", position="before")["prompt"].endswith(", a fox")
    assert ", mine" in prompt.style({"primary_style": "cubism"}, custom="mine")["prompt"]
    assert len(prompt.style({"primary_style": "cubism"}, quality=True)["pieces"]) == len(plain["pieces"]) + 3
    assert len(prompt.style(randomize=True)["pieces"]) >= 5 and prompt.style()["pieces"] == []
    assert prompt.style(randomize=True, seed=2**64 - 1)["seed"] == 2**64 - 1


def test_a_person_in_a_prompt(own):
    built = prompt.person({"age": "elderly", "gender": "female"}, prompt="{person} by the sea", position="placeholder")
    assert built["prompt"].startswith("an ") and built["prompt"].endswith(" by the sea")


def test_what_contradicts_is_left_out(own):
    built = prompt.person({"hair_color": "red", "hair_style": "bald"})
    assert [left["entry"] for left in built["left_out"]] == ["bald"]


def test_what_is_wrong_is_raised(own):
    for wrong in ({"medium": "marmalade"}, {"age": "elderly"}):
        with pytest.raises(xdev_llm.InvalidInput):
            prompt.style(wrong)
    with pytest.raises(xdev_llm.InvalidInput):
        prompt.style(weight=float("nan"))
    with pytest.raises(xdev_llm.InvalidInput):
        prompt.person(position="aside")
    with pytest.raises(OverflowError):
        prompt.person(seed=-1)


def test_own_entries_and_own_files(own, tmp_path):
    text = '[[medium]]\nname = "fresco"\nwordings = ["fresco on plaster"]\n'
    assert "fresco" not in prompt.style_categories()["medium"]
    (own / "styles.toml").write_text(text)
    assert "fresco" in prompt.style_categories()["medium"]
    assert "fresco" not in prompt.style_categories(own=False)["medium"]
    other = tmp_path / "other.toml"
    other.write_text(text.replace("fresco", "tapestry"))
    assert "tapestry" in prompt.style({"medium": "tapestry"}, data=[other])["prompt"]
    (own / "styles.toml").write_text("[")
    with pytest.raises(xdev_llm.ConfigError, match="styles.toml"):
        prompt.style()
    assert "elderly" in prompt.person_categories(own=False)["age"]


def test_the_library(own, tmp_path):
    assert prompt.search_styles("oil painting")[0]["name"] == "Oil Painting"
    (own / "library" / "mine.json").write_text(json.dumps([{"name": "Mine", "prompt": "{prompt}, mine"}]))
    assert prompt.apply_style("Mine", "a fox", negative="text") == {
        "name": "Mine",
        "positive": "a fox, mine",
        "negative": "text",
    }
    assert "Mine" not in [style["name"] for style in prompt.search_styles(own=False)]
    (own / "library" / "broken.json").write_text("[")
    assert "broken.json" in prompt.library_notes()[0]
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(xdev_llm.InvalidInput, match="other.json"):
        prompt.search_styles(library=[other])
    with pytest.raises(xdev_llm.InvalidInput, match="Did you mean"):
        prompt.apply_style("Mined")
