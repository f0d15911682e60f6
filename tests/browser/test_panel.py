"""The panel in the node: the answer while it is written, its state, its figures, and what it never does.

Against the mock model server. Not here: dropdowns and presets (test_widgets.py).
"""

import pytest

from .canvas import PATIENCE, as_text

EVIL = 'Before <img src=x onerror="window.xdevPwned=1"><script>window.xdevPwned=2</script> <b>after</b>'


@pytest.fixture
def chat(canvas, mock):
    """A function that adds a chat node which asks a mock server with these flags."""

    def add(*flags, position=(60, 40), **values):
        server = mock("--personality", "lmstudio", *flags)
        values = {"prompt": "Why is the sky blue?", "server_url": server.url, **values}
        node = canvas.add("XDEV_LMStudioChat", position, **values)
        node.server = server
        return node

    return add


def test_the_text_grows_before_the_answer_ends(canvas, chat):
    node = chat("--tokens", "60", "--token-delay", "60", "--reasoning", "Let me think of the light.")
    canvas.run()
    node.wait_state("streaming")
    canvas.until("document.querySelector(given).textContent.length > 10", ".xdev-llm-section > .xdev-llm-text")
    early = node.answer()
    assert not node.server.chats(), "text is shown while the server still writes"
    canvas.picture("streaming")
    node.wait_state("done")
    assert len(node.answer()) > len(early) and node.answer().startswith(early)
    assert "tokens/s" in node.text("figures") and "60 tokens" in node.text("figures")
    assert node.panel.locator("details").get_attribute("open") is None
    assert "Let me think of the light." in node.text("reasoning > .xdev-llm-text")
    canvas.picture("answer")


def test_what_a_model_writes_stays_text(canvas, chat):
    node = chat("--text", EVIL, "--reasoning", EVIL)
    preview = canvas.add("PreviewAny", (620, 40))
    canvas.link(node, 0, preview, "source")
    canvas.run()
    node.wait_state("done")
    assert node.answer() == EVIL
    assert node.panel.locator("img, script, b").count() == 0
    node.panel.locator("summary").click()
    canvas.until("app.graph.getNodeById(given).widgets[0].value.includes('after')", preview.id)
    canvas.picture("html")
    assert canvas.do("() => window.xdevPwned") is None


def test_cancel_stops_the_answer_and_the_server(canvas, chat):
    node = chat("--tokens", "2000", "--token-delay", "50")
    canvas.run()
    node.wait_state("streaming")
    canvas.do("async () => { await window.comfyAPI.api.api.interrupt(); }")
    node.wait_state("stopped")
    assert node.text("status") == "Stopped."
    canvas.picture("stopped")
    canvas.page.wait_for_timeout(0)
    from conftest import wait_until

    assert wait_until(node.server.chats)[0]["client_closed_ms"] is not None
