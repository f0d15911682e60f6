"""LLM Compare in the front ends: a heading for each model, its answer while it is written, its figures, its failure.

Not here: what is asked and what comes out (tests/nodes).
"""

import pytest

NAMES = ["qwen3-8b", "llama-3.1-8b-instruct", "<b>gemma</b>-3-4b"]


@pytest.fixture
def compare(canvas, mock):
    """A function that adds a comparison which asks a mock server with these flags."""

    def add(*flags, personality="llama.cpp", models=NAMES, position=(60, 20), **values):
        server = mock("--personality", personality, *flags)
        values = {"prompt": "Why is the sky blue?", "server_url": server.url, "models": "\n".join(models), **values}
        node = canvas.add("XDEV_LLMCompare", position, **values)
        node.server = server
        node.resize(480, 1150)
        return node

    return add


def states(node):
    """The state of each section."""
    return [section.get_attribute("data-state") for section in node.panel.locator(".xdev-llm-section").all()]


def test_one_after_another(canvas, compare):
    node = compare("--tokens", "40", "--token-delay", "40")
    canvas.run()
    node.wait_state("streaming")
    assert [node.text("title", index) for index in range(3)] == NAMES
    assert states(node) == ["streaming", "waiting", "waiting"]
    sections = node.panel.locator(".xdev-llm-section")
    assert [sections.nth(index).is_visible() for index in range(3)] == [True, False, False]
    canvas.picture("compare-streaming")
    node.wait_state("done", 3)
    assert {node.answer(index) for index in range(3)} == {"tok " * 40}
    for index in range(3):
        assert "tokens/s" in node.text("figures", index) and "40 tokens" in node.text("figures", index)
    assert [node.text("title", index) for index in range(3)] == NAMES
    assert node.panel.locator("h4 b").count() == 0, "a name is text"
    assert node.text("model") == "" and node.server.url.removeprefix("http://") in node.text("server")
    canvas.picture("compare")


def test_side_by_side(canvas, compare):
    node = compare("--tokens", "40", "--token-delay", "60", parallel=True)
    canvas.run()
    node.wait_state("streaming", 3)
    canvas.picture("compare-side-by-side")
    node.wait_state("done", 3)


def test_a_failure_stands_beside_the_answers(canvas, compare):
    node = compare(
        "--tokens", "20", "--model", "gemma", personality="ollama", models=["gemma", "nothing-such"],
        on_error="leave out",
    )  # fmt: skip
    canvas.run()
    node.wait_state("done")
    node.wait_state("error")
    assert states(node) == ["done", "error"]
    assert node.text("title", 1) == "nothing-such" and "nothing-such" in node.text("status", 1)
    assert node.answer(0) == "tok " * 20
    canvas.picture("compare-failure")


def test_cancel(canvas, compare):
    node = compare("--tokens", "2000", "--token-delay", "50")
    canvas.run()
    node.wait_state("streaming")
    canvas.page.get_by_label("Cancel current run").click()
    node.wait_state("stopped", 3)


def test_a_list_of_prompts(canvas, compare):
    texts = canvas.add("Test_Texts", (60, 40), text="one\ntwo")
    node = compare("--tokens", "10", "--token-delay", "20", models=NAMES[:2], position=(520, 20))
    canvas.link(texts, 0, node, "prompt")
    canvas.run()
    node.wait_state("done", 4)
    assert [node.text("title", index) for index in range(4)] == NAMES[:2] * 2
    texts.choose("text", "only one")
    canvas.run()
    canvas.until("document.querySelectorAll('.xdev-llm-section').length === 2")
    node.wait_state("done", 2)
