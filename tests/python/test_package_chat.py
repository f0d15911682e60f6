"""Chats through the Python package: every way to the answer, and the keywords on the wire.

Not here: cancelling.
"""

import asyncio
import gc
import json
import threading
import weakref

import pytest
import xdev_llm

from conftest import wait_until

from .support import asked, body, chats

SAMPLING = {
    "temperature": 0.5,
    "top_p": 0.4,
    "top_k": 7,
    "min_p": 0.25,
    "max_tokens": 99,
    "seed": 12345,
    "stop": ["END", "\n\n"],
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "repeat_penalty": 1.25,
}


def test_wait_gives_the_whole_answer(client, server):
    run = client.chat("Hello", server=server.url)
    reply = run.wait()
    assert isinstance(reply, xdev_llm.ChatReply)
    assert (reply.text, str(reply), reply.reasoning, reply.finish_reason) == (
        "Hello there, friend.",
        "Hello there, friend.",
        "",
        "stop",
    )
    assert reply.server == {"url": server.url, "kind": "lmstudio", "name": "LM Studio", "source": "given"}
    assert (reply.model, reply.warnings, reply.notes, reply.tool_calls) == ("qwen3-4b", [], [], [])
    assert reply.usage["output_tokens"] > 0 and reply.timing["duration"] > 0
    assert reply.stats["server_kind"] == "lmstudio" and reply.stats["parameters"]["stream"] is True
    assert json.loads(reply.conversation) == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello there, friend."},
    ]
    assert run.done and run.text == reply.text and run.server == reply.server


def test_a_run_is_waited_for_and_awaited_as_often_as_one_likes(client, server):
    run = client.chat("Hello", server=server.url)

    async def twice():
        return [await run, await run]

    texts = [run.wait().text, run.wait().text] + [reply.text for reply in asyncio.run(twice())]
    assert texts == ["Hello there, friend."] * 4
    assert len(chats(server)) == 1


def test_it_starts_at_once(client, server):
    run = client.chat("Hello", server=server.url)
    wait_until(lambda: run.done)
    assert len(chats(server)) == 1


def test_events_come_in_order_and_once(client, mock):
    server = mock("--personality", "lmstudio", "--text", "One two three.", "--reasoning", "Let me think.")
    run = client.chat("Hello", server=server.url)
    events = list(run)
    kinds = [event.kind for event in events]
    assert kinds[0] == "started" and kinds[-1] == "finished"
    assert kinds.index("reasoning") < kinds.index("text") < kinds.index("usage")
    assert "".join(event.text for event in events if event.kind == "text") == "One two three."
    assert "".join(event.text for event in events if event.kind == "reasoning") == "Let me think."
    assert events[0].data["model"] == "qwen3-4b" and events[-1].text == "stop"
    assert list(run) == []
    assert run.wait().reasoning == "Let me think."


def test_async_for_gives_the_same(client, server):
    async def collect():
        return [event async for event in client.chat("Hello", server=server.url)]

    events = asyncio.run(collect())
    assert "".join(event.text for event in events if event.kind == "text") == "Hello there, friend."
    assert events[-1].kind == "finished"


def test_two_event_loops_one_after_another(client, server):
    async def ask():
        return (await client.chat("Hello", server=server.url)).text

    assert [asyncio.run(ask()), asyncio.run(ask())] == ["Hello there, friend."] * 2


def test_many_at_once_in_one_loop(client, server):
    async def ask():
        return await asyncio.gather(*(client.chat(str(i), server=server.url) for i in range(20)))

    assert [reply.text for reply in asyncio.run(ask())] == ["Hello there, friend."] * 20


def test_no_more_than_four_at_a_time(client, mock):
    server = mock("--personality", "lmstudio", "--tokens", "10", "--token-delay", "20")
    runs = [client.chat(str(i), server=server.url) for i in range(12)]
    for run in runs:
        run.wait()
    changes = []
    for request in chats(server):
        changes += [(request["at_ms"], 1), (request["at_ms"] + 9 * 20, -1)]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    assert most == 4


@pytest.mark.parametrize("name", SAMPLING)
def test_a_sampling_keyword_is_on_the_wire(client, mock, name):
    server = mock("--personality", "llama.cpp", "--text", "Hello.")
    client.chat("Hello", server=server.url, preset="custom", **{name: SAMPLING[name]}).wait()
    assert body(server)[name] == SAMPLING[name]
    assert not (set(SAMPLING) - {name}) & set(body(server))


def test_the_other_keywords_are_on_the_wire(client, mock):
    server = mock("--personality", "ollama", "--text", "{}")
    client.chat(
        "Hello",
        server=server.url,
        system_prompt="Be brief.",
        keep_alive=-1,
        context_length=2048,
        reasoning="off",
        response_format={"type": "object"},
        extra={"raw": [1, 2.5, None, {"a": True}]},
        timeout=30,
        deadline=60.5,
    ).wait()
    sent = body(server)
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ]
    assert (sent["keep_alive"], sent["options"]["num_ctx"], sent["think"]) == (-1, 2048, False)
    assert (sent["format"], sent["raw"]) == ({"type": "object"}, [1, 2.5, None, {"a": True}])


def test_a_model_is_asked_for_by_name(client, server):
    client.chat("Hello", server=server.url, model="google/gemma-3-12b").wait()
    assert body(server)["model"] == "google/gemma-3-12b"


def test_an_explicit_value_beats_the_preset(client, server):
    """The specification's example 3."""
    client.chat("Hello", server=server.url, preset="focused", temperature=0.2, max_tokens=1024).wait()
    sent = body(server)
    assert (sent["temperature"], sent["max_tokens"], sent["top_p"]) == (0.2, 1024, 0.7)


def test_the_config_beats_nothing_that_was_given(sandbox, server):
    sandbox.config(
        f'server = "desk"\npreset = "tags"\nsystem = "From the config."\n'
        f'[servers.desk]\nurl = "{server.url}"\n'
        f'[presets.tags]\ntemperature = 0.4\nsystem = "From the preset."\n'
    )
    client = xdev_llm.Client()
    reply = client.chat("Hello").wait()
    sent = body(server)
    assert sent["messages"][0] == {"role": "system", "content": "From the preset."}
    assert sent["temperature"] == 0.4 and "top_p" not in sent
    assert reply.server["source"] == "configured" and client.servers == {"desk": server.url}
    assert client.presets["tags"] == {"temperature": 0.4, "system": "From the preset."}
    client.chat("Hello", preset="precise").wait()
    assert body(server)["messages"][0]["content"] == "From the config."
    client.chat("Hello", system_prompt="Mine.").wait()
    assert body(server)["messages"][0]["content"] == "Mine."


HISTORY = """[{"role":"system","content":"Old."},
 {"role":"user","content":"A","own":1}, {"role":"assistant","content":"B"}]"""


def test_a_history_is_sent_and_keeps_every_byte(client, server):
    reply = client.chat("Hello", server=server.url, messages=HISTORY).wait()
    assert [message["content"] for message in body(server)["messages"]] == ["Old.", "A", "B", "Hello"]
    assert reply.conversation.startswith(HISTORY[:-1])
    assert json.loads(reply.conversation)[3:] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello there, friend."},
    ]


def test_a_system_prompt_replaces_that_of_the_history(client, server):
    reply = client.chat("Hello", server=server.url, messages=HISTORY, system_prompt="New.").wait()
    roles = [(message["role"], message["content"]) for message in body(server)["messages"]]
    assert roles == [("system", "New."), ("user", "A"), ("assistant", "B"), ("user", "Hello")]
    assert json.loads(reply.conversation)[0] == {"role": "system", "content": "New."}


def test_messages_may_be_a_list_and_the_whole_conversation(client, server):
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    client.chat(messages=messages, server=server.url).wait()
    assert [message["role"] for message in body(server)["messages"]] == ["user"]


def test_on_events_gets_everything_from_another_thread(client, mock):
    server = mock("--personality", "lmstudio", "--tokens", "30", "--token-delay", "10")
    batches, threads = [], set()

    def listen(events):
        batches.append(events)
        threads.add(threading.current_thread())

    reply = client.chat("Hello", server=server.url, on_events=listen, interval=0.02).wait()
    events = [event for batch in batches for event in batch]
    assert "".join(event.text for event in events if event.kind == "text") == reply.text
    assert (events[0].kind, events[-1].kind) == ("started", "finished")
    assert threading.current_thread() not in threads
    # A batch is an interval's worth, not a token.
    assert 2 < len(batches) < 30


def test_on_events_is_called_while_nothing_arrives(client, mock):
    server = mock("--personality", "lmstudio", "--first-token-delay", "300")
    batches = []
    client.chat("Hello", server=server.url, on_events=batches.append, interval=0.02).wait()
    assert batches.count([]) > 2


def test_two_hundred_calls_leave_nothing_behind(client, server):
    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    def ask(count):
        for _ in range(count):
            client.chat("Hello " * 1000, server=server.url, on_events=len, interval=0.01).wait()
        gc.collect()

    ask(50)
    threads, before = threading.active_count(), resident()
    ask(200)
    assert threading.active_count() <= threads + 1
    assert resident() - before < 8 << 20


def test_the_connection_is_used_again(client, server):
    for _ in range(3):
        client.chat("Hello", server=server.url).wait()
    assert len({request["connection"] for request in asked(server) if "/mock/" not in request["path"]}) == 1


def test_values_are_read_only(client, server):
    reply = client.chat("Hello", server=server.url).wait()
    with pytest.raises(AttributeError):
        reply.text = "Mine."


def test_the_listener_is_let_go_of_after_the_run(client, server):
    class Listener:
        def __call__(self, events):
            pass

    listener = Listener()
    gone = weakref.ref(listener)
    run = client.chat("Hello", server=server.url, on_events=listener)
    run.wait()
    del run, listener
    wait_until(lambda: gc.collect() is not None and gone() is None)
