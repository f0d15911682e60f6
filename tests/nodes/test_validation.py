"""Every bad field is named at queue time, in words; what is linked is never refused."""

import json

import pytest

from host.hosts import Refused
from nodes.graphs import RESPONSE, chat, node

# field: (a bad value, words that say what is wrong)
BAD = {
    "prompt": ("", "prompt"),
    "message_history": ('[{"role": "user", "content": "a"},\n {"role": "user", "content": }]', "line 2"),
    "server_url": ("htp:/nowhere", "server_url"),
    "preset": ("fast", "fast"),
    "temperature": (2.5, "2"),
    "max_tokens": (0, "max_tokens"),
    "top_p": (1.5, "top_p"),
    "timeout": (2, "5"),
    "seed": (-1, "seed"),
    "top_k": (-3, "top_k"),
    "min_p": (1.5, "min_p"),
    "reasoning": ("loud", "loud"),
    "on_error": ("explode", "explode"),
    "run_again": ("sometimes", "sometimes"),
}
HISTORIES = {
    "not JSON": "What we said",
    "an object": '{"role": "user", "content": "a"}',
    "a text": '"hello"',
    "no role": '[{"content": "a"}]',
    "an unknown role": '[{"role": "robot", "content": "a"}]',
    "cut": '[{"role": "user", "content": "a"}',
}


def refusal(client, graph):
    """All that is said of a prompt that is refused."""
    with pytest.raises(Refused) as caught:
        client.queue(graph)
    assert caught.value.status == 400
    assert list(caught.value.answer["node_errors"]) == ["chat"]
    return "\n".join(error["details"] for error in caught.value.answer["node_errors"]["chat"]["errors"])


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field(client, server, field):
    value, words = BAD[field]
    said = refusal(client, chat(server, **{field: value}))
    assert field in said and words in said, said
    assert not server.chats()


def test_all_bad_fields_at_once(client, server):
    fields = {field: value for field, (value, _) in BAD.items()}
    said = refusal(client, chat(server, **fields))
    assert [field for field in BAD if field not in said] == []
    assert said.count("message_history:") == 1, "each is said once, and not once for each input of the node"


@pytest.mark.parametrize("name", HISTORIES)
def test_a_bad_history(client, server, name):
    said = refusal(client, chat(server, message_history=HISTORIES[name]))
    assert "message_history" in said


def test_a_missing_input(client, server):
    graph = chat(server)
    del graph["chat"]["inputs"]["prompt"]
    assert "prompt" in refusal(client, graph)


@pytest.mark.parametrize(
    "field", ["prompt", "server_url", "model", "system_prompt", "message_history", "fallback_text", "stop"]
)
def test_a_linked_text_is_not_refused(client, server, field):
    value = {"prompt": "Linked", "server_url": server.url, "model": "auto", "message_history": "[]"}.get(
        field, "x"
    )
    graph = {**chat(server, **{field: ["text", 0]}), "text": node("PrimitiveString", value=value)}
    assert client.run(graph).text(RESPONSE)[0]


def test_a_linked_field_is_looked_at_when_it_runs(client, server):
    graph = {**chat(server, message_history=["text", 0]), "text": node("PrimitiveString", value="not JSON")}
    run = client.run(graph)
    assert "InvalidInput" in run.error["exception_type"] and not server.chats()


@pytest.mark.parametrize(
    "field,value", [("message_history", "not JSON"), ("temperature", 2.5), ("preset", "fast"), ("timeout", 2)]
)
def test_validate_input_off_leaves_it_to_the_run(client, server, field, value):
    run = client.run(chat(server, validate_input=False, **{field: value}))
    assert run.error["exception_type"].startswith("xdev_llm."), "it is still no silence"
    assert not server.chats()


def test_a_model_that_is_not_in_a_list_passes(client, serve):
    server = serve("--personality", "llama.cpp", "--model", "a-model")
    run = client.run(chat(server, model="saved-long-ago"))
    assert "chat" in run.entry["outputs"] or "saved-long-ago" in run.error["exception_message"]


def test_nothing_is_asked_at_queue_time(client, serve):
    """Checking needs no network: it runs on the host's event loop."""
    server = serve("--personality", "silent")
    refusal(client, chat(server, temperature=9))
    assert not server.requests()


def test_history_of_another_node(client):
    said = "not JSON"
    with pytest.raises(Refused) as caught:
        client.queue({"chat": node("XDEV_ChatHistory", message_history=said, role="user", content="a")})
    assert "message_history" in json.dumps(caught.value.answer["node_errors"])
