"""The pictures of the documentation, at twice the size: docs/node.png and docs/prompts.png are copies of them."""

import json
from pathlib import Path

import pytest

from nodes.servers import path_server

from .canvas import Canvas
from .front_ends import VERSIONS

ANSWER = (
    "Sunlight holds every colour. On its way through the air, light is scattered by molecules that are far "
    "smaller than its waves, and short waves are scattered most: blue about five times as much as red.\n\n"
    "So blue light reaches your eye from all over the sky, and the rest comes straight from the sun:\n\n"
    "1. At noon the path through the air is short, and the sun looks white.\n"
    "2. At sunset it is long. Most of the blue is gone by then, and what is left is red.\n"
)
REASONING = (
    "They ask for a short explanation. Rayleigh scattering: intensity goes with the inverse fourth power. "
    * 3
)
PROMPT = "Answer in a few sentences and a short list."
QUESTION = "Why is the sky blue, and the sunset red?"
HISTORY = [
    {"role": "system", "content": "You explain things simply."},
    {"role": "user", "content": "What is light made of?"},
    {"role": "assistant", "content": "Of waves of many lengths, which you see as colours."},
    {"role": "user", "content": "And what does the air do to them?"},
    {"role": "assistant", "content": "It lets most of them pass, and scatters a few of them to all sides."},
]


@pytest.mark.parametrize("host", VERSIONS[-1:], indirect=True)
def test_the_picture_of_the_docs(browser, host, mock):
    pace = ["--first-token-delay", "240", "--token-delay", "15"]
    server = mock("--personality", "lmstudio", "--text", ANSWER, "--reasoning", REASONING, *pace)
    context = browser.new_context(viewport={"width": 1300, "height": 1500}, device_scale_factor=2)
    canvas = Canvas(context.new_page(), host)
    history = canvas.add(
        "XDEV_ChatHistory", (100, 100), message_history=json.dumps(HISTORY), content=QUESTION
    )
    chat = canvas.add("XDEV_LMStudioChat", (600, 100), prompt=PROMPT, server_url=server.url)
    chat.choose("preset", "focused")
    history.resize(440, 1160)
    chat.resize(540, 1160)
    canvas.link(history, 0, chat, "message_history")
    canvas.run()
    for node in (history, chat):
        node.wait_state("done")
    assert chat.answer() == ANSWER
    chat.panel.locator(".xdev-llm-body").evaluate("(body) => { body.scrollTop = 0; }")
    canvas.look(0, 90)
    canvas.do("() => new Promise((done) => setTimeout(done, 500))")
    canvas.picture("node", {"x": 76, "y": 134, "width": 1088, "height": 1240})
    context.close()


WORKFLOWS = Path(__file__).resolve().parents[2] / "example_workflows"
# What a model may say of the twelve pictures of the fan-out.
SUBJECTS = {
    "a lighthouse": "A white lighthouse stands on a black cliff",
    "a harbour": "Fishing boats lie side by side in a small harbour",
    "an old mill": "The wheel of an old mill turns slowly above the stream",
    "a market": "Baskets of apples and fish fill the stalls of a market",
}
MOODS = {
    "at dawn": ", and the first pink light of the day comes over the water.",
    "in a storm": ", while rain and wind tear at everything that is not tied down.",
    "under snow": ", and fresh snow has made all edges round and all sounds soft.",
}


def answer(body):
    """The sentence for a picture, in words, as a model sends them."""
    asked = body["messages"][-1]["content"]
    (subject,) = (words for name, words in SUBJECTS.items() if name in asked)
    (mood,) = (words for name, words in MOODS.items() if name in asked)
    return [word + " " for word in (subject + mood).split(" ")]


@pytest.mark.parametrize("host", VERSIONS[-1:], indirect=True)
def test_the_picture_of_the_fan_out(browser, host):
    workflow = json.loads((WORKFLOWS / "11-fan-out.json").read_text(encoding="utf-8"))
    (chat,) = (node for node in workflow["nodes"] if node["type"] == "XDEV_LMStudioChat")
    (shown,) = (node for node in workflow["nodes"] if node["type"] == "XDEV_OutputDev")
    with path_server(pieces=answer) as (url, _):
        chat["widgets_values"][1] = url
        context = browser.new_context(viewport={"width": 1620, "height": 1560}, device_scale_factor=2)
        canvas = Canvas(context.new_page(), host)
        canvas.open(workflow)
        canvas.run()
        for node_id in (chat["id"], shown["id"]):
            canvas.node(node_id).wait_state("done", count=12)
        answers = canvas.node(shown["id"]).panel.locator(".xdev-llm-report").all_text_contents()
        assert len(set(answers)) == 12 and answers[0].startswith("A white lighthouse") and "pink" in answers[0]
        canvas.node(chat["id"]).panel.locator(".xdev-llm-body").evaluate("(body) => { body.scrollTop = 0; }")
        canvas.look(-340, 240)
        canvas.do("() => new Promise((done) => setTimeout(done, 500))")
        canvas.picture("prompts", {"x": 70, "y": 150, "width": 1520, "height": 1300})
        context.close()
