"""The picture of the documentation, at twice the size: docs/node.png is a copy of it."""

import json

import pytest

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
