"""The chat and the example workflows with a real model: llama.cpp with the small model that is installed as the built-in engine.

Needs the installed engine; it is started on the port that the config names.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import ROOT, wait_until
from nodes.conftest import KEY
from nodes.graphs import CHAT, CONVERSATION, INFO, RESPONSE, STATS, chat, events, streamed
from pack.conftest import locales
from pack.workflows import read_workflows

LAUNCHER = ROOT / "crates" / "xdev-llm" / "src" / "engine" / "launcher.py"

SETTINGS = {
    "LLAMA_ARG_ALIAS": "a-model",
    "LLAMA_ARG_CTX_SIZE": "2048",
    "LLAMA_ARG_N_PARALLEL": "1",
    "LLAMA_ARG_CACHE_RAM": "0",
    "LLAMA_ARG_THREADS": "1",
}


@pytest.fixture
def real_engine(engine, world):
    """A running engine, named `engine` in the config."""
    arguments = [
        "--model",
        str(next(engine.glob("*.gguf"))),
        "--host",
        "127.0.0.1",
        "--port",
        str(world.engine_port),
    ]
    arguments += ["--poll", "0"]
    child = subprocess.Popen(
        [engine / "python" / "bin" / "python", "-I", LAUNCHER, *arguments],
        env={"PATH": os.environ["PATH"], "LLAMA_API_KEY": KEY, **SETTINGS},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{world.engine_port}/health"
    try:
        wait_until(lambda: child.poll() is not None or answers(url))
        assert child.poll() is None, "the engine ended"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()


def answers(url):
    try:
        return (
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10).status == 200
        )
    except (urllib.error.HTTPError, OSError):
        return False


def test_a_real_answer(client, real_engine):
    run = client.run(chat("engine", prompt="Count from one to ten.", max_tokens=48, seed=1, temperature=0))
    (text,) = run.text(RESPONSE)
    assert len(text) > 10 and streamed(client) == text
    assert json.loads(run.text(CONVERSATION)[0])[-1] == {"role": "assistant", "content": text}
    stats = json.loads(run.text(STATS)[0])
    assert 0 < stats["output_tokens"] <= 48 and stats["tokens_per_second"] > 0
    assert json.loads(run.text(INFO)[0])["server"]["kind"] == "llama.cpp"
    assert KEY not in json.dumps(run.entry)


def test_a_real_answer_is_cancelled(client, real_engine):
    prompt_id = client.queue(
        chat("engine", prompt="Write a very long story about the sea.", max_tokens=1500, seed=2)
    )
    wait_until(lambda: any(data.get("text") for data in events(client)))
    sent = client.interrupt(prompt_id)
    run = client.wait(prompt_id)
    assert run.ends["execution_interrupted"]["timestamp"] / 1000 - sent < 0.5
    assert client.run(chat("engine", prompt="Say hello.", max_tokens=16, seed=3)).text(RESPONSE)


# The specified patterns of use, and how many answers each has.
PATTERNS = {
    "7-input-chat-output": 1,
    "8-combine-chat-analyze": 1,
    "9-matrix-chat-clean-style": 3,
    "10-person-chat-weight": 1,
    "11-fan-out": 12,
}


@pytest.fixture(scope="module")
def workflows():
    """The example workflows, as a front end would queue them."""
    return read_workflows(ROOT, json.loads(locales("describe")))


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_of_use(client, real_engine, workflows, name):
    prompt = workflows[name].api()
    kinds = {}
    for node_id, entry in prompt.items():
        kinds[entry["class_type"]] = node_id
        if entry["class_type"] == CHAT:
            entry["inputs"].update(server_url="engine", model="auto", max_tokens=24)
    run = client.run(prompt)
    shown = {kind: run.output(node_id)["xdev_llm"] for kind, node_id in kinds.items() if kind.startswith("XDEV_")}
    answers = [answer["text"] for answer in shown[CHAT]]
    assert len(answers) == PATTERNS[name] and all(answers)
    last = list(kinds)[-1]
    if last == "XDEV_OutputDev":
        values = [entry["inspection"]["values"] for entry in shown[last]]
        assert [looked_at[0]["text"] for looked_at in values] == answers
    else:
        styled = [entry["report"] for entry in shown[last]]
        assert len(styled) == len(answers) and all(styled)
