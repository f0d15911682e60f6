"""What the commands say of a server's memory, and do with it, held against what the server itself lists.

The same for every server that loads and unloads. Not here: what only one of them does.
"""

import json

from conftest import wait_until
from interop.commands import begin_to_answer, begin_to_load, in_memory, named, said


def test_models_tells_what_is_in_memory(server, command):
    states = {named(model): model["state"] for model in said(command(server).run("models", "--json"))}
    assert states == {"small": "not_loaded", "other": "not_loaded", "slow": "not_loaded"}
    said(command(server).run("load", "small", "--json"))
    states = {named(model): model["state"] for model in said(command(server).run("models", "--json"))}
    assert states == {"small": "loaded", "other": "not_loaded", "slow": "not_loaded"}


def test_load_waits_until_the_server_lists_it(server, command):
    loaded = said(command(server).run("load", "slow", "--json"))
    assert server.loaded() == {"slow"}
    assert named(loaded) == "slow" and loaded["state"] == "loaded" and not loaded["was_loaded"]
    assert in_memory(command(server)) == {"slow"}


def test_a_model_is_loaded_once(server, command):
    before = server.loads()
    assert not said(command(server).run("load", "small", "--json"))["was_loaded"]
    assert said(command(server).run("load", "small", "--json"))["was_loaded"]
    children = [command(server).start("load", "slow", "--json") for _ in range(3)]
    for child in children:
        output, errors = child.communicate(timeout=180)
        assert child.returncode == 0, errors
        assert named(json.loads(output)) == "slow"
    assert server.loads() == before + 2
    assert server.loaded() == {"small", "slow"}


def test_an_unknown_model_is_named_and_nothing_is_loaded(server, command):
    before = server.loads()
    ended = command(server).run("load", "no-such-model")
    assert ended.returncode == 7
    assert "no-such-model" in ended.stderr and "small" in ended.stderr
    assert server.loads() == before and server.loaded() == set()


def test_unload_ends_when_the_model_is_gone(server, command):
    said(command(server).run("load", "slow", "--json"))
    unloaded = said(command(server).run("unload", "slow", "--json"))
    assert server.loaded() == set()
    assert [named(model) for model in unloaded["models"]] == ["slow"]
    assert in_memory(command(server)) == set()


def test_unload_all(server, command):
    for model in ("small", "other"):
        said(command(server).run("load", model, "--json"))
    unloaded = said(command(server).run("unload", "--all", "--json"))
    assert server.loaded() == set()
    assert {named(model) for model in unloaded["models"]} == {"small", "other"}


def test_unload_leaves_the_others(server, command):
    for model in ("small", "other"):
        said(command(server).run("load", model, "--json"))
    said(command(server).run("unload", "other", "--json"))
    assert server.loaded() == {"small"}


def test_unload_of_what_is_not_there_says_so(server, command):
    assert said(command(server).run("unload", "small", "--json"))["models"] == []
    ended = command(server).run("unload", "small")
    assert ended.returncode == 0 and "not loaded" in ended.stdout


def test_switch_leaves_the_new_model_alone(server, command):
    said(command(server).run("load", "small", "--json"))
    switched = said(command(server).run("switch", "other", "--json"))
    assert server.loaded() == {"other"}
    assert named(switched["loaded"]) == "other"
    assert [named(model) for model in switched["unloaded"]["models"]] == ["small"]


def test_a_failed_switch_leaves_the_old_model(server, command):
    said(command(server).run("load", "small", "--json"))
    assert command(server).run("switch", "no-such-model").returncode == 7
    assert server.loaded() == {"small"}


def test_ask_loads_what_is_not_there(server, command):
    answer = said(command(server).run("ask", "--model", "small", "--max-tokens", "4", "--json", "Hello"))
    assert answer["response"] and server.loaded() == {"small"}


def test_unload_while_another_answers(server, command):
    """The router cuts the answer after 10 seconds, Ollama lets it end: in both cases it is gone when `unload` is done."""
    said(command(server).run("load", "small", "--json"))
    asked = begin_to_answer(command(server), "small", tokens=200)
    unload = command(server).start("unload", "small", "--json")
    output, errors = unload.communicate(timeout=180)
    assert unload.returncode == 0, errors
    assert server.loaded() == set()
    assert [named(model) for model in json.loads(output)["models"]] == ["small"]
    asked.wait(180)
    assert server.loaded() == set()


def test_unload_undoes_an_interrupted_load(server, command, interrupt):
    load = begin_to_load(command(server), server, "slow")
    interrupt(load)
    assert load.wait(60) == 130
    ended = command(server).run("unload", "slow")
    assert ended.returncode == 0, ended.stderr
    assert server.loaded() == set()
    # Nothing comes after it either: another load is a sign that the server has no load under way.
    said(command(server).run("load", "small", "--json"))
    assert server.loaded() == {"small"}


def test_unload_undoes_a_load_of_another(server, command):
    load = begin_to_load(command(server), server, "slow")
    ended = command(server).run("unload", "slow")
    assert ended.returncode == 0, ended.stderr
    load.wait(180)
    ended = command(server).run("unload", "slow")
    assert ended.returncode == 0, ended.stderr
    assert server.loaded() == set()


def test_an_interrupted_answer_leaves_a_model_that_unloads(server, command, interrupt):
    asked = begin_to_answer(command(server), "small")
    interrupt(asked)
    assert asked.wait(60) == 130
    said(command(server).run("unload", "small", "--json"))
    assert server.loaded() == set()


def test_an_interrupted_unload_goes_on(server, command, interrupt):
    said(command(server).run("load", "small", "--json"))
    asked = begin_to_answer(command(server), "small", tokens=200)
    before = server.unloads()
    unload = command(server).start("unload", "small")
    wait_until(lambda: server.unloads() > before)
    interrupt(unload)
    assert unload.wait(60) == 130
    wait_until(lambda: not server.loaded(), 180)
    asked.wait(180)


def test_a_download_that_cannot_be_is_a_failure(server, command):
    """The router says that it succeeded, and then forgets it."""
    ended = command(server).run("pull", server.unreachable)
    assert ended.returncode not in (0, 130), ended.stdout
    assert server.unreachable.split("/")[0] in ended.stderr
