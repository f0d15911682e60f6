"""The real servers, one of each kind for all tests, each empty when a test begins.

Not here: how they are started (servers.py), and any test.
"""

import pytest

from conftest import wait_until
from interop.commands import Command
from interop.servers import LlamaRouter, Ollama, Vllm


def started(kind, tmp_path_factory):
    """A server of that kind, until the tests are over."""
    server = kind(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def llama_process(tmp_path_factory):
    yield from started(LlamaRouter, tmp_path_factory)


@pytest.fixture(scope="session")
def ollama_process(tmp_path_factory):
    yield from started(Ollama, tmp_path_factory)


@pytest.fixture(scope="session")
def vllm(tmp_path_factory):
    """vLLM with its paths for developers, among them those of sleep mode."""
    yield from started(Vllm, tmp_path_factory)


def emptied(server):
    """The server, when it has nothing in memory."""
    for model in server.loaded():
        server.evict(model)
    wait_until(lambda: not server.loaded())
    return server


@pytest.fixture
def llama(llama_process):
    """llama.cpp's router with nothing in memory."""
    return emptied(llama_process)


@pytest.fixture
def ollama(ollama_process):
    """Ollama with nothing in memory."""
    return emptied(ollama_process)


@pytest.fixture(params=["llama", "ollama"])
def server(request):
    """Each server that loads and unloads, with nothing in memory."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def command(sandbox):
    """A function that gives the command for one server."""
    return lambda server: Command(sandbox, server)
