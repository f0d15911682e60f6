"""The built command, asked about one server, and what it said.

For the tests of this folder. Not here: any test.
"""

import json

from conftest import wait_until


class Command:
    """The built command, asked about one server."""

    def __init__(self, sandbox, server):
        self.sandbox = sandbox
        self.server = server

    def arguments(self, *arguments):
        return [*arguments, "--server", self.server.url]

    def run(self, *arguments):
        """Its end, whatever it is."""
        return self.sandbox.run(*self.arguments(*arguments))

    def start(self, *arguments):
        """The running command."""
        return self.sandbox.spawn(*self.arguments(*arguments))


def said(ended):
    """The JSON that a command printed."""
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def named(entry):
    """A model's name as the tests use it; Ollama's tag for the usual version is left out."""
    return entry["id"].removesuffix(":latest")


def in_memory(command):
    """The models that `ps` lists for the one server."""
    (told,) = said(command.run("ps", "--json"))
    return {named(model) for model in told["models"]}


def begin_to_answer(command, model, tokens=4000):
    """`ask` while its answer arrives."""
    child = command.start("ask", "--model", model, "--max-tokens", str(tokens), "Tell me a very long story about the sea.")
    assert child.stdout.read1(1), child.stderr.read().decode()
    return child


def begin_to_load(command, server, model):
    """`load` while the server loads: some time before it is done."""
    before = server.loads()
    child = command.start("load", model)
    wait_until(lambda: server.loads() > before)
    return child
