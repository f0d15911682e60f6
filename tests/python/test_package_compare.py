"""Several models asked the same: what comes of each, what the listener hears, and that they end together."""

import asyncio
import gc
import time
import weakref

import pytest
import xdev_llm

from .support import body, chats, closed_by_client

MODELS = ["qwen3-4b", "google/gemma-3-12b"]


def until(reached, seconds=20):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.01)


@pytest.mark.parametrize("parallel", [False, True])
def test_every_model_gives_its_answer_in_the_order_of_the_names(client, server, parallel):
    compared = client.compare("Hello", models=MODELS, parallel=parallel, server=server.url, max_tokens=33).wait()
    assert [entry["model"] for entry in compared] == MODELS
    assert [entry["error"] for entry in compared] == [None, None]
    for entry in compared:
        reply = entry["reply"]
        assert isinstance(reply, xdev_llm.ChatReply) and reply.text == "Hello there, friend."
        assert reply.server["url"] == server.url and reply.stats["model_requested"] == entry["model"]
        assert '"Hello there, friend."' in reply.conversation
    assert body(server)["max_tokens"] == 33
    assert sorted(chat["body"]["model"] for chat in chats(server)) == sorted(MODELS)


def test_one_after_another_keeps_the_order(client, server):
    client.compare("Hello", models=[*MODELS, MODELS[0]], server=server.url).wait()
    assert [chat["body"]["model"] for chat in chats(server)] == [*MODELS, MODELS[0]]


def test_a_failure_leaves_the_others_alone(sandbox, mock, server):
    other = mock("--personality", "ollama", "--text", "From the other.")
    sandbox.config(
        f'server = "{server.url}"\n[aliases.other]\nserver = "{other.url}"\n[aliases.gone]\nserver = "http://127.0.0.1:1"\n'
    )
    compared = xdev_llm.Client().compare("Hello", models=["gone", "auto", "other"]).wait()
    failed, own, others = compared
    assert failed["reply"] is None and isinstance(failed["error"], xdev_llm.Unreachable)
    assert "No route of the alias" in str(failed["error"]) and failed["error"].hint
    assert own["reply"].text == "Hello there, friend." and "route" not in own["reply"].server
    assert others["reply"].text == "From the other." and others["reply"].server["route"]["alias"] == "other"


def test_the_listener_hears_whose_event_it_is(client, server):
    heard = []
    compared = client.compare("Hello", models=MODELS, server=server.url, on_events=heard.extend, interval=0.01).wait()
    assert [(index, event.kind) for index, event in heard if event.kind in ("begun", "ended")] == [
        (0, "begun"), (0, "ended"), (1, "begun"), (1, "ended"),
    ]  # fmt: skip
    for index in range(2):
        text = "".join(event.text for which, event in heard if which == index and event.kind == "text")
        assert text == compared[index]["reply"].text


def test_the_listener_hears_of_failures(client, server):
    heard = []
    client.compare("Hello", models=["auto"], server="http://127.0.0.1:1", on_events=heard.extend).wait()
    assert [event.kind for _, event in heard] == ["begun", "ended"] and "Nothing answers" in heard[-1][1].text


def test_cancelling_stops_all_of_them(client, slow):
    call = client.compare("Hello", models=MODELS, parallel=True, server=slow.url)
    until(lambda: len(chats(slow)) == 2)
    call.cancel()
    with pytest.raises(xdev_llm.Interrupted):
        call.wait()
    until(lambda: all(chat.get("client_closed_ms") is not None for chat in chats(slow)))


def test_a_listener_that_wants_no_more_ends_it(client, slow):
    def enough(events):
        return not any(event.kind == "text" for _, event in events)

    with pytest.raises(xdev_llm.Interrupted):
        client.compare("Hello", models=MODELS, server=slow.url, on_events=enough, interval=0.01).wait()
    until(lambda: closed_by_client(slow))
    assert len(chats(slow)) == 1, "the second is not asked any more"


def test_what_a_listener_raises_is_the_cause(client, slow):
    def wrong(events):
        raise ValueError("mine")

    with pytest.raises(xdev_llm.Interrupted) as raised:
        client.compare("Hello", models=MODELS, server=slow.url, on_events=wrong, interval=0.01).wait()
    assert isinstance(raised.value.__cause__, ValueError)


def test_it_can_be_awaited_and_dropped(client, server, slow):
    async def ask():
        return await client.compare("Hello", models=MODELS, server=server.url)

    assert len(asyncio.run(ask())) == 2
    call = client.compare("Hello", models=MODELS, server=slow.url)
    until(lambda: chats(slow))
    del call
    until(lambda: closed_by_client(slow))


def test_a_listener_that_holds_its_own_call_is_garbage(client, slow):
    class Listener:
        def __call__(self, events):
            return True

    listener = Listener()
    listener.call = client.compare("Hello", models=MODELS, server=slow.url, on_events=listener, interval=0.01)
    gone = weakref.ref(listener)
    until(lambda: chats(slow))
    del listener

    def is_gone():
        gc.collect()
        return gone() is None

    until(is_gone)
    until(lambda: closed_by_client(slow))


def test_wrong_arguments_are_told_before_anybody_is_asked(client, server):
    for models in ([], [" "], ["a", ""]):
        with pytest.raises(xdev_llm.InvalidInput, match="models must have"):
            client.compare("Hello", models=models)
    with pytest.raises(xdev_llm.InvalidInput, match="temperature"):
        client.compare("Hello", models=MODELS, temperature=3.0)
    with pytest.raises(xdev_llm.InvalidInput, match="interval"):
        client.compare("Hello", models=MODELS, interval=0)
    with pytest.raises(TypeError, match="temperature is of type str"):
        client.compare("Hello", models=MODELS, temperature="hot")
    with pytest.raises(TypeError, match="no model"):
        client.compare("Hello", models=MODELS, model="a")
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        client.compare("Hello", models=MODELS, temprature=1)
    with pytest.raises(TypeError):
        client.compare("Hello")
    assert chats(server) == []


def test_another_server_is_taken_where_nobody_answers(sandbox, server):
    sandbox.config(f"discovery_ports = [{server.port}]\n")
    client = xdev_llm.Client()
    compared = client.compare("Hello", models=MODELS, server="http://127.0.0.1:1", auto_detect_server=True).wait()
    for entry in compared:
        assert entry["reply"].server["url"] == server.url and "http://127.0.0.1:1" in entry["reply"].notes[0]
