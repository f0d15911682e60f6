"""The built-in engine as processes: asked by the command, killed with it, and its launcher alone.

Needs the installed engine. Not here: the engine's own behaviour, which the library's tests cover.
"""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import PATIENCE, ROOT, descendants, is_running, wait_until

LAUNCHER = ROOT / "crates" / "xdev-llm" / "src" / "engine" / "launcher.py"

# Its thread sees the end of input and exits, or the kernel's signal for it comes first.
ENDED_BY_ITS_INPUT = (0, -signal.SIGIO)


def test_a_real_model_streams_its_answer(alone, engine):
    child = alone.spawn("ask", "--max-tokens", "60", "--seed", "1", "Count from one to ten.")
    first = child.stdout.read1(65536)
    assert first and child.poll() is None, "text comes before the answer has ended"
    rest, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, errors
    assert len(first + rest) > 20
    assert b"using the built-in engine" in errors


def test_the_engine_ends_with_the_answer(alone, engine):
    child = alone.spawn("ask", "--json", "--max-tokens", "200", "Tell me about the sea.")
    processes = wait_until(lambda: descendants(child.pid))
    output, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, errors
    answer = json.loads(output)
    assert answer["response"] and answer["server_info"]["kind"] == "llama.cpp"
    wait_until(lambda: not any(map(is_running, processes)))


@pytest.mark.parametrize("when", ["while the model loads", "while it answers"])
def test_kill_9_leaves_no_engine(alone, engine, when):
    child = alone.spawn("ask", "--max-tokens", "4000", "Write a very long story.")
    if when == "while it answers":
        assert child.stdout.read1(65536)
    processes = wait_until(lambda: descendants(child.pid))
    child.kill()
    child.wait(PATIENCE)
    wait_until(lambda: not any(map(is_running, processes)), 10)


def test_ctrl_c_ends_the_answer_and_the_engine(alone, engine, interrupt):
    child = alone.spawn("ask", "--max-tokens", "4000", "Write a very long story.")
    assert child.stdout.read1(65536)
    processes = descendants(child.pid)
    interrupt(child)
    assert child.wait(10) == 130
    assert processes and wait_until(lambda: not any(map(is_running, processes)), 10)


@pytest.fixture
def launch(engine):
    """A function that starts the launcher alone, with a model, on a free port."""
    children = []

    def start(model):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "LLAMA_API_KEY": "a-key",
            "LLAMA_ARG_ALIAS": "a-model",
            "LLAMA_ARG_CTX_SIZE": "1024",
            "LLAMA_ARG_N_PARALLEL": "1",
            "LLAMA_ARG_CACHE_RAM": "0",
            "LLAMA_ARG_THREADS": "1",
        }
        arguments = ["--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--poll", "0"]
        child = subprocess.Popen(
            [engine / "python" / "bin" / "python", "-I", LAUNCHER, *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        children.append(child)
        return child, f"http://127.0.0.1:{port}"

    yield start
    for child in children:
        child.kill()
        child.wait(PATIENCE)
        child.stderr.close()
        child.stdin.close()


def status(url, key):
    """The HTTP status of the list of models; None while nothing listens."""
    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(request, timeout=PATIENCE).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def builtin_model(engine):
    """The model that was installed."""
    return next(engine.glob("*.gguf"))


def test_the_launcher_serves_with_a_key_until_its_input_ends(engine, launch):
    child, url = launch(builtin_model(engine))
    wait_until(lambda: child.poll() is not None or status(url, "a-key") == 200)
    assert child.poll() is None, child.stderr.read()
    assert status(url, "another-key") == 401
    child.stdin.close()
    assert child.wait(10) in ENDED_BY_ITS_INPUT


def test_the_launcher_ends_with_its_input_while_it_loads(engine, launch):
    child, _ = launch(builtin_model(engine))
    child.stdin.close()
    assert child.wait(PATIENCE) in ENDED_BY_ITS_INPUT


def test_the_launcher_says_what_is_wrong_with_a_model(engine, launch, tmp_path):
    model = tmp_path / "broken.gguf"
    model.write_bytes(b"<html>not a model</html>")
    child, _ = launch(model)
    # Standard input stays open: the model alone must end it.
    words = child.stderr.read().decode(errors="replace")
    assert child.wait(PATIENCE) != 0
    assert "broken.gguf" in words and "failed to load" in words.lower()
