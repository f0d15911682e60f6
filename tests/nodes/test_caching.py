"""When ComfyUI uses the last answer again, and when the model is asked anew; and how many are asked at once.

The tooltip of run_again promises it.
"""

import pytest

from host.hosts import runs_beside, wait_until
from nodes.graphs import RESPONSE, chat, node


def runs(client, server, times=2, /, **widgets):
    """How often the server is asked when the same prompt is queued that many times."""
    for _ in range(times):
        assert client.run(chat(server, **widgets)).text(RESPONSE)
    return len(server.chats())


def test_a_fixed_seed_is_asked_once(client, server):
    assert runs(client, server, 3, seed=11) == 1


def test_another_seed_is_asked_again(client, server):
    assert runs(client, server, 1, seed=11) == 1
    assert runs(client, server, 1, seed=12) == 2


def test_temperature_0_is_asked_once(client, server):
    assert runs(client, server, 2, temperature=0) == 1


def test_chance_is_asked_each_time(client, server):
    assert runs(client, server, 2, temperature=0.7) == 2
    assert runs(client, server, 2) == 4


def test_always_is_asked_each_time(client, server):
    assert runs(client, server, 2, seed=11, temperature=0, run_again="always") == 2


def test_a_named_model_is_asked_once(client, serve):
    server = serve("--personality", "llama.cpp", "--model", "named")
    assert runs(client, server, 2, seed=11, model="named") == 1


def test_another_model_behind_auto_is_asked_again(client, serve):
    server = serve("--personality", "llama.cpp", "--model", "first-model")
    graph = chat(server, seed=11)
    client.run(graph).text(RESPONSE)
    port = int(server.url.rpartition(":")[2])
    server.stop()
    server = serve("--personality", "llama.cpp", "--model", "second-model", port=port)
    run = client.run(graph)
    assert "chat" not in run.cached and "second-model" in run.text("info")[0]
    assert "chat" in client.run(graph).cached


def test_a_linked_seed_counts_as_one(client, server):
    graph = {
        **chat(server, seed=["tokens", 2]),
        "tokens": node("XDEV_ChatHistory", message_history="", role="user", content="x"),
    }
    for _ in range(2):
        client.run(graph).text(RESPONSE)
    assert len(server.chats()) == 1


def test_what_is_linked_is_looked_at(client, server):
    def graph(text):
        return {**chat(server, seed=11, prompt=["text", 0]), "text": node("PrimitiveString", value=text)}

    for text in ("one", "one", "two"):
        client.run(graph(text)).text(RESPONSE)
    assert len(server.chats()) == 2


def test_a_cached_answer_is_shown_again(client, server):
    server.script(text="The answer.")
    client.run(chat(server, seed=11))
    again = client.run(chat(server, seed=11))
    assert "chat" in again.cached
    shown = [
        message.data["output"]["xdev_llm"][0]["text"]
        for message in again.events("executed")
        if message.data["node"] == "chat"
    ]
    assert shown == ["The answer."]


def test_at_most_four_are_asked_at_once(client, server):
    server.script(repeat=10, token_delay_ms=40)
    graph = {**chat(server, prompt=["list", 0]), "list": node("ProbeList", count=12, text="Question")}
    prompt_id = client.queue(graph)
    most = 0

    def ended():
        nonlocal most
        chats = server.chats()
        most = max(most, sum(not asked["finished"] for asked in chats))
        return len(chats) == 12 and all(asked["finished"] for asked in chats)

    wait_until(ended)
    assert client.wait(prompt_id).text(RESPONSE) == ["tok " * 10] * 12
    at_once = 4 if runs_beside(client.host.kind) else 1
    assert most == at_once


@pytest.mark.parallel
def test_two_chats_run_at_once(client, server):
    server.script(repeat=20, token_delay_ms=50)
    graph = {**chat(server, prompt="One"), "two": chat(server, prompt="Two")["chat"]}
    run = client.run(graph)
    first, second = server.chats()
    assert abs(first["at_ms"] - second["at_ms"]) < 500
    assert run.output("two")["xdev_llm"][0]["text"] == run.output("chat")["xdev_llm"][0]["text"]
