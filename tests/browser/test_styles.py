"""The list of styles in the Style Library: it shows, finds and chooses, and takes nothing in a file for more than text.

Not here: what fits a search best (the engine).
"""

import json
from pathlib import Path

import pytest

HOSTILE = [
    {
        "name": "<img src=x onerror=window.hacked=1>",
        "prompt": "<script>window.hacked=1</script> {prompt}",
        "negative_prompt": "<b>bold</b>",
    }
]


def styles(node):
    """The names in the list, in order."""
    return node.panel.locator(".xdev-llm-style > strong").all_text_contents()


def chosen(node):
    """The name that is marked."""
    return node.panel.locator(".xdev-llm-style[aria-pressed=true] > strong").all_text_contents()


def search(node, words, first):
    """Types words into the field, and waits until a style is the first."""
    node.panel.locator(".xdev-llm-search").fill(words)
    named = node.panel.locator(".xdev-llm-styles > li:first-child strong", has_text=first)
    named.wait_for()


@pytest.fixture
def library(canvas):
    """A Style Library whose list has come."""
    node = canvas.add("XDEV_StyleLibrary", prompt="a lighthouse at dawn")
    node.panel.locator(".xdev-llm-style").first.wait_for()
    return node


def test_all_styles_are_listed_and_the_chosen_one_is_marked(library):
    assert len(styles(library)) >= 48 and chosen(library) == ["Cinematic Still"]
    assert library.value("style") == "Cinematic Still"
    library.choose("style", "Blueprint")
    assert chosen(library) == ["Blueprint"]


def test_words_find_and_a_click_chooses(canvas, library):
    search(library, "watercolor", "Loose Watercolor")
    assert len(styles(library)) < 10
    library.panel.locator("[data-name='Loose Watercolor']").click()
    assert library.value("style") == "Loose Watercolor" and chosen(library) == ["Loose Watercolor"]
    canvas.run()
    library.wait_state("done")
    assert "loose watercolor of a lighthouse at dawn" in library.text("report")
    canvas.look(40, 120)
    canvas.picture("style-library", {"x": 80, "y": 100, "width": 500, "height": 840})


def test_enter_chooses_the_first_and_the_canvas_does_not_hear_it(canvas, library):
    search(library, "oil", "Oil Painting")
    field = library.panel.locator(".xdev-llm-search")
    field.press("Enter")
    assert library.value("style") == "Oil Painting"
    field.press("Delete")
    field.press("Backspace")
    assert canvas.app("app.graph.nodes.length") == 1


def test_what_is_not_there_is_said(canvas, library):
    library.panel.locator(".xdev-llm-search").fill("xylophone")
    library.panel.locator(".xdev-llm-styles .xdev-llm-note").wait_for()
    assert styles(library) == [] and library.value("style") == "Cinematic Still"


def test_the_list_is_not_saved_and_a_saved_style_is_marked(canvas, library):
    library.choose("style", "Mosaic")
    names = [name for name, _ in library.widgets()]
    assert names[-1] == "xdev_llm_panel" and library.saved() == ["a lighthouse at dawn", "Mosaic", "", ""]
    canvas.open(canvas.save())
    node = canvas.node(library.id)
    node.panel.locator("[data-name='Mosaic'][aria-pressed=true]").wait_for()


def test_files_of_strangers_are_text(canvas, host):
    folder = Path(host.folder).parent / "prompt" / "library"
    folder.mkdir(parents=True)
    file = folder / "hostile.json"
    file.write_text(json.dumps(HOSTILE))
    try:
        node = canvas.add("XDEV_StyleLibrary")
        search(node, "onerror", HOSTILE[0]["name"])
        item = node.panel.locator(".xdev-llm-style").first
        assert item.locator("strong").text_content() == HOSTILE[0]["name"]
        assert "<script>" in item.text_content() and "<b>bold</b>" in item.text_content()
        assert node.panel.locator(".xdev-llm-styles :is(img, script, b)").count() == 0
        item.click()
        assert node.value("style") == HOSTILE[0]["name"] in node.values("style")
        assert canvas.do("() => window.hacked") is None
    finally:
        file.unlink()


def test_a_broken_file_is_named_in_the_node(canvas, host):
    folder = Path(host.folder).parent / "prompt" / "library"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "broken.json"
    file.write_text("[{")
    try:
        node = canvas.add("XDEV_StyleLibrary")
        node.panel.locator(".xdev-llm-button").first.click()  # reads the files again
        node.panel.locator(".xdev-llm-note", has_text="broken.json").first.wait_for()
        assert len(styles(node)) >= 48
    finally:
        file.unlink()


def test_the_builders_have_a_panel(canvas):
    style = canvas.add("XDEV_StyleBuilder", (60, 40), prompt="a lighthouse at dawn", style_weight=1.2)
    person = canvas.add("XDEV_PersonBuilder", (560, 40))
    canvas.run()
    for node in (style, person):
        node.wait_state("done")
    assert "a lighthouse at dawn, (" in style.text("report") and "explorer" in person.text("report")
    canvas.look(40, 120)
    canvas.picture("builders", {"x": 80, "y": 100, "width": 1000, "height": 1140})
