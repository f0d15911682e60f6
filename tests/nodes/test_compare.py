"""LLM Compare: what each widget does on the wire, what comes out, who fails, and the order of loads and unloads.

Not here: how the panel looks (`browser`), and unloading for a chat (`test_memory`).
"""

import json
import re

import pytest

from conftest import wait_until
from host.hosts import Refused, free_port, runs_beside
from nodes.graphs import CHAT, events, node, outputs_of
from nodes.test_cancel import LONG, cancel
from nodes.test_memory import AFTER_LAST, empty, gone, run, sampler, story, word_for

COMPARE = "XDEV_LLMCompare"
RESPONSES, TABLE, CHART, STATS = "0", "1", "2", "3"
EACH = "unload each after"
BOTH = "first-7b\nsecond-7b"


@pytest.fixture
def studio(serve):
    """LM Studio with models that are not in memory."""
    return empty(serve("--personality", "lmstudio"), "first-7b", "second-7b", "third-7b")


def compare(server, models=BOTH, **widgets):
    """A comparison, named `node`, with a preview of each output but the chart, which needs PyTorch."""
    url = server if isinstance(server, str) else server.url
    inputs = {"prompt": "Hello", "server_url": url, "models": models, "preset": "balanced", **widgets}
    graph = outputs_of(COMPARE, 4, node(COMPARE, **inputs))
    del graph[CHART]
    return graph


def rows(done):
    """The cells of the table, below its head."""
    lines = done.text(TABLE)[0].splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert cells[0] == ["Model", "First token", "Tokens/s", "Tokens", "Time", "Answer"]
    assert {len(row) for row in cells} == {6} and all(set(cell) <= set("-:") for cell in cells[1])
    return cells[2:]


def stats(done):
    """What stats says of each model."""
    return json.loads(done.text(STATS)[0])


def asked(server):
    """The models that were asked, in order."""
    return [chat["body"]["model"] for chat in server.chats()]


def reasons(client, graph):
    """Why a comparison failed."""
    error = client.run(graph).error
    assert error["node_id"] == "node"
    return error["exception_message"]


def refusal(client, graph):
    """Why a comparison was refused when it was queued."""
    with pytest.raises(Refused) as caught:
        client.queue(graph)
    return "\n".join(details for _, _, details in caught.value.errors("node"))


def test_each_model_answers_in_order(client, studio):
    studio.script(following=True, text="From the first.\nMore.")
    studio.script(text="a | b \\ c")
    done = run(client, compare(studio, "second-7b, first-7b"))
    assert asked(studio) == ["second-7b", "first-7b"]
    assert done.text(RESPONSES) == ["From the first.\nMore.", "a | b \\ c"]
    assert [(row[0], row[5]) for row in rows(done)] == [
        ("second-7b", "From the first."),
        ("first-7b", "a \\| b \\\\ c"),
    ]
    for row, told in zip(rows(done), stats(done)):
        assert re.fullmatch(r"\d+\.\d\d s", row[1]) and re.fullmatch(r"\d+\.\d\d s", row[4])
        # An answer that comes at once has no speed.
        assert re.fullmatch(r"(≈ )?[\d.]+|–", row[2]) and re.fullmatch(r"(≈ )?\d+", row[3])
        assert told["model_requested"] == row[0] and told["server"]["url"] == studio.url
        assert told["output_tokens"] > 0 and told["memory"] == {"mode": "keep"}


def test_responses_are_a_list(client, studio):
    studio.script(text="An answer.")
    graph = compare(studio, "first-7b,second-7b\n\n third-7b ,")
    graph["next"] = node(CHAT, prompt=["node", 0], server_url=studio.url, model="first-7b", preset="balanced")
    run(client, graph)
    following = [chat["body"] for chat in studio.chats()][3:]
    assert [body["messages"][-1]["content"] for body in following] == ["An answer."] * 3


# widget: (its value, what is then in the request)
WIDGETS = {
    "prompt": ("Why?", lambda body: body["messages"][-1]["content"] == "Why?"),
    "preset": ("creative", lambda body: body["temperature"] == 0.9 and body["max_tokens"] == 2048),
    "system_prompt": ("Be brief.", lambda body: body["messages"][0] == {"role": "system", "content": "Be brief."}),
    "temperature": (0.15, lambda body: body["temperature"] == 0.15),
    "max_tokens": (33, lambda body: body["max_tokens"] == 33),
    "top_p": (0.55, lambda body: body["top_p"] == 0.55),
    "seed": (41, lambda body: body["seed"] == 41),
    "reasoning": ("low", lambda body: body["reasoning_effort"] == "low"),
}


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_reaches_every_model(client, studio, widget):
    value, is_there = WIDGETS[widget]
    run(client, compare(studio, **{widget: value}))
    found = [chat["body"] for chat in studio.chats()]
    assert len(found) == 2 and all(is_there(body) for body in found), found


def test_timeout(client, studio):
    studio.script(first_token_delay_ms=20_000)
    said = reasons(client, compare(studio, timeout=5, parallel=True))
    assert "2 of 2 models failed" in said and "5 s" in said


def test_sampling_takes_the_place_of_the_numbers(client, studio):
    graph = compare(studio, temperature=0.2, max_tokens=99, sampling=["sampling", 0])
    graph["sampling"] = node("XDEV_LLMSampling", preset="custom", temperature=1.5, top_k=11)
    run(client, graph)
    for chat in studio.chats():
        body = chat["body"]
        assert (body["temperature"], body["top_k"], body.get("max_tokens")) == (1.5, 11, None)


@pytest.mark.parallel
@pytest.mark.parametrize("parallel", [False, True])
def test_one_after_another_or_side_by_side(client, studio, parallel):
    studio.models([{"id": "first-7b", "loaded": True}, {"id": "second-7b", "loaded": True}])
    studio.script(repeat=20, token_delay_ms=25)
    run(client, compare(studio, parallel=parallel))
    begun = sorted(chat["at_ms"] for chat in studio.chats())
    assert (begun[1] - begun[0] < 400) is parallel, begun


def test_an_alias_and_another_server(client, studio, world):
    # `swift` goes to a server that is not there, then to the one that wants a key.
    done = run(client, compare(studio, "first-7b, swift"))
    here, there = stats(done)
    assert here["server"]["url"] == studio.url and "route" not in here["server"]
    assert there["server"]["url"] == world.keyed.url and there["server"]["route"]["alias"] == "swift"
    assert asked(studio) == ["first-7b"] and [row[0] for row in rows(done)] == ["first-7b", "swift"]


def test_auto_is_the_loaded_one(client, studio):
    studio.models({"id": "second-7b", "loaded": True})
    run(client, compare(studio, "auto, first-7b"))
    assert asked(studio) == ["second-7b", "first-7b"]


@pytest.fixture
def ollama(serve):
    """Ollama, which refuses a model that it has not."""
    return empty(serve("--personality", "ollama"), "first-7b", "second-7b")


def test_a_failure_stops_after_all_were_asked(client, ollama):
    said = reasons(client, compare(ollama, "first-7b, nothing-such, second-7b"))
    assert "1 of 3 models failed" in said and "nothing-such" in said
    assert asked(ollama)[0] == "first-7b" and asked(ollama)[-1] == "second-7b"


def test_a_failure_is_left_out(client, ollama):
    graph = compare(ollama, "first-7b, nothing-such, second-7b", on_error="leave out")
    done = run(client, graph)
    assert len(done.text(RESPONSES)) == 2 and not any("nothing-such" in text for text in done.text(RESPONSES))
    failed = rows(done)[1]
    assert failed[0] == "nothing-such" and failed[1:5] == ["–"] * 4 and failed[5].startswith("Failed: ")
    told = stats(done)[1]
    assert told["model_requested"] == "nothing-such" and told["error"]["code"] and "output_tokens" not in told
    parts = done.output("node")["xdev_llm"][0]["parts"]
    assert [part["title"] for part in parts] == ["first-7b", "nothing-such", "second-7b"]
    assert "error" in parts[1] and "text" not in parts[1] and parts[2]["text"]
    assert "node" not in run(client, graph).cached, "a failure is not kept"


@pytest.mark.parametrize("on_error", ["stop", "leave out"])
def test_when_all_fail_each_reason_is_told(client, on_error):
    url = f"http://127.0.0.1:{free_port()}"
    said = reasons(client, compare(url, on_error=on_error))
    assert "2 of 2 models failed" in said and said.count(url) >= 2
    assert "first-7b:" in said and "second-7b:" in said


@pytest.mark.parametrize("personality", ["lmstudio", "ollama"])
def test_each_is_unloaded_before_the_next_is_loaded(client, serve, personality):
    server = empty(serve("--personality", personality), "first-7b", "second-7b")
    server.options(load_delay_ms=50, unload_delay_ms=300)
    done = run(client, compare(server, memory=EACH))
    assert story(server) == "load chat unload load chat unload" and not server.loaded()
    told = [one["memory"] for one in stats(done)]
    assert [one["unloaded"]["models"] for one in told] == [["first-7b"], ["second-7b"]]
    times = [(word_for(one), one["at_ms"]) for one in sorted(server.requests(), key=lambda one: one["at_ms"])]
    loads, unloads = [[when for word, when in times if word == wanted] for wanted in ("load", "unload")]
    # The list shows the first one for as long as it takes to go.
    assert loads[1] >= unloads[0] + 300
    notes = [part["done"]["notes"] for part in done.output("node")["xdev_llm"][0]["parts"]]
    assert all("unloaded" in note[-1] for note in notes)


def test_what_fails_is_unloaded_too(client, studio):
    studio.script(following=True, fault="status:500:broken")
    done = run(client, compare(studio, memory=EACH, on_error="leave out"))
    assert re.sub(r"chat(x\d)?", "chat", story(studio)) == "load chat unload load chat unload"
    assert "error" in stats(done)[0] and not studio.loaded()


def test_a_server_that_cannot_unload_is_named(client, server):
    said = reasons(client, compare(server, "one, two", memory=EACH))
    assert "2 of 2 models failed" in said and not server.chats()


def test_keep_unloads_nothing(client, studio):
    run(client, compare(studio))
    assert story(studio) == "chatx2" and studio.loaded()


def test_a_chat_keeps_its_model_for_a_comparison(client, studio):
    chat = node(CHAT, prompt="Hello", server_url=studio.url, model="second-7b", preset="balanced", memory=AFTER_LAST)
    graph = {**compare(studio, prompt=["chat", 0]), "chat": chat, **sampler(studio, "node")}
    run(client, graph)
    # The first chat is the node before, and the model it loaded is there until the comparison has asked it.
    assert story(studio) == "load chatx3 unload samplingx2"
    (unload,) = [one["body"] for one in studio.requests() if word_for(one) == "unload"]
    assert "second-7b" in json.dumps(unload)


@pytest.mark.parametrize("parallel", [False, True])
def test_cancel_ends_all(client, studio, parallel):
    studio.models([{"id": "first-7b", "loaded": True}, {"id": "second-7b", "loaded": True}])
    studio.script(**LONG)
    count = 2 if parallel else 1
    cancel(
        client,
        compare(studio, parallel=parallel),
        studio,
        lambda: len(studio.chats()) == count and sum(bool(told.get("text")) for told in events(client, "node")) > 3,
        count,
    )
    assert len(studio.chats()) == count


def test_cancel_unloads_in_the_background(client, studio):
    studio.script(**LONG)
    studio.options(unload_delay_ms=300)
    cancel(client, compare(studio, memory=EACH), studio, lambda: any(told.get("text") for told in events(client, "node")))
    gone(studio)
    assert story(studio) == "load chat unload"


def test_the_panel_has_a_part_for_each(client, studio):
    studio.script(repeat=10, token_delay_ms=20)
    run(client, compare(studio))
    told = events(client, "node")
    for part, name in enumerate(("first-7b", "second-7b")):
        of_this = [data for data in told if data.get("part", 0) == part]
        assert of_this[0]["start"] and {data["title"] for data in of_this if data.get("start")} == {name}
        assert "".join(data.get("text", "") for data in of_this) == "tok " * 10
        (done,) = [data["done"] for data in of_this if "done" in data]
        assert done["tokens_per_second"] > 0
    assert [data.get("part", 0) for data in told if data.get("queued")] == [0, 1]


def test_a_list_of_prompts(client, studio):
    studio.script(repeat=5, token_delay_ms=20)
    graph = {**compare(studio, prompt=["list", 0], memory=EACH), "list": node("ProbeList", count=3, text="Question")}
    done = run(client, graph)
    assert len(done.text(RESPONSES)) == 6 and len(done.text(TABLE)) == 3
    assert len(done.output("node")["xdev_llm"]) == 3
    # An answer takes four pauses at least; one is left for the clocks.
    times = sorted((chat["at_ms"], chat["at_ms"] + 3 * 20) for chat in studio.chats())
    assert all(before[1] <= after[0] for before, after in zip(times, times[1:])), "only one is asked at a time"
    if runs_beside(client.host.kind):
        assert story(studio) == "load chatx3 unload load chatx3 unload"


BAD = {
    "nothing": ({"models": ""}, "models: give at least two"),
    "one": ({"models": "first-7b,\n"}, "models: give at least two"),
    "twice": ({"models": "a, b, a"}, "models: each may be named once: a"),
    "too many": ({"models": ",".join(f"m{index}" for index in range(51))}, "models: these are 51"),
    "a key": ({"models": "a\nsk-" + "a1B2" * 12}, "models: this looks like a key"),
    "both": ({"parallel": True, "memory": EACH}, 'memory: "unload each after" needs one model after another'),
    "memory": ({"memory": "perhaps"}, "memory:"),
    "on_error": ({"on_error": "perhaps"}, "on_error:"),
    "prompt": ({"prompt": ""}, "prompt:"),
    "server": ({"server_url": "htp:/nowhere"}, "server_url:"),
    "number": ({"temperature": 3.0}, "temperature:"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_fields_are_named(client, studio, case):
    widgets, words = BAD[case]
    assert words in refusal(client, compare(studio, **widgets)) and not studio.chats()


def test_linked_and_unchecked_fields_are_looked_at_later(client, studio):
    graph = compare(studio, models=["names", 0])
    graph["names"] = node("PrimitiveString", value="only-one")
    assert "at least two" in reasons(client, graph)
    assert "at least two" in reasons(client, compare(studio, "only-one", validate_input=False))
    graph["names"]["inputs"]["value"] = "first-7b,second-7b"
    run(client, graph)
    assert asked(studio) == ["first-7b", "second-7b"]


def test_the_last_answers_are_used_again(client, studio):
    studio.models([{"id": name, "loaded": True} for name in ("second-7b", "third-7b")])
    graph = compare(studio, "auto, third-7b", seed=3)
    run(client, graph)
    assert "node" in run(client, graph).cached
    studio.models([{"id": "first-7b", "loaded": True}, {"id": "second-7b", "loaded": False}])
    assert "node" not in run(client, graph).cached, "auto is another model now"


def test_without_pytorch_what_hangs_on_the_chart_is_left_out(client, studio):
    graph = {**compare(studio), "picture": node("PreviewAny", source=["node", int(CHART)])}
    done = client.run(graph)
    if client.host.kind == "real":
        assert "picture" in done.entry["outputs"]
    else:
        assert "picture" not in done.entry["outputs"] and len(done.entry["outputs"][RESPONSES]["text"]) == 2


def test_the_chart_is_an_image(client, studio):
    if client.host.kind != "real":
        pytest.skip("the contract host has no PyTorch")
    studio.script(following=True, text="word " * 40)
    studio.script(text="word " * 10)
    graph = {**compare(studio), "out": node("XDEV_OutputDev", input_1=["node", int(CHART)], display_level="full")}
    (told,) = run(client, graph).output("out")["xdev_llm"]
    (value,) = told["inspection"]["values"]
    assert re.fullmatch(r"image, 1024 × \d+ pixels(, 1 picture)?", value["headline"])
    facts = dict(value["facts"])
    assert facts["type"].endswith("float32") and "problem" not in value
    assert 0 <= float(facts["min"]) < float(facts["max"]) <= 1
