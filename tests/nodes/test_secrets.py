"""No key gets into a workflow, a message, the history, a route or a log; a named server still gets its own.

Keys here are made up.
"""

import json

import pytest

from host.hosts import Refused
from nodes.conftest import KEY
from nodes.graphs import RESPONSE, chat, node

KEYS = {
    "OpenAI": "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d",
    "Anthropic": "sk-ant-api03-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d",
    "Hugging Face": "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
    "LM Studio": "sk-lm-" + "aB3dE5fG:hJ9kL1mN3pQ5rS7tU9vW",
    "GitHub": "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5",
}
FIELDS = ("prompt", "server_url", "model", "system_prompt", "message_history", "stop", "fallback_text")


def everything(client):
    """All that a reader of the host's API, its log and its messages can see."""
    pages = [client.get(path) for path in ("/history", "/queue", "/xdev_llm/servers", "/object_info")]
    messages = [repr(message) for message in client.messages]
    return json.dumps(pages) + client.host.log() + "".join(messages)


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("field", FIELDS)
def test_a_key_in_a_widget_is_refused(client, server, field, validate):
    key = KEYS["OpenAI"]
    with pytest.raises(Refused) as caught:
        client.queue(chat(server, **{field: key, "validate_input": validate}))
    said = json.dumps(caught.value.answer)
    assert field in said and "key" in said and key not in said
    assert key not in everything(client)
    assert not server.chats()


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_many_kinds(client, server, name):
    with pytest.raises(Refused):
        client.queue(chat(server, system_prompt=KEYS[name]))
    assert KEYS[name] not in everything(client)


def test_a_header_is_a_key_too(client, server):
    with pytest.raises(Refused):
        client.queue(chat(server, system_prompt=f"Bearer {KEYS['OpenAI']}"))


def test_a_password_in_a_url_is_refused(client, server):
    url = server.url.replace("://", "://user:aSecretWord1234@")
    with pytest.raises(Refused) as caught:
        client.queue(chat(url))
    assert "aSecretWord1234" not in json.dumps(caught.value.answer) + everything(client)


@pytest.mark.parametrize(
    "text",
    [
        "A sketch of a task-based risk model.",
        "hf_ is a prefix",
        "What is an sk- key?",
        "sk-",
        "task-oriented-design",
        "What is the SHA-256 " + "0123456789abcdef" * 4,
        "https://example.com/a/b?c=d",
        "1girl, masterpiece, 8k",
    ],
)
def test_ordinary_text_is_not_taken_for_a_key(client, server, text):
    assert client.run(chat(server, prompt=text)).text(RESPONSE)


def test_companions_refuse_keys_too(client):
    key = KEYS["OpenAI"]
    for entry in (
        node("XDEV_LLMServer", server=key),
        node("XDEV_LLMModels", server_url="http://localhost:1", filter=key),
        node("XDEV_ChatHistory", message_history="", role="user", content=key),
        node("XDEV_LLMDoctor", server_url=key, model="auto"),
    ):
        with pytest.raises(Refused) as caught:
            client.queue({"node": entry})
        assert key not in json.dumps(caught.value.answer)
    assert key not in everything(client)


def test_a_named_server_gets_its_key_and_nobody_else_sees_it(client, world):
    assert client.run(chat("keyed")).text(RESPONSE)
    asked = world.keyed.chats()[-1]
    assert asked["headers"].get("authorization", asked["headers"].get("Authorization")) == f"Bearer {KEY}"
    client.get("/xdev_llm/models?server=keyed")
    assert KEY not in everything(client)


def test_a_key_goes_to_its_own_server_alone(client, world, server):
    client.run(chat("keyed"))
    assert client.run(chat(server)).text(RESPONSE)
    assert KEY not in json.dumps(server.requests())


def test_a_server_that_wants_a_key_is_named_with_the_cure(client, serve):
    locked = serve("--personality", "llama.cpp", "--api-key", "another-key")
    run = client.run(chat(locked))
    assert "Unauthorized" in run.error["exception_type"] and "api_key_env" in run.error["exception_message"]
