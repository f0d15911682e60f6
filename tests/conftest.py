"""A home for child processes, the mock server and the real engine, for tests of the built command.

The command is target/debug/xdev-llm, or the one XDEV_LLM_TEST_COMMAND names. Not here: any test.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMAND = os.environ.get("XDEV_LLM_TEST_COMMAND", str(ROOT / "target" / "debug" / "xdev-llm"))

# A shell that runs the tests in the background has Ctrl-C ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Slow machines and loaded ones are no failures; this ends only what hangs.
PATIENCE = 60


def wait_until(condition, seconds=PATIENCE):
    """Returns the first true value of condition(), or fails."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.02)


def is_running(pid):
    """Whether a process lives; one that only waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def descendants(pid):
    """The ids of all processes below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        found += children
        todo += children
    return found


class Sandbox:
    """Empty folders and a clean environment, so that nobody's files and servers take part."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []
        self.readers = []
        self.config("")
        self.environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "XDEV_LLM_CONFIG": str(folder / "config.toml"),
            "XDEV_LLM_STATE_DIR": str(folder / "state"),
            "XDEV_LLM_DATA_DIR": str(folder / "data"),
        }

    def config(self, text):
        """Writes the user's config file."""
        (self.folder / "config.toml").write_text(text)

    def spawn(self, *arguments, **options):
        """Starts the command with pipes for its output."""
        child = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        self.children.append(child)
        return child

    def run(self, *arguments, input=""):
        """Runs the command to its end."""
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )

    def end(self):
        """Ends what a failed test left running."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
        # Who still reads a pipe while it is closed gets an error.
        for reader in self.readers:
            reader.join(PATIENCE)
        for child in self.children:
            child.wait(PATIENCE)
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    pipe.close()


class Mock:
    """A mock server in a process of its own, and what it logged."""

    def __init__(self, sandbox, flags):
        self.child = sandbox.spawn("mock", "--port", "0", "--log", *flags)
        listening = self.child.stdout.readline().decode()
        match = re.fullmatch(r"listening on (\S+)\n", listening)
        assert match, listening or self.child.stderr.read().decode()
        self.url = match[1]
        self.port = int(self.url.rpartition(":")[2])
        self.log = []
        reader = threading.Thread(target=self._read, daemon=True)
        sandbox.readers.append(reader)
        reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.log.append(json.loads(line))

    def chats(self):
        """The chats that have ended."""
        return [entry for entry in list(self.log) if "chat" in entry["path"]]


@pytest.fixture
def sandbox(tmp_path):
    """A sandbox of the test's own."""
    sandbox = Sandbox(tmp_path)
    yield sandbox
    sandbox.end()


@pytest.fixture
def alone(sandbox):
    """The sandbox, for tests of what happens where no server runs: discovery looks at this machine's usual ports."""
    servers = json.loads(sandbox.run("servers", "--json").stdout)
    if servers:
        pytest.skip(f"a model server runs on this machine: {servers[0]['url']}")
    return sandbox


@pytest.fixture
def mock(sandbox):
    """A function that starts a mock server with these flags."""
    return lambda *flags: Mock(sandbox, flags)


@pytest.fixture
def engine(sandbox):
    """The folder of the installed engine; the sandbox uses it."""
    data = Path(os.environ.get("XDEV_LLM_DATA_DIR") or "/nonexistent")
    if not (data / "engine" / "python").is_dir():
        reason = "engine not installed: set XDEV_LLM_DATA_DIR to a data folder with one"
        if os.environ.get("XDEV_LLM_REQUIRE_ENGINE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    sandbox.environment["XDEV_LLM_DATA_DIR"] = str(data)
    return data / "engine"


@pytest.fixture
def interrupt():
    """A function that presses Ctrl-C for a child."""
    return lambda child: child.send_signal(signal.SIGINT)
