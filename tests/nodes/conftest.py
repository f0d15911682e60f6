"""Hosts with the pack in them, one of each kind for all tests; model servers are mocks that a test scripts.

A real ComfyUI takes part where COMFYUI_DIR names a checkout and COMFYUI_PYTHON its interpreter.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from conftest import Sandbox, wait_until
from host.hosts import PROBES, ROOT, Client, Host, free_port, request, runs_beside, why_not_real

HERE = Path(__file__).resolve().parent
KINDS = ("contract", "contract-v1", "contract-sync", "real")
# What these are about does not depend on how ComfyUI calls a node.
ALIKE = {"nodes.test_builders", "nodes.test_real_engine", "nodes.test_secrets", "nodes.test_servers", "nodes.test_wire"}
KEY = "k" + "9f3a1c" * 6  # not of a shape that the pack would refuse by itself


class ModelServer:
    """A mock model server that is told what to answer, and tells what it was asked."""

    def __init__(self, sandbox, *flags, port=0):
        self.child = sandbox.spawn("mock", "--port", str(port), *flags)
        listening = self.child.stdout.readline().decode()
        assert listening.startswith("listening on "), listening or self.child.stderr.read().decode()
        self.url = listening.split()[-1]

    def script(self, following=False, **fields):
        """Sets what is answered from now on, or to the next chat only."""
        request(self.url + "/mock/script" + ("?next=1" if following else ""), fields)

    def requests(self):
        """All that was asked, in order."""
        return request(self.url + "/mock/requests")

    def chats(self):
        """The chats among it."""
        return [asked for asked in self.requests() if asked["method"] == "POST" and "chat" in asked["path"]]

    def body(self):
        """The body of the one chat there was."""
        (chat,) = self.chats()
        return chat["body"]

    def models(self, told=None):
        """What it has, and what of it is in memory; changes that first where told."""
        if told is not None:
            request(self.url + "/mock/models", told)
        return request(self.url + "/mock/models")

    def loaded(self):
        """The models in memory, and on their way there."""
        return [model["id"] for model in self.models() if model["instances"]]

    def options(self, **fields):
        """Changes how it manages memory."""
        request(self.url + "/mock/options", fields)

    def stop(self):
        """Ends it; its port is free again."""
        self.child.kill()
        self.child.wait()


class World:
    """What all tests share: the user's config, a server that wants a key, and the hosts."""

    def __init__(self, folder):
        self.sandbox = Sandbox(folder)
        self.folder = folder
        # One for each test that needs one: the pack remembers for minutes what it found where.
        self.found_ports = [free_port() for _ in range(60)]
        self.engine_port = free_port()
        self.keyed = ModelServer(self.sandbox, "--api-key", KEY)
        self.sandbox.environment["NODES_TEST_KEY"] = KEY
        self.sandbox.config(
            f"discovery_ports = {self.found_ports}\n"
            f'[servers.keyed]\nurl = "{self.keyed.url}"\napi_key_env = "NODES_TEST_KEY"\n'
            f'[servers.engine]\nurl = "http://127.0.0.1:{self.engine_port}"\napi_key_env = "NODES_TEST_KEY"\n'
            '[[aliases.swift]]\nserver = "http://127.0.0.1:1"\nmodel = "big"\n'
            '[[aliases.swift]]\nserver = "keyed"\n'
            '[presets.mine]\ntemperature = 0.35\ntop_k = 7\nsystem = "You are mine."\n'
        )
        self.lend_package()
        self.hosts = {}

    def lend_package(self):
        """Gives the installed package to a real ComfyUI too; else the pack finds the one beside it."""
        installed = importlib.util.find_spec("xdev_llm")
        if installed:
            packages = self.folder / "packages"
            packages.mkdir()
            (packages / "xdev_llm").symlink_to(Path(installed.origin).parent, target_is_directory=True)
            self.sandbox.environment["PYTHONPATH"] = str(packages)

    def host(self, kind):
        """The host of a kind, started when it is first needed."""
        if kind not in self.hosts:
            packs = {"xdev-llm": ROOT, "values": HERE / "values", **PROBES}
            self.hosts[kind] = Host(kind, self.folder / kind, packs, self.sandbox.environment)
        return self.hosts[kind]

    def stop(self):
        """Ends everything."""
        for host in self.hosts.values():
            host.stop()
        self.sandbox.end()


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The shared world."""
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    world.stop()


def pytest_generate_tests(metafunc):
    """Gives a test each kind of host in turn, or those it has something to say about."""
    if "host" in metafunc.fixturenames:
        kinds = KINDS
        if metafunc.module.__name__ in ALIKE:
            kinds = ("contract", "real")
        if metafunc.definition.get_closest_marker("parallel"):
            kinds = [kind for kind in kinds if runs_beside(kind)]
        metafunc.parametrize("host", kinds, indirect=True)


@pytest.fixture
def host(request, world):
    """A running host of a kind."""
    if request.param == "real" and why_not_real():
        pytest.skip(why_not_real())
    return world.host(request.param)


@pytest.fixture
def client(host):
    """A browser that runs the pack's JavaScript."""
    client = Client(host)
    client.post("/xdev_llm/hello", {"client_id": client.id})
    yield client
    end(client)


@pytest.fixture
def plain_client(host):
    """A browser without it."""
    client = Client(host)
    yield client
    end(client)


def end(client):
    """Closes a browser; what a failed test left running is cancelled."""
    if client.get("/queue")["queue_running"]:
        client.post("/queue", {"clear": True})
        client.interrupt()
        wait_until(lambda: not client.get("/queue")["queue_running"])
    client.post("/history", {"clear": True})  # the next test may read all of it
    client.close()


@pytest.fixture
def serve(sandbox):
    """A function that starts a model server with these flags."""
    return lambda *flags, port=0: ModelServer(sandbox, *flags, port=port)


@pytest.fixture
def server(serve):
    """An OpenAI-compatible server."""
    return serve("--personality", "llama.cpp")


@pytest.fixture
def discoverable(world, sandbox):
    """A function that starts a server where discovery finds it; skips where others run on this machine."""

    def start(*flags):
        found = json.loads(world.sandbox.run("servers", "--json").stdout)
        if found:
            pytest.skip(f"a model server runs on this machine: {found[0]['url']}")
        return ModelServer(sandbox, *flags, port=world.found_ports.pop())

    return start
