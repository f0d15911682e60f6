"""Fixtures for the tests of the Python package, which runs in the tests' own process.

Not here: mock servers, which all tests share.
"""

import os
import subprocess
import sys

import pytest
import xdev_llm

from conftest import PATIENCE

SERVER_VARIABLES = ("OPENAI_BASE_URL", "OLLAMA_HOST", "LMS_SERVER_HOST")


@pytest.fixture(autouse=True)
def own_settings(sandbox, monkeypatch):
    """The sandbox's empty config, and none of the settings of whoever tests."""
    for name in [*os.environ]:
        if name.startswith("XDEV_LLM_") or name in SERVER_VARIABLES:
            monkeypatch.delenv(name)
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(sandbox.folder)


@pytest.fixture
def server(mock):
    """A mock of LM Studio that answers at once."""
    return mock("--personality", "lmstudio", "--text", "Hello there, friend.")


@pytest.fixture
def slow(mock):
    """A mock of LM Studio that needs about 20 seconds for an answer."""
    return mock("--personality", "lmstudio", "--tokens", "2000", "--token-delay", "10")


@pytest.fixture
def client(own_settings):
    """A client with the sandbox's config."""
    return xdev_llm.Client()


@pytest.fixture
def python(sandbox, own_settings):
    """A function that starts Python code in a process of its own, with the sandbox's config."""

    def start(code, *arguments):
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=sandbox.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        sandbox.children.append(child)
        return child

    return start


@pytest.fixture
def finished(python):
    """A function that runs Python code to its end and gives its output; a word on stderr is a failure."""

    def run(code, *arguments):
        child = python(code, *arguments)
        out, err = child.communicate(timeout=PATIENCE)
        assert (child.returncode, err) == (0, ""), out + err
        return out

    return run
