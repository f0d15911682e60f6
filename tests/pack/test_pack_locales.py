"""The nodes' texts in English and Chinese: the first follows from the code, the second has the same keys.

Not here: help pages.
"""

import json

import pytest


def texts(value, path=""):
    """Every text of a nested dict by its path."""
    if isinstance(value, str):
        return {path: value}
    found = {}
    for key, inner in value.items():
        found.update(texts(inner, f"{path}/{key}"))
    return found


def read(root, language, name="nodeDefs"):
    """A file of locales as paths and texts."""
    return texts(json.loads((root / "locales" / language / f"{name}.json").read_text(encoding="utf-8")))


def is_chinese(text):
    """Whether a text has a Chinese character."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_english_follows_from_the_code(root, english):
    on_disk = (root / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8")
    assert on_disk == english, "run scripts/locales"


def test_chinese_has_every_key_of_english_and_nothing_else(root):
    english, chinese = read(root, "en"), read(root, "zh")
    assert sorted(english.keys() - chinese.keys()) == [], "not translated"
    assert sorted(chinese.keys() - english.keys()) == [], "of a node or an input that is gone"


def test_chinese_is_chinese(root):
    # ComfyUI's own Chinese keeps these two as they are.
    kept = {"top_p", "top_k"}
    texts_in_chinese = read(root, "zh").items()
    assert [path for path, text in texts_in_chinese if not is_chinese(text) and text not in kept] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_texts_are_free_of_the_front_ends_message_format(root, language):
    """Front end 1.27 compiles even tooltips as messages of vue-i18n, where these have a meaning: a brace in a
    tooltip ends in an error."""
    garbled = {path: text for path, text in read(root, language).items() if set(text) & set("{}|@")}
    assert garbled == {}


def test_translated_categories_are_ours(root, nodes):
    ours = {part for node in nodes.values() for part in node["category"].split("/")}
    translated = read(root, "zh", "main")
    assert {path.removeprefix("/nodeCategories/") for path in translated} <= ours
