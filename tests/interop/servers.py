"""Real model servers as processes: started on a free port, their own list of models asked, ended with all they began.

For the tests of this folder. Not here: how a server is come by, which scripts/interop does, and any test.
"""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import wait_until
from host.hosts import free_port

# vLLM on a busy machine takes minutes to start; this ends only what hangs.
PATIENCE = 500


def found(variable):
    """The path that a variable of scripts/interop names, or the test is skipped."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(os.environ.get(variable + "_MISSING") or f"{variable} is not set: run `make interop`")
    return Path(path)


def ask(url, body=None, method=None):
    """The status and the JSON of an answer; what is no JSON comes back as text."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as failure:
        with failure:
            status, text = failure.code, failure.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


class ModelServer:
    """A real server in a process group of its own, whose log is kept."""

    # The path that answers 200 when the server takes requests.
    ready = "/health"

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = folder / "server.log"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command()],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(self._answers, PATIENCE)
        except BaseException:
            print(self.log()[-4000:])
            self.stop()
            raise

    def environment(self):
        """What this kind of server reads from its environment."""
        return {}

    def _answers(self):
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}"
        try:
            return ask(self.url + self.ready)[0] == 200
        except OSError:
            return False

    def log(self):
        """All that the server has written."""
        return self.log_file.read_text(errors="replace")

    def loads(self):
        """How many loads the server has begun so far, by its own log."""
        return self.log().count(self.load_marker)

    def unloads(self):
        """How many times it was told to unload, or a number that grows with that."""
        return self.log().count(self.unload_marker)

    def stop(self):
        """Ends the server and what it began."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(PATIENCE)


class LlamaRouter(ModelServer):
    """llama.cpp's server in router mode: a folder of models, one process for each that is loaded."""

    load_marker = "spawning server instance with name="
    unload_marker = "stopping model instance name="
    # What no download can get: this build speaks no TLS.
    unreachable = "some/model"

    def command(self):
        models = found("XDEV_INTEROP_MODELS")
        return [
            found("XDEV_LLAMA_SERVER"),
            *("--models-dir", models, "--models-max", 2),
            *("--host", "127.0.0.1", "--port", self.port),
            # Half the cores and no busy waiting: the tests share the machine.
            *("--threads", 1, "--poll", 0, "--ctx-size", 2048, "--parallel", 1),
        ]

    def evict(self, model):
        """Unloads a model, as the server's own documentation says."""
        ask(self.url + "/models/unload", {"model": model})

    def states(self):
        """Each model's state in the server's own words."""
        status, answer = ask(self.url + "/models")
        assert status == 200, answer
        return {model["id"]: model["status"]["value"] for model in answer["data"]}

    def loaded(self):
        """The models that hold memory now: a process that is only starting has its part too."""
        return {model for model, state in self.states().items() if state != "unloaded"}


class Ollama(ModelServer):
    """Ollama with models made from local files; nothing is fetched."""

    load_marker = " runner --model "
    unload_marker = '"/api/generate"'
    # What no download can get: a host of that name never exists.
    unreachable = "models.example/library/none"
    ready = "/api/version"

    def __init__(self, folder):
        super().__init__(folder)
        for file in sorted(found("XDEV_INTEROP_MODELS").glob("*.gguf")):
            recipe = folder / f"{file.stem}.modelfile"
            # One thread: two that wait for each other on a busy machine take a hundred times as long.
            recipe.write_text(f"FROM {file}\nPARAMETER num_thread 1\n")
            subprocess.run(
                [found("XDEV_OLLAMA"), "create", file.stem, "-f", recipe],
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **self.environment()},
                check=True,
                capture_output=True,
                timeout=PATIENCE,
            )

    def command(self):
        return [found("XDEV_OLLAMA"), "serve"]

    def environment(self):
        return {
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(self.folder / "models"),
            "OLLAMA_MAX_LOADED_MODELS": "2",
        }

    def evict(self, model):
        """Unloads a model, as the server's own documentation says."""
        ask(self.url + "/api/generate", {"model": model, "keep_alive": 0, "stream": False})

    def listed(self):
        """What the server says of each model in memory."""
        status, answer = ask(self.url + "/api/ps")
        assert status == 200, answer
        return {model["name"].removesuffix(":latest"): model for model in answer["models"]}

    def loaded(self):
        """The models that hold memory now."""
        return set(self.listed())


class Vllm(ModelServer):
    """vLLM on the processor: one model, with the paths for developers that put it to sleep."""

    flags = ()

    def command(self):
        return [
            *(found("XDEV_VLLM") / "bin" / "vllm", "serve", found("XDEV_VLLM_MODEL")),
            *("--served-model-name", "small", "--host", "127.0.0.1", "--port", self.port),
            *("--enforce-eager", "--dtype", "bfloat16", "--max-model-len", 1024),
            *self.flags,
        ]

    def environment(self):
        return {
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_SERVER_DEV_MODE": "1",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def sleeps(self):
        """Whether the server says that its model is asleep."""
        return ask(self.url + "/is_sleeping")[1].get("is_sleeping")
