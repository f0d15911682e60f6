"""Starts the contract host or a real ComfyUI as a process, and talks to it as a browser does.

For all tests that need a ComfyUI: the kinds differ only in what is started. Not here: any test.
"""

import asyncio
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLAGS = {"contract": [], "contract-v1": ["--v1"], "contract-sync": ["--sync"]}
PROBES = {"probe": HERE / "probe", "probe_v3": HERE / "probe_v3"}

# Ends only what hangs: a real ComfyUI on a busy machine needs half a minute to start.
PATIENCE = 120


def why_not_real():
    """What is missing to run a real ComfyUI, or None."""
    if not os.environ.get("COMFYUI_DIR"):
        return "no real ComfyUI: set COMFYUI_DIR to a checkout and COMFYUI_PYTHON to its interpreter"
    return None


def _has(file):
    """Whether the real ComfyUI is of a version that has this file."""
    return why_not_real() is None and (Path(os.environ["COMFYUI_DIR"]) / file).exists()


def runs_beside(kind):
    """Whether the pack's nodes run beside others on this kind of host: with the V3 API they are async."""
    return (
        kind == "contract"
        or kind == "real"
        and (why_not_real() is not None or _has("comfy_api/latest/_io.py"))
    )


def knows_items(kind):
    """Whether a node can know which item of a list it is given."""
    return kind in ("contract", "contract-v1") or kind == "real" and _has("comfy_execution/utils.py")


def wait_until(condition, seconds=PATIENCE, what="a condition"):
    """Returns the first true value of condition(), or fails."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.01)


def free_port():
    """A port that nothing listens on, and that the system gives to nobody who asks for any: the test comes back to it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Host:
    """A running host with packs linked into its custom_nodes folder."""

    def __init__(self, kind, folder, packs=(), environment=None, front_end=None):
        self.kind = kind
        self.folder = Path(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        custom_nodes = self.folder / "custom_nodes"
        custom_nodes.mkdir(parents=True, exist_ok=True)
        for name, pack in dict(packs).items():
            (custom_nodes / name).symlink_to(pack, target_is_directory=True)
        self.log_file = self.folder / "host.log"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self._command(front_end),
                cwd=self.folder,
                env={**(os.environ if environment is None else environment), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        try:
            wait_until(self._answers, what="the host to answer")
        except BaseException:
            self.stop()
            raise

    def _command(self, front_end):
        if self.kind == "real":
            python = os.environ.get("COMFYUI_PYTHON", sys.executable)
            command = [
                python,
                str(Path(os.environ["COMFYUI_DIR"]) / "main.py"),
                "--cpu",
                "--disable-auto-launch",
            ]
            command += ["--listen", "127.0.0.1"]
        else:
            command = [sys.executable, str(HERE / "main.py"), *FLAGS[self.kind]]
        command += ["--port", str(self.port), "--base-directory", str(self.folder)]
        return command + (["--front-end-root", str(front_end)] if front_end else [])

    def _answers(self):
        assert self.process.poll() is None, f"the host ended:\n{self.log()}"
        try:
            return request(f"{self.url}/system_stats")
        except OSError:
            return None

    def log(self):
        """What the host printed."""
        return self.log_file.read_text(errors="replace")

    def stop(self):
        """Ends the host."""
        self.process.kill()
        self.process.wait()


def request(url, body=None, timeout=PATIENCE):
    """GETs, or POSTs JSON; the decoded answer, None where it is empty. Raises Refused on an error status."""
    data = None if body is None else json.dumps(body).encode()
    message = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        # No proxy: the host is on this machine.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            message, timeout=timeout
        ) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read()) from None
    return json.loads(content) if content else None


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status, content):
        super().__init__(f"{status}: {content[:2000]!r}")
        self.status = status
        try:
            self.answer = json.loads(content)
        except ValueError:
            self.answer = {}

    def errors(self, node_id):
        """What is wrong with a node's inputs: (input, kind, details)."""
        found = self.answer["node_errors"].get(node_id, {"errors": []})["errors"]
        return [(error["extra_info"].get("input_name"), error["type"], error["details"]) for error in found]


class Message:
    """A message of the websocket: when it came, its kind, and what it holds."""

    def __init__(self, kind, data):
        self.time = time.time()
        self.kind = kind
        self.data = data

    def __repr__(self):
        return f"{self.kind}({self.data})"


class Client:
    """A browser without a screen: queues prompts, and keeps all messages."""

    def __init__(self, host):
        self.host = host
        self.id = uuid.uuid4().hex
        self.messages = []
        self.bytes = 0
        self.loop = asyncio.new_event_loop()
        self.connected = threading.Event()
        self.thread = threading.Thread(
            target=self.loop.run_until_complete, args=(self._listen(),), daemon=True
        )
        self.thread.start()
        assert self.connected.wait(PATIENCE), "the websocket did not open"

    async def _listen(self):
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(
                f"{self.host.url}/ws?clientId={self.id}", max_msg_size=0
            ) as self.socket:
                async for message in self.socket:
                    self.bytes += len(message.data)
                    if message.type == aiohttp.WSMsgType.TEXT:
                        content = json.loads(message.data)
                        self.messages.append(Message(content["type"], content["data"]))
                    else:
                        self.messages.append(Message(*read_binary(message.data)))
                    self.connected.set()

    def close(self):
        """Closes the websocket."""
        asyncio.run_coroutine_threadsafe(self.socket.close(), self.loop)
        self.thread.join(PATIENCE)

    def get(self, path):
        """GETs a route."""
        return request(self.host.url + path)

    def post(self, path, body):
        """POSTs JSON to a route."""
        return request(self.host.url + path, body)

    def queue(self, prompt, **more):
        """Queues a prompt in API format; its id. Raises Refused when it does not pass the checks."""
        body = {"prompt": prompt, "client_id": self.id, **more}
        return self.post("/prompt", body)["prompt_id"]

    def interrupt(self, prompt_id=None):
        """Cancels what runs; the time it was sent."""
        sent = time.time()
        self.post("/interrupt", {"prompt_id": prompt_id} if prompt_id else {})
        return sent

    def wait(self, prompt_id, seconds=PATIENCE):
        """The run of a prompt that has ended and stands in the history."""
        entry = wait_until(
            lambda: self.get(f"/history/{prompt_id}").get(prompt_id),
            seconds,
            f"the end of a prompt:\n{self.host.log()[-3000:]}",
        )
        return Run(entry, self.of(prompt_id))

    def run(self, prompt, **more):
        """Queues a prompt and waits for its end."""
        prompt_id = self.queue(prompt, **more)
        run = self.wait(prompt_id)
        # The history may be quicker than the socket: the last message says that nothing runs any more.
        self.wait_for("executing", lambda data: data["node"] is None and data["prompt_id"] == prompt_id)
        return Run(run.entry, self.of(prompt_id))

    def of(self, prompt_id):
        """The messages since a prompt began that are not another prompt's."""
        messages, begun = [], False
        for message in list(self.messages):
            data = message.data
            its_prompt = data.get("prompt_id") if isinstance(data, dict) else None
            begun = begun or its_prompt == prompt_id
            if begun and its_prompt in (None, prompt_id):
                messages.append(message)
        return messages

    def wait_for(self, kind, test=lambda data: True, seconds=PATIENCE, after=0):
        """The first message of a kind that passes a test."""

        def find():
            found = [
                message for message in self.messages[after:] if message.kind == kind and test(message.data)
            ]
            return found[0] if found else None

        return wait_until(find, seconds, f"a message {kind}")


def read_binary(data):
    """(kind, content) of a binary message; progress text as {node, text}."""
    (number,) = struct.unpack_from(">I", data)
    if number != 3:
        return f"binary {number}", data[4:]
    (length,) = struct.unpack_from(">I", data, 4)
    node, text = data[8 : 8 + length], data[8 + length :]
    return "progress_text", {"node": node.decode(), "text": text.decode()}


class Run:
    """A prompt that has ended: its entry in the history, and its messages."""

    def __init__(self, entry, messages):
        self.entry = entry
        self.messages = messages
        self.status = entry["status"]["status_str"]
        self.ends = {event: data for event, data in entry["status"]["messages"]}

    @property
    def error(self):
        """The data of execution_error; fails where there was none."""
        assert "execution_error" in self.ends, f"no error: {self.entry['status']}, {self.entry['outputs']}"
        return self.ends["execution_error"]

    @property
    def cached(self):
        """The nodes that were not run again."""
        return self.ends["execution_cached"]["nodes"]

    def output(self, node_id):
        """What a node showed; fails, with the error, where the prompt failed."""
        assert self.status == "success", self.entry["status"]["messages"][-1]
        return self.entry["outputs"][node_id]

    def text(self, node_id):
        """The texts of a PreviewAny."""
        return self.output(node_id)["text"]

    def events(self, kind):
        """The messages of a kind."""
        return [message for message in self.messages if message.kind == kind]
