"""The widgets: all drawn in their order, models and servers from the mock, presets, what sampling overrides.

Not here: the panel's answers (test_panel.py).
"""

import json

import pytest

from conftest import wait_until

from .front_ends import VERSIONS

# Append-only for ever: saved workflows keep the values by position.
CHAT_WIDGETS = [
    "prompt", "server_url", "model", "preset", "system_prompt", "message_history", "temperature",
    "max_tokens", "top_p", "stream", "auto_detect_server", "timeout", "validate_input", "seed",
    "control_after_generate", "top_k", "min_p", "stop", "reasoning", "on_error", "fallback_text", "run_again",
    "memory",
]  # fmt: skip

MODELS = ["--model", "qwen3-4b", "--model", "llama-3.1-8b", "--model", "text-embedding-nomic"]


@pytest.fixture
def server(mock):
    """A mock LM Studio with three models, one of which does not chat."""
    return mock("--personality", "lmstudio", *MODELS)


def test_every_widget_is_drawn_and_the_panel_is_last(canvas):
    node = canvas.add("XDEV_LMStudioChat")
    assert [name for name, _ in node.widgets()] == [*CHAT_WIDGETS, "xdev_llm_panel"]
    kinds = dict(node.widgets())
    assert kinds["model"] == kinds["preset"] == "combo"
    assert len(node.saved()) == len(CHAT_WIDGETS)
    assert node.panel.is_visible()
    canvas.picture("new-node")


@pytest.mark.parametrize("kind", ["LLMServer", "LLMModels", "LLMSampling", "ChatHistory", "LLMDoctor"])
def test_companions_have_a_panel_that_is_not_saved(canvas, kind):
    node = canvas.add(f"XDEV_{kind}")
    names = [name for name, _ in node.widgets()]
    assert names[-1] == "xdev_llm_panel" and len(node.saved()) == len(names) - 1


def test_the_models_of_the_server_are_listed(canvas, mock):
    server = mock("--personality", "lmstudio")
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url)
    node.wait_values("model", "qwen3-4b")
    offered = node.values("model")
    assert offered[:3] == ["auto", "swift", "qwen3-4b"], "aliases, then what is loaded"
    assert not [model for model in offered if "embed" in model], "it cannot chat"
    assert node.value("model") == "auto" and node.text("model").startswith("auto →")
    assert "LM Studio" in node.text("server") and server.url.removeprefix("http://") in node.text("server")


def test_a_saved_model_that_is_not_listed_is_kept(canvas, server):
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url, temperature=0.35, fallback_text="Later.")
    node.wait_values("model", "qwen3-4b")
    workflow = canvas.save()
    values = workflow["nodes"][0]["widgets_values"]
    values[CHAT_WIDGETS.index("model")] = "gone-13b.gguf"
    for _ in range(2):
        canvas.open(workflow)
        node = canvas.node(node.id)
        node.wait_values("model", "qwen3-4b")
        assert node.value("model") == "gone-13b.gguf" and "gone-13b.gguf" in node.values("model")
        assert node.saved() == values
        workflow = canvas.save()
    assert canvas.prompt()[str(node.id)]["inputs"]["model"] == "gone-13b.gguf"
    canvas.until("document.querySelector(given).textContent.includes('not in this server')", ".xdev-llm-note")
    canvas.app("app.refreshComboInNodes()")
    assert node.value("model") == "gone-13b.gguf" and "qwen3-4b" in node.values("model")


def test_another_server_has_other_models(canvas, server, mock):
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url)
    node.wait_values("model", "qwen3-4b")
    other = mock("--personality", "ollama", "--model", "phi4:14b")
    node.choose("server_url", other.url)
    node.wait_values("model", "phi4:14b")
    assert "qwen3-4b" not in node.values("model") and node.value("model") == "auto"
    assert "Ollama" in node.text("server")


def test_a_server_that_is_off_is_said_in_words(canvas, mock):
    server = mock("--personality", "lmstudio", *MODELS)
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url, model="qwen3-4b")
    node.wait_values("model", "llama-3.1-8b")
    server.child.kill()
    server.child.wait()
    node.panel.get_by_label("Ask the server for its models again").click()
    canvas.until("document.querySelector(given).textContent.length > 20", ".xdev-llm-problem")
    assert server.url.removeprefix("http://") in node.text("problem")
    assert node.value("model") == "qwen3-4b"
    canvas.picture("unreachable")


def test_an_alias_says_where_it_goes(canvas):
    node = canvas.add("XDEV_LMStudioChat", server_url="http://127.0.0.1:2")
    node.wait_values("model", "swift")
    node.choose("model", "swift")
    canvas.until("document.querySelector(given).textContent.includes('big (http://127.0.0.1:1) →')", ".xdev-llm-note")
    assert node.text("problem") == "", "that one of its servers is off is what an alias is for"


def test_a_model_can_be_typed(canvas, server):
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url)
    node.wait_values("model", "qwen3-4b")
    node.choose("model", "Another …")
    assert node.value("model") == "auto"
    dialog = canvas.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("my-finetune")
    canvas.page.keyboard.press("Enter")
    node.wait_values("model", "my-finetune")
    assert node.value("model") == "my-finetune"


def test_the_model_can_still_be_linked(canvas, server):
    models = canvas.add("XDEV_LLMModels", server_url=server.url)
    node = canvas.add("XDEV_LMStudioChat", (560, 40), server_url=server.url, prompt="Hi")
    canvas.link(models, 2, node, "model")
    assert canvas.prompt()[str(node.id)]["inputs"]["model"] == [str(models.id), 2]
    canvas.run()
    node.wait_state("done")


def test_a_linked_server_is_asked_too(canvas, server):
    source = canvas.add("XDEV_LLMServer", server=server.url)
    node = canvas.add("XDEV_LMStudioChat", (560, 40))
    canvas.link(source, 0, node, "server_url")
    node.wait_values("model", "llama-3.1-8b")


def test_a_preset_fills_in_its_numbers(canvas):
    node = canvas.add("XDEV_LMStudioChat")
    node.choose("preset", "precise")
    assert [node.value(name) for name in ("temperature", "top_p", "max_tokens")] == [0.1, 0.5, 256]
    node.choose("temperature", 0.2)
    node.choose("preset", "custom")
    assert [node.value(name) for name in ("temperature", "top_p", "max_tokens")] == [0.2, 0.5, 256]
    node.choose("preset", "creative")
    assert [node.value(name) for name in ("temperature", "top_p", "max_tokens")] == [0.9, 0.9, 2048]


def test_loading_keeps_numbers_that_are_not_the_presets(canvas):
    node = canvas.add("XDEV_LMStudioChat")
    node.choose("preset", "precise")
    node.choose("temperature", 1.3)
    workflow = canvas.save()
    canvas.clear()
    canvas.open(workflow)
    node = canvas.node(node.id)
    assert [node.value(name) for name in ("preset", "temperature", "max_tokens")] == ["precise", 1.3, 256]


def test_sampling_disables_what_it_overrides(canvas):
    sampling = canvas.add("XDEV_LLMSampling")
    node = canvas.add("XDEV_LMStudioChat", (560, 40))
    canvas.link(sampling, 0, node, "sampling")
    names = ["preset", "temperature", "max_tokens", "top_p", "top_k", "min_p"]
    assert all(node.is_disabled(name) for name in names)
    assert not any(node.is_disabled(name) for name in ("prompt", "model", "seed", "timeout", "stop"))
    canvas.picture("sampling")
    workflow = canvas.save()
    canvas.open(workflow)
    assert canvas.node(node.id).is_disabled("temperature")
    canvas.app("app.graph.getNodeById(given).disconnectInput(0)", node.id)
    assert not any(canvas.node(node.id).is_disabled(name) for name in names)


def test_the_server_can_be_chosen_or_typed(canvas, host):
    node = canvas.add("XDEV_LLMServer", server="http://127.0.0.1:9")
    select = node.panel.get_by_role("combobox")
    select.locator("option", has_text="http://127.0.0.1:9").wait_for(state="attached")
    assert select.input_value() == "http://127.0.0.1:9"
    select.select_option("")
    assert node.value("server") == "" and node.saved() == [""]
    node.choose("server", "studio")
    assert select.input_value() == "studio"


def test_the_page_says_hello_and_again_after_a_break(canvas):
    canvas.do("() => { window.comfyAPI.api.api.dispatchEvent(new CustomEvent('reconnected')); }")
    hello = wait_until(lambda: [url for url in canvas.requests if url.endswith("/xdev_llm/hello")])
    assert len(hello) == 1


@pytest.mark.parametrize("host", VERSIONS[1:], indirect=True)
def test_the_side_panel_leaves_the_panel_in_the_node(canvas):
    node = canvas.add("XDEV_LMStudioChat", (400, 120), prompt="Why?")
    canvas.app("app.canvas.selectNode(app.graph.getNodeById(given))", node.id)
    canvas.page.get_by_test_id("info-button").click()
    canvas.page.get_by_text("Parameters", exact=True).click()
    canvas.page.get_by_text("fallback_text").last.wait_for()
    assert canvas.page.get_by_text("xdev_llm_panel").count() == 0
    canvas.picture("side-panel")
    in_node = node.panel.locator("xpath=ancestor::*[contains(@class, 'dom-widget')]")
    assert node.panel.is_visible() and in_node.count() == 1


@pytest.mark.parametrize("host", VERSIONS[1:], indirect=True)
def test_the_vue_nodes_show_the_same(canvas, mock):
    """The mode of newer front ends that draws nodes in HTML."""
    server = mock(
        "--personality", "lmstudio", "--text", "Blue light scatters most.", "--reasoning", "Hm.", *MODELS
    )
    canvas.set("Comfy.VueNodes.Enabled", True)
    try:
        node = canvas.add("XDEV_LMStudioChat", server_url=server.url, prompt="Why?")
        canvas.look(40, 60, 0.8)
        node.wait_values("model", "qwen3-4b")
        canvas.page.get_by_role("combobox", name="model").click()
        canvas.page.get_by_role("option", name="llama-3.1-8b").click()
        assert node.value("model") == "llama-3.1-8b"
        canvas.page.get_by_role("combobox", name="preset").click()
        canvas.page.get_by_role("option", name="precise").click()
        assert node.value("max_tokens") == 256
        canvas.run()
        node.wait_state("done")
        box = node.panel.bounding_box()
        assert box["height"] > 150 and node.answer() == "Blue light scatters most."
        assert node.panel.get_by_text("Blue light scatters most.").is_visible()
        assert len(node.saved()) == len(CHAT_WIDGETS)
        canvas.picture("vue-nodes")
        sampling = canvas.add("XDEV_LLMSampling", (560, 40))
        canvas.link(sampling, 0, node, "sampling")
        canvas.picture("vue-sampling")
    finally:
        canvas.set("Comfy.VueNodes.Enabled", False)


def test_the_help_page_opens(canvas):
    node = canvas.add("XDEV_LMStudioChat", (400, 120))
    canvas.app("app.canvas.selectNode(app.graph.getNodeById(given))", node.id)
    canvas.page.get_by_test_id("info-button").click()
    helped = wait_until(lambda: [url for url in canvas.requests if "/docs/XDEV_LMStudioChat" in url])
    assert "/extensions/xdev_llm/docs/" in helped[0]
    canvas.page.get_by_role("heading", name="LM Studio Chat").first.wait_for()
    canvas.picture("help")


@pytest.fixture
def setting(canvas):
    """A function that changes settings for this test and reloads the page."""
    before = {}

    def change(name, value):
        before.setdefault(name, canvas.app("app.extensionManager.setting.get(given)", name))
        canvas.set(name, value)
        canvas.load()
        canvas.clear()

    yield change
    for name, value in before.items():
        canvas.set(name, value)
    canvas.load()


def test_the_panel_speaks_chinese(canvas, setting, server):
    setting("Comfy.Locale", "zh")
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url, prompt="你好")
    assert node.text("hint") == "点击“运行”，结果将显示在这里。"
    canvas.run()
    node.wait_state("done")
    assert "词元" in node.text("figures")
    canvas.picture("chinese")


def test_the_light_theme_is_readable(canvas, setting, mock):
    setting("Comfy.ColorPalette", "light")
    server = mock("--personality", "lmstudio", "--text", "Blue light scatters most.", "--reasoning", "Hm.")
    node = canvas.add("XDEV_LMStudioChat", server_url=server.url, prompt="Why is the sky blue?")
    canvas.add(
        "XDEV_ChatHistory",
        (560, 40),
        content="And at night?",
        message_history=json.dumps(
            [
                {"role": "user", "content": "Why is the sky blue?"},
                {"role": "assistant", "content": "Scattering."},
            ]
        ),
    )
    canvas.run()
    node.wait_state("done")
    colours = node.panel.evaluate(
        "(panel) => [getComputedStyle(panel).color, getComputedStyle(panel).backgroundColor]"
    )
    text, ground = (sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) for colour in colours)
    assert ground - text > 300, f"dark on light: {colours}"
    canvas.picture("light")
