"""InputDev and OutputDev in the front ends: text, trees that fold, pictures with histograms, differences.

What a picture is drawn from needs PyTorch in ComfyUI; elsewhere it is what a real ComfyUI sent (inspection_image.json).
Not here: what is said of values (tests/nodes).
"""

import json
from pathlib import Path

import pytest

from conftest import wait_until

RECORDED = Path(__file__).parent / "inspection_image.json"
INPUT, OUTPUT = "XDEV_InputDev", "XDEV_OutputDev"
MARKUP = "Before <img src=x onerror='window.xdevPwned=1'><script>window.xdevPwned=2</script> after"


@pytest.fixture
def looked_at(canvas):
    """A function that puts an InputDev for each value before an OutputDev, and runs them."""

    def look(*values, height=560, **widgets):
        shown = canvas.add(OUTPUT, (520, 40), **widgets)
        shown.resize(560, height)
        for index, value in enumerate(values):
            source = canvas.add(INPUT, (40, 40 + 480 * index), **value)
            canvas.link(source, 0, shown, f"input_{index + 1}")
        canvas.run()
        shown.wait_state("done")
        shown.panel.locator(".xdev-llm-value").first.wait_for()
        return shown

    return look


def typed(kind, value):
    """The widgets of an InputDev with a value of one's own."""
    return {"output_type": kind, "custom_value": value}


def send(canvas, node, inspection):
    """Shows an inspection as if a run of the node had sent it."""
    canvas.do(
        "([node, output]) => window.comfyAPI.api.api.dispatchEvent(new CustomEvent('executed',"
        " { detail: { node, display_node: node, prompt_id: 'recorded', output } }))",
        [str(node.id), {"xdev_llm": [{"inspection": inspection}]}],
    )
    node.panel.locator(".xdev-llm-value").first.wait_for()


def test_text_is_text(canvas, looked_at):
    shown = looked_at(typed("STRING", MARKUP))
    assert shown.text("report") == MARKUP
    assert shown.text("key") == "input_1" and "text, " in shown.text("value")
    assert canvas.do("() => window.xdevPwned") is None
    assert not shown.panel.locator("img").count()
    canvas.picture("output-dev-text")


def test_json_is_a_tree_that_folds(canvas, looked_at):
    content = {
        "prompt": "a red fox in a forest",
        "settings": {"steps": 24, "cfg": 6.5, "tiled": False, "vae": None},
        "long list": list(range(40)),
        "<b>markup</b>": ["<i>" * 3],
    }
    shown = looked_at(typed("JSON", json.dumps(content)))
    tree = shown.panel.locator(".xdev-llm-tree")
    assert tree.locator(".xdev-llm-leaf").all_text_contents()[:3] == ["a red fox in a forest", "24", "6.5"]
    folded = tree.locator("details:not([open])")
    assert folded.count() == 1 and "list (40)" in folded.text_content()
    assert tree.get_by_text("39", exact=True).count() == 0, "what is folded is not made"
    folded.locator("summary").click()
    tree.locator(".xdev-llm-leaf").get_by_text("39", exact=True).wait_for()
    assert not tree.locator("b, i").count()
    canvas.picture("output-dev-json")
    tree.locator("summary").nth(1).click()
    assert not tree.get_by_text("6.5", exact=True).is_visible()


def test_words_and_lines_that_differ_stand_out(canvas, looked_at):
    shown = looked_at(
        typed("STRING", "a red fox in a pine forest, soft morning light, film grain"),
        typed("STRING", "a blue fox in a forest, soft evening light, film grain, 4k"),
        typed("JSON", '{"steps": 20}'),
        compare_inputs=True,
        height=760,
    )
    gone = shown.panel.locator("del").all_text_contents()
    assert gone[0] == "red" and "pine" in gone[1] and gone[2] == "morning"
    assert shown.panel.locator("ins").first.text_content() == "blue"
    assert shown.panel.locator(".xdev-llm-mark").all_text_contents() == ["≠", "≠", "≠"]
    canvas.picture("output-dev-words")


def test_lines_of_json_that_differ_stand_out(canvas, looked_at):
    one = {"prompt": "a fox", "steps": 20, "seeds": list(range(12)), "sampler": "euler"}
    other = {**one, "steps": 30, "scheduler": "karras"}
    shown = looked_at(typed("JSON", json.dumps(one)), typed("JSON", json.dumps(other)), compare_inputs=True, height=760)
    parts = shown.panel.locator(".xdev-llm-diff > div")
    found = [(part.get_attribute("data-kind"), part.text_content()) for part in parts.all()]
    assert ("gone", '-   "steps": 20') in found and ("new", '+   "steps": 30') in found
    assert any(kind == "skipped" for kind, _ in found)
    canvas.picture("output-dev-lines")


def test_a_picture_has_a_histogram(canvas, looked_at, host):
    if host.kind == "real":
        shown = looked_at(
            {"output_type": "IMAGE", "seed": 4, "quality_factor": 0.9}, {"output_type": "LATENT"}, height=900
        )
    else:
        shown = canvas.add(OUTPUT, (520, 40))
        shown.resize(560, 900)
        send(canvas, shown, json.loads(RECORDED.read_text()))
    picture = shown.panel.locator("img").first
    canvas.until("document.querySelector(given)?.naturalWidth === 160", ".xdev-llm-picture")
    assert picture.get_attribute("src").startswith("data:image/jpeg;base64,")
    paths = shown.panel.locator(".xdev-llm-histogram").first.locator("path")
    assert [path.get_attribute("data-channel") for path in paths.all()] == ["red", "green", "blue"]
    assert len({path.get_attribute("d") for path in paths.all()}) == 3
    assert shown.panel.locator(".xdev-llm-histogram").nth(1).locator("path").count() == 1
    facts = shown.text("facts")
    assert "shape [1, 256, 256, 3]" in facts and "type float32" in facts and "NaN 0" in facts
    canvas.picture("output-dev-image")


def test_a_picture_comes_from_data_only(canvas):
    shown = canvas.add(OUTPUT, (520, 40))
    value = {"name": "input_1", "headline": "image", "pictures": ["https://example.org/a.jpg", "javascript:1"]}
    send(canvas, shown, {"summary": "", "values": [value], "compared": [], "saved": []})
    assert not shown.panel.locator("img").count()


def test_the_panel_of_data_is_told_again_after_a_reload_of_the_graph(canvas, looked_at):
    shown = looked_at(typed("STRING", "kept"))
    workflow = canvas.save()
    assert "kept" not in json.dumps([node["widgets_values"] for node in workflow["nodes"] if node["type"] == OUTPUT])
    canvas.open(workflow)
    again = canvas.node(shown.id)
    wait_until(lambda: again.text("report") == "kept")


def test_the_copy_button_gives_all_as_text(canvas, looked_at):
    shown = looked_at(typed("INT", "42"), typed("INT", "43"), compare_inputs=True)
    shown.panel.get_by_label("Copy the answer").click()
    shown.panel.get_by_label("Copied").wait_for()
    text = canvas.do("() => navigator.clipboard.readText()")
    assert "input_1: whole number 42" in text and "the difference is 1" in text


def test_the_source_says_what_it_made(canvas):
    source = canvas.add(INPUT, (60, 40), output_type="DICT", size_parameter=3)
    canvas.run()
    source.wait_state("done")
    assert json.loads(source.text("report"))["value"] == "dict of 3 items"
    canvas.picture("input-dev")
