"""The panel in the node: the answer while it is written, its state, its figures, and what it never does.

Against the mock model server. Not here: dropdowns and presets (test_widgets.py).
"""

import json
import re

import pytest

from conftest import wait_until
from hosts import request

from .canvas import PATIENCE

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
    canvas.until(
        "document.querySelector(given).textContent.length > 10", ".xdev-llm-section > .xdev-llm-text"
    )
    early = node.answer()
    assert not node.server.chats(), "text is shown while the server still writes"
    canvas.picture("streaming")
    node.wait_state("done")
    assert len(node.answer()) > len(early) and node.answer().startswith(early)
    assert "tokens/s" in node.text("figures") and "67 tokens" in node.text("figures")
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


def test_the_cancel_button_stops_the_answer_and_the_server(canvas, chat):
    node = chat("--tokens", "2000", "--token-delay", "50")
    canvas.run()
    node.wait_state("streaming")
    canvas.page.get_by_label("Cancel current run").click()
    node.wait_state("stopped")
    assert node.text("status") == "Stopped."
    assert wait_until(node.server.chats)[0]["client_closed_ms"] is not None
    canvas.picture("stopped")


def test_a_list_has_a_section_for_each_item(canvas, chat):
    texts = canvas.add("Test_Texts", (60, 40), text="one\ntwo\nthree")
    node = chat("--tokens", "20", "--token-delay", "30", position=(520, 40))
    canvas.link(texts, 0, node, "prompt")
    canvas.run()
    node.wait_state("done", 3)
    assert [node.text("title", index) for index in range(3)] == ["1 of 3", "2 of 3", "3 of 3"]
    assert {node.answer(index) for index in range(3)} == {"tok " * 20}
    node.resize(460, 1400)
    canvas.look(-400, 60, 0.8)
    canvas.picture("list")


def test_a_second_run_begins_anew(canvas, chat):
    texts = canvas.add("Test_Texts", (60, 40), text="one\ntwo")
    node = chat("--tokens", "20", "--token-delay", "50", position=(520, 40))
    canvas.link(texts, 0, node, "prompt")
    canvas.run()
    node.wait_state("done", 2)
    texts.choose("text", "only one")
    canvas.run()
    node.wait_state("streaming")
    assert node.panel.locator(".xdev-llm-section").count() == 1, "nothing is left of the first run"
    node.wait_state("done")
    assert node.answer() == "tok " * 20 and node.text("title") == ""


def test_run_pressed_twice_shows_the_second_answer_alone(canvas, chat):
    node = chat("--tokens", "20", "--token-delay", "20")
    canvas.run()
    node.wait_state("streaming")
    canvas.run()
    wait_until(lambda: len(node.server.chats()) == 2)
    node.wait_state("done")
    assert node.answer() == "tok " * 20 and node.panel.locator(".xdev-llm-section").count() == 1


def test_the_memory_that_came_back_is_shown(canvas, chat):
    node = chat("--model", "first-7b", "--load-delay", "700", "--unload-delay", "1500", model="first-7b")
    request(node.server.url + "/mock/models", [{"id": "first-7b", "loaded": False}])
    node.choose("memory", "unload after the last LLM node")
    canvas.run()
    shown = []
    for words in ("Loading the model", "Unloading the model"):
        node.panel.locator(".xdev-llm-status", has_text=words).wait_for(state="attached", timeout=PATIENCE)
        shown.append(node.text("status"))
    assert shown[0].startswith("Loading the model") and node.answer(), "the answer stays while the model goes"
    node.panel.locator(".xdev-llm-note", has_text="unloaded first-7b in").first.wait_for(state="attached", timeout=PATIENCE)
    canvas.picture("unloaded")


def test_an_error_is_shown_in_the_node(canvas, chat):
    node = chat("--fault", "status:500:CUDA out of memory")
    canvas.run()
    node.wait_state("error")
    assert "CUDA out of memory" in node.text("status")
    assert node.panel.locator(".xdev-llm-dot").get_attribute("data-state") == "error"
    canvas.picture("error")
    canvas.page.keyboard.press("Escape")


def test_a_cut_answer_says_why(canvas, chat):
    node = chat("--tokens", "400", max_tokens=20)
    canvas.run()
    node.wait_state("done")
    assert "max_tokens" in node.text("remarks")


# The front end keeps the workflow for a reload a moment after it changed.
KEPT = "Object.values({ ...localStorage, ...sessionStorage }).some((kept) => kept.includes(given))"


def test_answers_come_back_after_a_reload_and_from_the_cache(canvas, chat):
    node = chat("--text", "It scatters.", "--reasoning", "Rayleigh.", seed=7)
    node.choose("control_after_generate", "fixed")
    canvas.run()
    node.wait_state("done")
    canvas.until(KEPT, node.server.url)
    canvas.load()
    canvas.until("app.graph.nodes.length === 1")
    node = canvas.node(node.id)
    node.wait_state("done")
    assert node.answer() == "It scatters." and "Rayleigh." in node.text("reasoning")
    canvas.clear()


def test_a_reload_in_the_middle_of_an_answer(canvas, chat):
    node = chat("--tokens", "100", "--token-delay", "100")
    canvas.run()
    node.wait_state("streaming")
    canvas.until(KEPT, node.server.url)
    canvas.load()
    canvas.until("app.graph.nodes.length === 1")
    node = canvas.node(node.id)
    node.wait_state("streaming")
    assert "before this page was loaded" in node.text("section > .xdev-llm-note", 1)
    # The stream's last message comes a moment before what the node returned.
    node.wait_state("done")
    canvas.until("document.querySelector('.xdev-llm-section > .xdev-llm-text').textContent === given", "tok " * 100)
    assert node.text("section > .xdev-llm-note", 1) == ""
    canvas.clear()


def test_a_cached_run_shows_the_answer_again(canvas, chat):
    node = chat("--text", "It scatters.", temperature=0)
    node.choose("control_after_generate", "fixed")
    canvas.run()
    node.wait_state("done")
    canvas.do("""() => window.comfyAPI.api.api.addEventListener("execution_success",
        () => { window.xdevEnded = true; }, { once: true })""")
    canvas.run()
    canvas.until("window.xdevEnded")
    assert node.answer() == "It scatters." and len(node.server.chats()) == 1


def test_nothing_of_the_answer_is_saved(canvas, chat):
    node = chat("--text", "A secret answer.", "--reasoning", "A secret thought.")
    before = node.saved()
    canvas.run()
    node.wait_state("done")
    workflow = canvas.save()
    assert "secret" not in json.dumps(workflow)
    prompt = canvas.prompt()[str(node.id)]["inputs"]
    assert "xdev_llm_panel" not in prompt and len(before) == len(node.saved()) == len(prompt) + 1
    canvas.open(workflow)
    assert canvas.node(node.id).saved() == workflow["nodes"][0]["widgets_values"]


def test_a_deleted_node_does_not_disturb_the_run(canvas, chat):
    node = chat("--tokens", "30", "--token-delay", "30")
    other = chat("--tokens", "30", "--token-delay", "30", position=(560, 40))
    canvas.run()
    node.wait_state("streaming")
    canvas.app("app.graph.remove(app.graph.getNodeById(given))", node.id)
    other.wait_state("done")
    assert other.answer() == "tok " * 30


def test_another_tab_gets_none_of_it(canvas, chat):
    node = chat("--tokens", "40", "--token-delay", "50")
    canvas.run()
    node.wait_state("streaming")
    canvas.new_tab()
    other = chat("--tokens", "3")
    assert other.id == node.id
    wait_until(node.server.chats)
    assert other.answer() == "" and not other.server.chats()
    canvas.previous_tab()
    canvas.until("app.graph.nodes[0]?.widgets[1].value === given", node.server.url)
    node = canvas.node(node.id)
    node.wait_state("done")
    assert node.answer() == "tok " * 40


def test_a_node_in_a_subgraph_gets_its_answer(canvas, chat):
    node = chat("--tokens", "20", "--token-delay", "20")
    canvas.do(
        """(id) => {
        const app = window.comfyAPI.app.app;
        const { node } = app.graph.convertToSubgraph(new Set([app.graph.getNodeById(id)]));
        app.canvas.setGraph(node.subgraph);
    }""",
        node.id,
    )
    canvas.app(
        "app.canvas.graph.nodes[0].widgets.find((widget) => widget.name === 'xdev_llm_panel')"
        ".element.setAttribute('data-test', 'inner')"
    )
    canvas.run()
    section = canvas.page.locator("[data-test=inner] .xdev-llm-section[data-state=done]")
    section.wait_for(state="attached")
    assert section.locator("> .xdev-llm-text").text_content() == "tok " * 20
    canvas.app("app.canvas.setGraph(app.rootGraph ?? app.graph)")


# Tells the page what the server would: messages of the bridge, in a run of their own.
BEGIN = """() => window.comfyAPI.api.api.dispatchEvent(
    new CustomEvent("execution_start", { detail: { prompt_id: crypto.randomUUID() } }))"""
TELL = """([node, ...messages]) => messages.forEach((message) => window.comfyAPI.api.api.dispatchEvent(
    new CustomEvent("xdev_llm", { detail: { node, ...message } })))"""
STREAM = """async ([node, line, count]) => {
    const { api } = window.comfyAPI.api;
    const tell = (detail) => api.dispatchEvent(new CustomEvent("xdev_llm", { detail: { node, ...detail } }));
    tell({ start: true });
    for (let index = 0; index < count; index++) {
        tell({ text: `Line ${index}${line}` });
        if (index % 10 === 0) await new Promise(requestAnimationFrame);
    }
    tell({ done: { output_tokens: count, warnings: [], notes: [] } });
}"""


def test_a_long_answer_is_whole_and_laid_out_in_blocks(canvas):
    """More than servers write in one go: the messages are those of the bridge, without one."""
    node = canvas.add("XDEV_LMStudioChat")
    line = ": the quick brown fox jumps over the lazy dog, again and again and again, and once more.\n"
    canvas.do(BEGIN)
    canvas.do(STREAM, [str(node.id), line, 1200])
    node.wait_state("done")
    assert (
        node.answer() == "".join(f"Line {index}{line}" for index in range(1200))
        and len(node.answer()) > 100_000
    )
    assert node.panel.locator(".xdev-llm-section > .xdev-llm-text > div").count() > 40


def test_every_state_has_its_line(canvas):
    """What servers do rarely, told as the bridge tells it."""
    node = canvas.add("XDEV_LMStudioChat")
    canvas.do(BEGIN)

    def tell(*messages):
        canvas.do(TELL, [str(node.id), *messages])
        canvas.do("() => new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")

    tell({"start": True, "model": "qwen3-4b", "detected": "Ollama answered instead."})
    assert node.text("status") == "Waiting for the first word" and node.text("model") == "qwen3-4b"
    assert node.text("section > .xdev-llm-note") == "Ollama answered instead."
    tell({"progress": {"phase": "loading_model", "value": 0.4}})
    assert (
        node.text("status") == "Loading the model 40 %" and node.panel.locator(".xdev-llm-bar").is_visible()
    )
    tell({"progress": {"phase": "reading_prompt", "value": None}})
    assert (
        node.text("status") == "Reading the prompt" and not node.panel.locator(".xdev-llm-bar").is_visible()
    )
    tell({"text": "Thus I think"}, {"reclassify": True, "reasoning": " a little.", "text": "So it is."})
    assert (
        node.answer() == "So it is." and node.text("reasoning > .xdev-llm-text") == "Thus I think a little."
    )
    tell(
        {
            "done": {
                "output_tokens": 9,
                "estimated": True,
                "finish_reason": "content_filter",
                "warnings": ["top_k was not sent."],
                "notes": ["Ollama answered instead."],
            },
            "unknown": 1,
        }
    )
    assert node.text("figures") == "≈ 9 tokens"
    remarks = node.panel.locator(".xdev-llm-remarks li").all_text_contents()
    assert remarks == ["ended by: content_filter", "top_k was not sent."]
    assert node.text("status") == ""


def test_reading_up_is_not_disturbed_by_what_arrives(canvas, chat):
    text = "".join(f"Line {number}.\n" for number in range(200))
    node = chat("--text", text, "--token-delay", "10")
    canvas.run()
    node.wait_state("streaming")
    body = node.panel.locator(".xdev-llm-body")
    canvas.until(
        "((body) => body.scrollHeight > body.clientHeight + 200)(document.querySelector(given))",
        ".xdev-llm-body",
    )
    assert body.evaluate("(body) => body.scrollHeight - body.clientHeight - body.scrollTop") < 60, (
        "it follows the text"
    )
    body.hover()
    canvas.page.mouse.wheel(0, -150)
    canvas.page.wait_for_function(
        "(body) => body.scrollHeight - body.clientHeight - body.scrollTop > 60", arg=body.element_handle()
    )
    top = body.evaluate("(body) => body.scrollTop")
    length = len(node.answer())
    canvas.until(
        "document.querySelector('.xdev-llm-section > .xdev-llm-text').textContent.length > given",
        length + 100,
    )
    assert body.evaluate("(body) => body.scrollTop") == top
    assert canvas.app("app.canvas.ds.scale") == 1, "the wheel did not zoom the canvas"
    canvas.do("async () => { await window.comfyAPI.api.api.interrupt(); }")
    node.wait_state("stopped")


def test_copy_gives_the_text_as_it_came(canvas, chat):
    text = "First line.\n\n" + "Second line. " * 400 + "\n\tThird <b>line</b>.\n"
    node = chat("--text", text, max_tokens=8192)
    canvas.run()
    node.wait_state("done")
    node.panel.get_by_label("Copy the answer").click()
    node.panel.get_by_label("Copied").wait_for()
    assert canvas.do("() => navigator.clipboard.readText()") == text


def test_reports_and_chats_of_the_other_nodes(canvas, mock):
    server = mock("--personality", "lmstudio")
    report = canvas.add("XDEV_LLMServer", (60, 40), server=server.url)
    history = canvas.add(
        "XDEV_ChatHistory",
        (560, 40),
        content="And at night?",
        message_history=json.dumps(
            [
                {"role": "system", "content": "You are terse."},
                {"role": "user", "content": "Why is the sky blue?"},
                {"role": "assistant", "content": "Air scatters blue light most."},
            ]
        ),
    )
    doctor = canvas.add("XDEV_LLMDoctor", (60, 520), server_url=server.url)
    preview = canvas.add("PreviewAny", (1040, 40))
    canvas.link(history, 0, preview, "source")
    canvas.run()
    for node in (report, history, doctor):
        node.wait_state("done")
    assert "LM Studio" in node.panel.locator(".xdev-llm-report").inner_text()
    assert history.panel.locator(".xdev-llm-bubble").count() == 4
    assert re.search("assistant.*scatters", history.text("bubble", 2))
    canvas.picture("companions")
