"""When a chat loads and unloads its model, held against the request log of the server: once, after the last, for sure.

The mark `sampling` in the log is a node that stands for a sampler: it has a model of ComfyUI's own. Not here: the nodes
that only load or unload.
"""

import json
import time

import pytest

from host.hosts import Refused, runs_beside, wait_until
from nodes.graphs import CHAT, RESPONSE, STATS, chat, events, node

LIMIT = 0.2
AFTER = "unload after"
AFTER_LAST = "unload after the last LLM node"
FREE_FIRST = "free ComfyUI's models first"
FREE_FIRST_AFTER_LAST = "free ComfyUI's models first, unload after the last"
LONG = {"repeat": 5000, "token_delay_ms": 20}
ITEMS = 8


@pytest.fixture
def studio(serve):
    """LM Studio with models that are not in memory."""
    return empty(serve("--personality", "lmstudio"), "first-7b", "second-7b")


def empty(server, *names):
    """The server with these models, none of them loaded."""
    server.models([{"id": name, "loaded": False} for name in names])
    return server


def ask(server, prompt="Hello", memory="keep", model="first-7b", **widgets):
    """A chat."""
    inputs = {"prompt": prompt, "server_url": server.url, "model": model, "preset": "balanced", "memory": memory}
    return node(CHAT, **{**inputs, **widgets})


def sampler(server, source):
    """What stands for a sampler behind a node, with its model, and what shows the result."""
    return {
        "diffusion_model": node("ProbeModel"),
        "sampler": node("ProbeDiffusion", model=["diffusion_model", 0], text=[source, 0], url=server.url),
        "picture": node("ProbeSink", source=["sampler", 0]),
    }


def story(server):
    """What the server was asked that matters, in order; what repeats stands once, with how often."""
    told = []
    for asked in sorted(server.requests(), key=lambda asked: asked["at_ms"]):
        word = word_for(asked)
        if word and told and told[-1][0] == word:
            told[-1][1] += 1
        elif word:
            told.append([word, 1])
    return " ".join(word if times == 1 else f"{word}x{times}" for word, times in told)


def word_for(asked):
    """What one request was for."""
    path, body = asked["path"], asked["body"]
    if asked["method"] == "POST" and path.endswith("/models/load"):
        return "load"
    if asked["method"] == "POST" and path.endswith("/models/unload"):
        return "unload"
    if path == "/api/generate":
        return "unload" if body.get("keep_alive") == 0 else "load"
    if asked["method"] == "POST" and "chat" in path:
        return "chat"
    return "sampling" if path == "/sampling" else None


def run(client, graph):
    """A prompt that ends well."""
    done = client.run(graph)
    assert done.status == "success", done.entry["status"]["messages"][-1]
    return done


def gone(server):
    """Waits until nothing is in memory."""
    wait_until(lambda: not server.loaded(), 20, f"an empty memory: {story(server)}")


def stats(done, node_id=STATS):
    """What generation_stats says of memory, for each item."""
    return [json.loads(text)["memory"] for text in done.text(node_id)]


def test_keep_asks_for_nothing(client, studio):
    done = run(client, chat(studio, model="first-7b"))
    assert story(studio) == "chat" and studio.loaded() == ["first-7b"]
    assert stats(done) == [{"mode": "keep"}]


@pytest.mark.parametrize("personality", ["lmstudio", "ollama"])
@pytest.mark.parametrize("asked", ["all", "first", "last"])
def test_three_nodes_and_a_list_of_eight(client, serve, personality, asked):
    server = empty(serve("--personality", personality), "first-7b")
    server.options(load_delay_ms=100, unload_delay_ms=300)
    modes = {"all": [AFTER_LAST] * 3, "first": [AFTER_LAST, "keep", "keep"], "last": ["keep", "keep", AFTER_LAST]}
    first, second, third = modes[asked]
    graph = {
        "list": node("ProbeList", count=ITEMS, text="Question"),
        "one": ask(server, ["list", 0], first),
        "two": ask(server, ["one", 0], second),
        "three": ask(server, ["two", 0], third),
        **sampler(server, "three"),
    }
    assert len(run(client, graph).text("picture")) == ITEMS
    if asked == "last":
        # Each node before it sees to it that the model is there; Ollama is told again what it has.
        assert story(server).endswith(f" unload samplingx{ITEMS}")
    else:
        assert story(server) == f"load chatx{3 * ITEMS} unload samplingx{ITEMS}"
    assert not server.loaded() and [server.models()[0][name] for name in ("loads", "unloads")] == [1, 1]
    times = {word_for(asked): asked["at_ms"] for asked in reversed(server.requests())}
    # The list shows the model for as long as it takes to go, and sampling begins after that.
    assert times["sampling"] >= times["unload"] + 300


def test_three_side_by_side(client, studio):
    studio.script(repeat=5, token_delay_ms=20)
    graph = {name: ask(studio, name, AFTER_LAST) for name in ("one", "two", "three")}
    run(client, {**graph, **sampler(studio, "one")})
    assert story(studio) == "load chatx3 unload sampling"


def test_what_hangs_on_the_quickest_waits_for_all(client, studio):
    studio.script(following=True, text="Quick.")
    studio.script(repeat=20, token_delay_ms=50)
    graph = {"one": ask(studio, "one", AFTER_LAST), "two": ask(studio, "two")}
    run(client, {**graph, **sampler(studio, "one")})
    assert story(studio) == "load chatx2 unload sampling"


def test_one_that_begins_late_is_waited_for(client, studio):
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        "slow": node("ProbeSampler", seconds=1.0, step=0.02, seed=int(time.time())),
        "two": ask(studio, ["slow", 0], AFTER_LAST),
    }
    run(client, {**graph, **sampler(studio, "one")})
    # Where nodes run one after another, nobody can be waited for.
    expected = ["load chatx2 unload sampling"]
    if not runs_beside(client.host.kind):
        expected.append("load chat sampling chat unload")
    assert story(studio) in expected


def test_one_that_was_answered_before(client, studio):
    graph = {"one": ask(studio, "one", seed=3), "show": node("ProbeSink", source=["one", 0])}
    run(client, graph)
    graph["two"] = ask(studio, "two", AFTER_LAST)
    done = run(client, graph)
    assert "one" in done.cached and story(studio) == "chatx2 unload"


def test_a_cached_node_does_nothing(client, studio):
    graph = chat(studio, model="first-7b", memory=AFTER, seed=3)
    run(client, graph)
    assert "chat" in run(client, graph).cached and story(studio) == "load chat unload"


def test_another_model_is_nobody_to_wait_for(client, studio):
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        "two": ask(studio, ["one", 0], model="second-7b"),
        **sampler(studio, "two"),
    }
    run(client, graph)
    assert story(studio) == "load chat unload chat sampling" and studio.loaded() == ["second-7b"]


def test_a_model_under_two_names_is_one(client, studio):
    studio.models([{"id": "first-7b", "loaded": True}])
    graph = {"one": ask(studio, "one", AFTER_LAST, model="auto"), "two": ask(studio, ["one", 0], model="first-7b")}
    run(client, graph)
    assert story(studio) == "chatx2 unload"


def test_two_models_are_each_given_back(client, studio):
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        "two": ask(studio, ["one", 0], AFTER_LAST, model="second-7b"),
        "three": ask(studio, ["two", 0], AFTER_LAST),
    }
    run(client, graph)
    assert not studio.loaded() and story(studio) == "load chat load chat unload chat unload"


def test_a_model_is_not_kept_over_the_sampler(client, studio):
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        **sampler(studio, "one"),
        "two": ask(studio, ["sampler", 0], AFTER_LAST),
        "three": ask(studio, ["two", 0], AFTER_LAST),
    }
    run(client, graph)
    assert story(studio) == "load chat unload sampling load chatx2 unload"


def test_unload_after_is_after_all_items(client, studio):
    graph = {**chat(studio, prompt=["list", 0], model="first-7b", memory=AFTER), "list": node("ProbeList", count=ITEMS, text="Q")}
    done = run(client, graph)
    assert story(studio) == f"load chatx{ITEMS} unload"
    told = stats(done)
    assert len(told) == ITEMS and told[-1]["unloaded"]["models"] == ["first-7b"]
    if runs_beside(client.host.kind):
        assert all(item["unloaded"] == told[0]["unloaded"] for item in told)
    else:
        assert all(item["kept_for"] == ["chat"] for item in told[:-1])


def test_unload_after_is_after_this_node(client, studio):
    graph = {"one": ask(studio, "one", AFTER), "two": ask(studio, ["one", 0], AFTER)}
    run(client, graph)
    assert story(studio) == "load chat unload load chat unload"


def test_nodes_that_another_node_puts_into_the_graph(client, studio):
    if client.host.kind != "real":
        pytest.skip("the contract host adds no nodes")
    inner = {
        "one": ask(studio, "one", AFTER_LAST),
        "two": ask(studio, ["one", 0], AFTER_LAST),
    }
    graph = {
        "outer": ask(studio, "outer", AFTER_LAST),
        "expand": node("ProbeExpand", after=["outer", 0], graph=json.dumps(inner), result="two"),
        "after": ask(studio, ["expand", 0], AFTER_LAST),
        **sampler(studio, "after"),
    }
    run(client, graph)
    assert story(studio) == "load chatx4 unload sampling"


def test_items_with_different_models(client, serve):
    server = empty(serve("--personality", "lmstudio"), "model 0", "model 1")
    graph = {
        "models": node("ProbeList", count=2, text="model"),
        "chat": ask(server, "Hello", AFTER_LAST, model=["models", 0]),
        **sampler(server, "chat"),
    }
    run(client, graph)
    assert not server.loaded()
    *before, last = story(server).split()
    assert last == "samplingx2" and before[-1] in ("unload", "unloadx2")


def test_what_is_kept_and_for_whom_is_told(client, studio):
    studio.options(load_delay_ms=300)
    graph = {**chat(studio, model="first-7b", memory=AFTER_LAST), "two": ask(studio, ["chat", 0], AFTER_LAST)}
    done = run(client, graph)
    (told,) = stats(done)
    assert told["mode"] == AFTER_LAST and told["kept_for"] == ["two"]
    assert told["loaded"]["id"] == "first-7b" and told["loaded"]["was_loaded"] is False
    (shown,) = done.output("two")["xdev_llm"]
    assert any("unloaded first-7b in" in note for note in shown["done"]["notes"])
    phases = [data["progress"]["phase"] for data in events(client) if data.get("progress")]
    assert "loading_model" in phases or client.host.kind == "real"


def test_megabytes_that_the_server_tells(client, serve):
    server = serve("--personality", "ollama")
    server.models([{"id": "first-7b", "loaded": False, "vram_bytes": 5 * 2**30}])
    (told,) = stats(run(client, chat(server, model="first-7b", memory=AFTER)))
    assert told["unloaded"]["freed_mb"] == 5 * 1024
    assert {"free_mb_before", "free_mb_after", "duration"} <= set(told["unloaded"])


def test_auto_is_one_model_from_beginning_to_end(client, studio):
    done = run(client, chat(studio, model="auto", memory=AFTER))
    asked = [entry["body"] for entry in studio.requests() if word_for(entry)]
    (told,) = stats(done)
    name = told["loaded"]["id"]
    assert asked[0]["model"] == asked[1]["model"] == name and told["unloaded"]["models"] == [name]
    assert not studio.loaded()


def test_free_comfyui_first(client, studio):
    graph = {
        "calls": node("ProbeMemory"),
        "told": node("PreviewAny", source=["calls", 0]),
    }
    run(client, graph)
    (told,) = stats(run(client, chat(studio, model="first-7b", memory=FREE_FIRST_AFTER_LAST)))
    assert set(told["comfyui"]) == {"free_mb_before", "free_mb_after"}
    assert story(studio) == "load chat unload"
    calls = run(client, graph).text("told")[0].split()
    assert calls[:4] == ["get_free_memory", "unload_all_models", "soft_empty_cache", "get_free_memory"]


def test_free_comfyui_first_leaves_the_model(client, studio):
    (told,) = stats(run(client, chat(studio, model="first-7b", memory=FREE_FIRST)))
    assert "comfyui" in told and "unloaded" not in told
    assert story(studio) == "chat" and studio.loaded() == ["first-7b"]


@pytest.mark.parametrize("personality", ["llama.cpp", "generic"])
def test_a_server_that_cannot_unload_is_asked_nothing(client, serve, personality):
    server = serve("--personality", personality)
    error = client.run(chat(server, memory=AFTER)).error
    assert "Unsupported" in error["exception_type"] and not server.chats()
    assert "load" in error["exception_message"] and server.url in error["exception_message"]


def test_an_alias_is_what_it_stands_for(client, world):
    error = client.run(chat("", model="swift", memory=AFTER)).error
    # Its second route goes to a server that cannot unload.
    assert "Unsupported" in error["exception_type"] and world.keyed.url in error["exception_message"]


def test_a_server_that_cannot_unload_and_a_fallback(client, serve):
    server = serve("--personality", "generic")
    graph = chat(server, memory=AFTER, on_error="use fallback text", fallback_text="instead")
    assert run(client, graph).text(RESPONSE) == ["instead"] and not server.chats()


def test_a_model_that_does_not_go_stops_the_workflow(client, studio):
    studio.options(load_failure="out of memory")
    error = client.run(chat(studio, model="first-7b", memory=AFTER)).error
    assert "out of memory" in error["exception_message"] and not studio.chats()


def test_an_answer_that_fails_gives_the_memory_back(client, studio):
    studio.script(fault="status:500")
    assert client.run(chat(studio, model="first-7b", memory=AFTER)).error
    gone(studio)


def test_a_fallback_gives_the_memory_back_first(client, studio):
    studio.script(fault="status:500")
    chatting = ask(studio, "one", AFTER, on_error="use fallback text", fallback_text="instead")
    run(client, {"one": chatting, **sampler(studio, "one")})
    assert story(studio).split()[-2:] == ["unload", "sampling"]


def cancel(client, graph, begun):
    """Cancels a prompt once it has begun, and checks that it ends at once."""
    prompt_id = client.queue(graph)
    wait_until(begun)
    sent = client.interrupt(prompt_id)
    ended = client.wait(prompt_id, 30)
    assert "execution_interrupted" in ended.ends, ended.entry["status"]
    late = ended.ends["execution_interrupted"]["timestamp"] / 1000 - sent
    assert late < LIMIT, f"{late * 1000:.0f} ms"


MOMENTS = ["load", "chat", "unload"]


@pytest.mark.parametrize("items", [1, 4])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("memory", [AFTER, AFTER_LAST])
def test_cancel(client, studio, moment, items, memory):
    studio.options(load_delay_ms=1000 if moment == "load" else 0, unload_delay_ms=1000 if moment == "unload" else 0)
    if moment == "chat":
        studio.script(**LONG)
    graph = {
        "list": node("ProbeList", count=items, text="Q"),
        "one": ask(studio, ["list", 0], memory),
        "two": ask(studio, ["one", 0], "keep"),
        **sampler(studio, "two"),
    }
    if moment == "unload":
        del graph["two"]
        graph.update(sampler(studio, "one"))
    cancel(client, graph, lambda: moment in story(studio).replace("unload", "x" if moment == "load" else "unload"))
    gone(studio)
    assert "sampling" not in story(studio)


@pytest.mark.parametrize("after_ms", [0, 30, 60, 100, 150, 200, 300, 400, 600, 900])
def test_cancel_at_any_time(client, studio, after_ms):
    studio.options(load_delay_ms=150, unload_delay_ms=150)
    studio.script(repeat=10, token_delay_ms=15)
    prompt_id = client.queue(chat(studio, model="first-7b", memory=AFTER))
    time.sleep(after_ms / 1000)
    client.interrupt(prompt_id)
    client.wait(prompt_id, 30)
    gone(studio)
    time.sleep(0.3)
    assert not studio.loaded()


@pytest.mark.parametrize("memory", ["keep", FREE_FIRST])
def test_cancel_unloads_nothing_that_nobody_asked_for(client, studio, memory):
    studio.script(**LONG)
    cancel(client, chat(studio, model="first-7b", memory=memory), studio.chats)
    time.sleep(0.5)
    assert studio.loaded() == ["first-7b"] and "unload" not in story(studio)


@pytest.mark.parallel
@pytest.mark.parametrize("memory", [AFTER, "keep"])
def test_another_node_that_fails(client, studio, memory):
    studio.script(**LONG)
    graph = {
        **chat(studio, model="first-7b", memory=memory),
        "fail": node("ProbeAsyncFail", seconds=1.0, message="the other node's fault"),
        "sink": node("ProbeSink", source=["fail", 0]),
    }
    assert "the other node's fault" in client.run(graph).error["exception_message"]
    if memory == AFTER:
        gone(studio)
    else:
        time.sleep(0.5)
        assert studio.loaded() == ["first-7b"]


@pytest.mark.parametrize("kind", ["ProbeFail", "ProbeBlockText"])
def test_what_was_kept_for_a_node_that_never_asks(client, studio, kind):
    graph = {
        "one": ask(studio, "one", AFTER_LAST),
        "between": node("ProbeFail", message="no", source=["one", 0])
        if kind == "ProbeFail"
        else node("ProbeBlock", message=["one", 0]),
        "two": ask(studio, ["between", 0], AFTER_LAST),
    }
    assert (client.run(graph).status == "error") == (kind == "ProbeFail")
    gone(studio)
    assert story(studio) == "load chat unload"


def test_the_next_prompt_waits_for_the_unload(client, studio):
    studio.options(unload_delay_ms=1000)
    studio.script(following=True, **LONG)
    cancel(client, chat(studio, model="first-7b", memory=AFTER), studio.chats)
    run(client, chat(studio, model="first-7b", prompt="Again"))
    assert story(studio) == "load chat unload chat" and studio.loaded() == ["first-7b"]


def test_an_unknown_mode_is_refused(client, studio):
    with pytest.raises(Refused):
        client.queue(chat(studio, memory="unload now"))


def test_items_are_known_where_nodes_run_one_by_one(client, studio):
    """A shorter list repeats its last item; the model stays for those too."""
    graph = {
        **chat(studio, prompt=["list", 0], system_prompt=["two", 0], model="first-7b", memory=AFTER),
        "list": node("ProbeList", count=3, text="Q"),
        "two": node("ProbeList", count=2, text="S"),
    }
    run(client, graph)
    assert story(studio) == "load chatx3 unload"
