"""Cancel ends a prompt in a fifth of a second, the server sees the socket close, and the worker lives.

The limit of 200 ms is the project's own; the time is taken from the host's message, not from when it arrived.
"""

import time

import pytest

from conftest import wait_until
from host.hosts import runs_beside
from nodes.graphs import RESPONSE, chat, events, node

LIMIT = 0.2
LONG = {"repeat": 5000, "token_delay_ms": 20}


def cancel(client, graph, server, begun, chats=1):
    """Runs a prompt, cancels it once it has begun, and checks how it ends; the run."""
    prompt_id = client.queue(graph)
    wait_until(begun)
    sent = client.interrupt(prompt_id)
    run = client.wait(prompt_id, 20)
    assert "execution_interrupted" in run.ends, run.entry["status"]
    late = run.ends["execution_interrupted"]["timestamp"] / 1000 - sent
    assert late < LIMIT, f"{late * 1000:.0f} ms"
    closed = wait_until(lambda: all_closed(server, chats), 5)
    assert time.time() - sent < 2
    assert all(chat["tokens_sent"] < 5000 for chat in closed)
    survives(client)
    return run


def all_closed(server, count):
    """The chats, once the server has seen each of them close."""
    found = server.chats()
    return (
        found if len(found) >= count and all(chat["client_closed_ms"] is not None for chat in found) else None
    )


def survives(client):
    """The worker runs the next prompt."""
    run = client.run({"1": node("PrimitiveString", value="alive"), "2": node("PreviewAny", source=["1", 0])})
    assert run.text("2") == ["alive"]


def has_text(client):
    return lambda: any(data.get("text") for data in events(client))


@pytest.mark.parametrize("attempt", range(3))
def test_while_the_answer_arrives(client, server, attempt):
    server.script(**LONG)
    cancel(client, chat(server), server, has_text(client))
    assert events(client)[-1].get("stopped") is True


def test_all_items_of_a_list(client, server):
    server.script(**LONG)
    graph = {**chat(server, prompt=["list", 0]), "list": node("ProbeList", count=4, text="Question")}
    at_once = 4 if runs_beside(client.host.kind) else 1
    cancel(client, graph, server, lambda: len(server.chats()) == at_once and has_text(client)(), at_once)


@pytest.mark.parallel
def test_beside_a_sync_node(client, server):
    server.script(**LONG)
    graph = {
        **chat(server),
        "sampler": node("ProbeSampler", seconds=20.0, step=0.02, seed=int(time.time())),
        "sink": node("ProbeSink", source=["sampler", 0]),
    }
    cancel(client, graph, server, has_text(client))


@pytest.mark.parallel
def test_another_node_that_fails_closes_the_connection(client, server):
    server.script(**LONG)
    graph = {
        **chat(server),
        "fail": node("ProbeAsyncFail", seconds=1.0, message="the other node's fault"),
        "sink": node("ProbeSink", source=["fail", 0]),
    }
    run = client.run(graph)
    assert "the other node's fault" in run.error["exception_message"]
    wait_until(lambda: all_closed(server, 1), 5)
    survives(client)


def test_while_the_prompt_is_read(client, server):
    server.script(text="Late.", first_token_delay_ms=30000)
    cancel(client, chat(server), server, server.chats)


def test_before_the_head_of_the_answer(client, server):
    server.script(text="Late.", headers_delay_ms=30000)
    cancel(client, chat(server), server, server.chats)


def test_in_the_wait_before_a_retry(client, server):
    server.script(fault="too-many-requests:30")
    prompt_id = client.queue(chat(server))
    wait_until(server.chats)
    time.sleep(0.2)
    sent = client.interrupt(prompt_id)
    run = client.wait(prompt_id, 20)
    assert run.ends["execution_interrupted"]["timestamp"] / 1000 - sent < LIMIT
    survives(client)


def test_while_it_is_found_out_what_the_server_is(client, serve):
    silent = serve("--personality", "silent")
    prompt_id = client.queue(chat(silent, auto_detect_server=False))
    client.wait_for("executing", lambda data: data.get("prompt_id") == prompt_id and data["node"] == "chat")
    sent = client.interrupt(prompt_id)
    run = client.wait(prompt_id, 20)
    assert run.ends["execution_interrupted"]["timestamp"] / 1000 - sent < LIMIT
    survives(client)


def test_after_a_cancel_the_same_prompt_runs_again(client, server):
    server.script(**LONG)
    cancel(client, chat(server, seed=1), server, has_text(client))
    server.script(text="Now it answers.")
    run = client.run(chat(server, seed=1))
    assert run.text(RESPONSE) == ["Now it answers."] and "chat" not in run.cached
