"""A failure is raised with the server's own words, nothing of it is kept, and the next run asks again.

Also what a user may choose instead: to block what is behind, or to go on with a text.
"""

import json

import pytest

from conftest import wait_until
from host.hosts import free_port
from nodes.graphs import CHAT, CONVERSATION, RESPONSE, STATS, chat, events, node
from nodes.servers import path_server

CUDA = json.dumps({"error": {"message": "CUDA out of memory", "type": "server_error"}})
MISSING = json.dumps({"error": {"message": "model nope was never here", "code": 404}})

CRASHED = "The model has crashed"
JSON = {"Content-Type": "application/json"}

# name: (what the server does, the exception, words that must be in its message)
FAILURES = {
    "404": ({"fault": f"status:404:{MISSING}"}, "", "model nope was never here"),
    "404 of a web server": ({"raw": {"status": 404, "body": "nothing here"}}, "", "nothing here"),
    "500": ({"fault": f"status:500:{CUDA}"}, "ServerError", "CUDA out of memory"),
    "not JSON": ({"raw": {"status": 200, "headers": JSON, "body": '{"choices": [{'}}, "ProtocolError", ""),
    "no choices": ({"raw": {"status": 200, "headers": JSON, "body": '{"choices": []}'}}, "", ""),
    "dropped stream": ({"repeat": 50, "token_delay_ms": 5, "fault": "reset:3"}, "CutOff", ""),
    "stream without an end": ({"repeat": 5, "fault": "no-finish-no-done"}, "CutOff", ""),
    "200 with an error": ({"fault": "error-body-200"}, "ServerError", CRASHED),
    "error in the stream": ({"repeat": 5, "fault": "error-data:2"}, "ServerError", CRASHED),
    "empty answer": ({"tokens": []}, "EmptyAnswer", ""),
    "nothing at all": ({"fault": "empty-body"}, "", ""),
    "empty stream": ({"fault": "empty-stream"}, "", ""),
    "a web page": ({"fault": "html-page"}, "ProtocolError", ""),
    "a gateway's page": ({"fault": "html-502"}, "", "502"),
    "redirect": ({"fault": "redirect:http://127.0.0.1:1/"}, "", ""),
}


def words_of(run):
    """The message of the error at the chat; its kind must be one of the package's."""
    assert run.error["node_type"] == CHAT
    assert run.error["exception_type"].startswith("xdev_llm."), run.error["exception_type"]
    return run.error["exception_message"]


@pytest.mark.parametrize("name", FAILURES)
def test_is_raised_and_not_kept(client, server, name):
    script, kind, words = FAILURES[name]
    server.script(**script)
    graph = chat(server, seed=7)
    run = client.run(graph)
    message = words_of(run)
    assert kind in run.error["exception_type"] and words in message
    assert server.url in message and len(message.strip()) > 30, "what, where, what to do"
    assert not run.entry["outputs"], "nothing of it comes out"
    assert events(client)[-1].get("error"), "the node says it too"

    asked = len(server.chats())
    again = client.run(graph)
    assert "execution_error" in again.ends and "chat" not in again.cached
    assert len(server.chats()) > asked, "it asks again"

    server.script(text="Well again.")
    assert client.run(graph).text(RESPONSE) == ["Well again."]


def test_a_server_that_is_down(client, serve):
    port = free_port()
    graph = chat(f"http://127.0.0.1:{port}", seed=7, auto_detect_server=False)
    message = words_of(client.run(graph))
    assert f"127.0.0.1:{port}" in message and "Start the server" in message
    server = serve("--personality", "llama.cpp", port=port)
    server.script(text="Up.")
    assert client.run(graph).text(RESPONSE) == ["Up."], "nothing of the failure is remembered"


def test_a_timeout_bounds_silence(client, server):
    server.script(repeat=50, fault="stall:3")
    run = client.run(chat(server, timeout=5))
    assert "Silence" in run.error["exception_type"]
    times = [data["timestamp"] for data in run.ends.values()]
    assert 4000 < max(times) - min(times) < 9000


def test_a_timeout_does_not_bound_the_answer(client, server):
    server.script(repeat=60, token_delay_ms=120)
    assert client.run(chat(server, timeout=5)).text(RESPONSE) == ["tok " * 60]


def test_an_answer_without_end_is_refused(client):
    with path_server(pieces=["x" * 100_000] * 200) as (url, _):
        run = client.run(chat(url, stream=False))
    assert "8 MiB" in words_of(run)
    assert len(json.dumps(run.entry)) < 100_000


def test_block_downstream(client, server):
    server.script(fault=f"status:500:{CUDA}")
    graph = chat(server, seed=3, on_error="block downstream")
    graph["other"] = node("ProbeSink", source=["value", 0])
    graph["value"] = node("PrimitiveString", value="goes on")
    run = client.run(graph)
    assert run.text("other") == ["goes on"]
    assert RESPONSE not in run.entry["outputs"]
    assert "CUDA out of memory" in json.dumps(run.output("chat"))
    asked = len(server.chats())
    server.script(text="Well again.")
    assert client.run(graph).text(RESPONSE) == ["Well again."]
    assert len(server.chats()) == asked + 1


def test_fallback_text(client, server):
    server.script(fault=f"status:500:{CUDA}")
    graph = chat(server, seed=4, on_error="use fallback text", fallback_text="A cat.")
    run = client.run(graph)
    assert run.text(RESPONSE) == ["A cat."]
    assert "CUDA out of memory" in run.text(STATS)[0], "the reason is not hidden"
    assert [message["content"] for message in json.loads(run.text(CONVERSATION)[0])] == ["Hello", "A cat."]
    asked = len(server.chats())
    server.script(text="A dog.")
    assert client.run(graph).text(RESPONSE) == ["A dog."]
    assert len(server.chats()) == asked + 1
    assert "chat" in client.run(graph).cached, "the real answer is kept"


def test_an_empty_fallback_is_no_answer(client, server):
    server.script(fault=f"status:500:{CUDA}")
    run = client.run(chat(server, on_error="use fallback text", fallback_text="  "))
    assert "CUDA out of memory" in words_of(run)


def test_cancel_is_no_failure_to_replace(client, server):
    server.script(repeat=5000, token_delay_ms=20)
    prompt_id = client.queue(chat(server, on_error="use fallback text", fallback_text="A cat."))
    wait_until(lambda: any(data.get("text") for data in events(client)))
    client.interrupt(prompt_id)
    assert "execution_interrupted" in client.wait(prompt_id).ends


def test_a_cut_answer_of_one_item_fails_the_node(client, server):
    server.script(text="Fine.")
    server.script(following=True, repeat=9, fault="reset:3")
    graph = {**chat(server, prompt=["list", 0]), "list": node("ProbeList", count=3, text="Question")}
    run = client.run(graph)
    assert "CutOff" in run.error["exception_type"] and RESPONSE not in run.entry["outputs"]
