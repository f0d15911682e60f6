"""LLM Load and LLM Unload: what each widget does on the wire, what comes out, and when they run again.

Not here: chats that load and unload by themselves (`test_memory`).
"""

import json

import pytest

from conftest import wait_until
from host.hosts import Refused, free_port
from nodes.graphs import node, outputs_of
from nodes.test_memory import AFTER_LAST, ask, empty, gone, run, sampler, story

LOAD, UNLOAD = "XDEV_LLMLoad", "XDEV_LLMUnload"


@pytest.fixture
def studio(serve):
    """LM Studio with models that are not in memory."""
    return empty(serve("--personality", "lmstudio"), "first-7b", "second-7b")


def load(client, server, **widgets):
    """What a Load gives: (model, report)."""
    entry = node(LOAD, **{"server_url": server.url, "model": "first-7b", **widgets})
    done = run(client, outputs_of(LOAD, 3, entry))
    return done.text("1")[0], json.loads(done.text("2")[0])


def unload(client, server, **widgets):
    """What an Unload reports."""
    entry = node(UNLOAD, **{"server_url": server.url, "model": "first-7b", **widgets})
    return json.loads(run(client, outputs_of(UNLOAD, 2, entry)).text("1")[0])


def bodies(server, word):
    """The bodies of all requests of a kind."""
    return [asked["body"] for asked in server.requests() if asked["path"].endswith(f"/models/{word}")]


def test_load(client, studio):
    model, report = load(client, studio, model="FIRST-7B")
    assert model == "first-7b" and report["loaded"]["was_loaded"] is False and report["loaded"]["duration"] >= 0
    assert studio.loaded() == ["first-7b"] and story(studio) == "load"


def test_load_what_is_loaded(client, studio):
    studio.models({"id": "first-7b", "loaded": True})
    assert load(client, studio)[1]["loaded"]["was_loaded"] is True and story(studio) == ""


def test_load_with_a_context(client, studio):
    report = load(client, studio, context_length=2048)[1]
    assert bodies(studio, "load")[0]["context_length"] == 2048 and report["loaded"]["context_length"] == 2048


def test_a_context_of_nought_is_not_sent(client, studio):
    load(client, studio, context_length=0, keep_alive=0)
    assert set(bodies(studio, "load")[0]) <= {"model", "echo_load_config"}


@pytest.mark.parametrize("seconds", [90, -1])
def test_load_for_a_time(client, serve, seconds):
    server = empty(serve("--personality", "ollama"), "first-7b")
    load(client, server, keep_alive=seconds)
    (asked,) = [asked["body"] for asked in server.requests() if asked["path"] == "/api/generate"]
    assert str(asked["keep_alive"]).rstrip("s") == str(seconds)


def test_free_comfyui_first(client, studio):
    assert "comfyui" not in load(client, studio)[1]
    assert set(load(client, studio, free_comfyui_first=True)[1]["comfyui"]) == {"free_mb_before", "free_mb_after"}


def test_load_what_is_not_there(client, studio):
    error = client.run({"node": node(LOAD, server_url=studio.url, model="third-7b")}).error
    assert "third-7b" in error["exception_message"] and story(studio) == ""


def test_load_finds_another_server(client, discoverable):
    server = empty(discoverable("--personality", "lmstudio"), "first-7b")
    url = f"http://127.0.0.1:{free_port()}"
    entry = {"server_url": url, "model": "first-7b"}
    assert client.run({"node": node(LOAD, **entry, auto_detect_server=False)}).error
    run(client, {"node": node(LOAD, **entry, auto_detect_server=True)})
    assert server.loaded() == ["first-7b"]


def test_a_load_for_a_chat_that_unloads(client, studio):
    graph = {
        "load": node(LOAD, server_url=studio.url, model="first-7b"),
        "one": ask(studio, "one", AFTER_LAST, model=["load", 1]),
        "two": ask(studio, ["one", 0], AFTER_LAST, model=["load", 1]),
        **sampler(studio, "two"),
    }
    run(client, graph)
    assert story(studio) == "load chatx2 unload sampling"


def test_what_a_load_loads_after_a_chat_stays(client, studio):
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        "load": node(LOAD, server_url=studio.url, model="first-7b", value=["one", 0]),
        "end": node("PreviewAny", source=["load", 0]),
    }
    run(client, graph)
    assert story(studio) == "load chat" and studio.loaded() == ["first-7b"]


def test_unload(client, studio):
    studio.models([{"id": "first-7b", "loaded": True}, {"id": "second-7b", "loaded": True}])
    report = unload(client, studio)
    assert report["unloaded"]["models"] == ["first-7b"] and report["unloaded"]["duration"] >= 0
    assert studio.loaded() == ["second-7b"] and story(studio) == "unload"


def test_unload_the_one_that_is_loaded(client, studio):
    studio.models({"id": "second-7b", "loaded": True})
    assert unload(client, studio, model="auto")["unloaded"]["models"] == ["second-7b"]


def test_unload_all(client, studio):
    studio.models([{"id": "first-7b", "loaded": True}, {"id": "second-7b", "loaded": True}])
    report = unload(client, studio, model="nothing such", unload_all=True)
    assert sorted(report["unloaded"]["models"]) == ["first-7b", "second-7b"] and not studio.loaded()


def test_unload_where_nothing_is_loaded(client, studio):
    entry = node(UNLOAD, server_url=studio.url, model="first-7b")
    done = run(client, outputs_of(UNLOAD, 2, entry))
    assert json.loads(done.text("1")[0])["unloaded"]["models"] == []
    assert done.output("node")["xdev_llm"][0]["report"] == "nothing was loaded"
    assert story(studio) == ""


def test_unload_and_free_comfyui(client, studio):
    assert "comfyui" not in unload(client, studio)
    assert set(unload(client, studio, free_comfyui=True)["comfyui"]) == {"free_mb_before", "free_mb_after"}


def test_a_server_that_is_down(client):
    url = f"http://127.0.0.1:{free_port()}"
    entry = {"server_url": url, "model": "auto"}
    error = client.run({"node": node(UNLOAD, **entry)}).error
    assert "Unreachable" in error["exception_type"] and url in error["exception_message"]
    graph = outputs_of(UNLOAD, 2, node(UNLOAD, **entry, on_error="go on"))
    report = json.loads(run(client, graph).text("1")[0])
    assert report["error"]["code"] == "unreachable" and "unloaded" not in report
    # It is no result to use again.
    assert "node" not in run(client, graph).cached


def test_a_server_that_cannot_unload(client, serve):
    server = serve("--personality", "llama.cpp")
    error = client.run({"node": node(UNLOAD, server_url=server.url, model="auto")}).error
    assert "Unsupported" in error["exception_type"]


def test_between_a_chat_and_a_sampler(client, studio):
    studio.options(unload_delay_ms=500)
    graph = {
        "one": ask(studio, "one"),
        "unload": node(UNLOAD, server_url=studio.url, model="first-7b", value=["one", 0]),
        **sampler(studio, "unload"),
    }
    done = run(client, graph)
    assert story(studio) == "chat unload sampling" and done.text("picture")[0].startswith("picture of The sea")
    times = {asked["path"].rpartition("/")[2]: asked["at_ms"] for asked in reversed(studio.requests())}
    assert times["sampling"] >= times["unload"] + 500


@pytest.mark.parallel
def test_unload_waits_for_answers(client, studio):
    studio.script(repeat=20, token_delay_ms=50)
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        "wait": node("ProbeAsync", text="x", seconds=0.4, ask="never"),
        "unload": node(UNLOAD, server_url=studio.url, model="first-7b", value=["wait", 0]),
    }
    done = run(client, graph)
    assert done.output("one")["xdev_llm"][0]["done"]["finish_reason"] == "stop"
    gone(studio)


def test_cancel_while_it_unloads(client, studio):
    studio.models({"id": "first-7b", "loaded": True})
    studio.options(unload_delay_ms=1500)
    prompt_id = client.queue({"node": node(UNLOAD, server_url=studio.url, model="first-7b")})
    wait_until(lambda: story(studio) == "unload")
    sent = client.interrupt(prompt_id)
    ended = client.wait(prompt_id, 20).ends["execution_interrupted"]
    assert ended["timestamp"] / 1000 - sent < 0.2
    gone(studio)


@pytest.mark.parametrize("kind", [LOAD, UNLOAD])
@pytest.mark.parametrize(
    "text", ["{'waveform': [1.0], 'sample_rate': 44100}", "None", "[1, 2, 3]", "bytearray(b'123')", "(1, (2,))"]
)
def test_any_value_comes_out_as_it_is(client, studio, kind, text):
    graph = {
        "value": node("ProbeValue", name=text),
        "node": node(kind, server_url=studio.url, model="first-7b", value=["value", 0]),
        "same": node("ProbeSame", one=["value", 0], other=["node", 0]),
    }
    (told,) = run(client, graph).text("same")
    assert told.split() == ["True", type(eval(text)).__name__]


@pytest.mark.parametrize("kind", [LOAD, UNLOAD])
def test_a_list_comes_out_as_a_list(client, studio, kind):
    graph = {
        "list": node("ProbeList", count=3, text="item"),
        "node": node(kind, server_url=studio.url, model="first-7b", value=["list", 0]),
        "sink": node("ProbeSink", source=["node", 0]),
    }
    graph["sink"]["class_type"] = "PreviewAny"
    assert run(client, graph).text("sink") == ["item 0", "item 1", "item 2"]
    assert story(studio) == ("load" if kind == LOAD else "")


def test_load_runs_again_when_the_model_has_gone(client, studio):
    graph = {"node": node(LOAD, server_url=studio.url, model="first-7b")}
    run(client, graph)
    assert "node" in run(client, graph).cached and "node" in run(client, graph).cached
    empty(studio, "first-7b", "second-7b")
    assert "node" not in run(client, graph).cached and studio.loaded() == ["first-7b"]
    assert "node" in run(client, graph).cached and story(studio) == "loadx2"


def test_a_linked_model_is_looked_at_too(client, studio):
    graph = {
        "name": node("PrimitiveString", value="first-7b"),
        "node": node(LOAD, server_url=studio.url, model=["name", 0]),
    }
    run(client, graph)
    assert "node" in run(client, graph).cached
    empty(studio, "first-7b", "second-7b")
    assert "node" not in run(client, graph).cached and studio.loaded() == ["first-7b"]


@pytest.mark.parametrize("widgets", [{}, {"model": "auto"}, {"unload_all": True}])
def test_unload_runs_again_when_it_is_loaded_again(client, studio, widgets):
    studio.models({"id": "first-7b", "loaded": True})
    graph = {"node": node(UNLOAD, **{"server_url": studio.url, "model": "first-7b", **widgets})}
    run(client, graph)
    assert "node" in run(client, graph).cached and story(studio) == "unload"
    studio.models({"id": "first-7b", "loaded": True})
    assert "node" not in run(client, graph).cached and not studio.loaded()


def test_unload_runs_again_when_its_value_changes(client, studio):
    def graph(text):
        source = node("PrimitiveString", value=text)
        return {"source": source, "node": node(UNLOAD, server_url=studio.url, model="first-7b", value=["source", 0])}

    run(client, graph("one"))
    assert "node" not in run(client, graph("two")).cached


@pytest.mark.parametrize(
    "kind,field,value",
    [(LOAD, "context_length", 100), (LOAD, "keep_alive", -2), (UNLOAD, "on_error", "perhaps"), (UNLOAD, "model", "sk-" + "a1B2" * 12)],
)
def test_wrong_fields_are_named(client, kind, field, value):
    inputs = {"server_url": "http://127.0.0.1:1", "model": "auto", field: value}
    with pytest.raises(Refused) as caught:
        client.queue({"node": node(kind, **inputs)})
    assert field in json.dumps(caught.value.answer)
