"""The smaller nodes and the routes of the pack: servers, models, sampling, history, doctor."""

import json

import pytest

from host.hosts import Refused, free_port
from nodes.graphs import node, outputs_of

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "First question."},
    {"role": "assistant", "content": "First answer."},
    {"role": "user", "content": "Second question."},
]


def run(client, kind, count, /, **inputs):
    """The outputs of a node, as text."""
    done = client.run(outputs_of(kind, count, node(kind, **inputs)))
    return [done.text(str(index))[0] for index in range(count)]


def test_server(client, serve):
    server = serve("--personality", "llama.cpp", "--model", "a-model")
    url, status, models, healthy = run(client, "XDEV_LLMServer", 4, server=server.url)
    assert url == server.url and "llama.cpp" in status and models == "a-model" and healthy == "True"


def test_a_server_that_is_down_is_an_answer(client):
    url = f"http://127.0.0.1:{free_port()}"
    found, status, models, healthy = run(client, "XDEV_LLMServer", 4, server=url)
    assert found == url and url in status and (models, healthy) == ("", "False")


def test_the_first_server_found(client, discoverable):
    discoverable("--personality", "lmstudio")
    _, status, _, healthy = run(client, "XDEV_LLMServer", 4, server="")
    assert "LM Studio" in status and healthy == "True"


def test_a_server_is_looked_at_again_when_it_changed(client, serve):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    assert run(client, "XDEV_LLMServer", 4, server=url)[3] == "False"
    serve("--personality", "llama.cpp", port=port)
    assert run(client, "XDEV_LLMServer", 4, server=url)[3] == "True"


def test_a_server_for_a_chat(client, server):
    graph = outputs_of(
        "XDEV_LMStudioChat",
        1,
        node(
            "XDEV_LMStudioChat",
            prompt="Hello",
            server_url=["server", 0],
            model="auto",
            preset="balanced",
        ),
    )
    graph["server"] = node("XDEV_LLMServer", server=server.url)
    assert client.run(graph).text("0")


def test_models(client, serve):
    server = serve(
        "--personality", "lmstudio", "--model", "qwen-7b", "--model", "llama-8b", "--model", "qwen-1b"
    )
    models, details, auto, count = run(client, "XDEV_LLMModels", 4, server_url=server.url, filter="QWEN")
    assert models.splitlines() == ["qwen-7b", "qwen-1b"] and count == "2"
    assert [entry["id"] for entry in json.loads(details)] == ["qwen-7b", "qwen-1b"]
    assert auto in ("qwen-7b", "llama-8b", "qwen-1b")
    assert run(client, "XDEV_LLMModels", 4, server_url=server.url, filter="*-?b")[3] == "3"
    assert run(client, "XDEV_LLMModels", 4, server_url=server.url, filter="nothing")[3] == "0"


def test_models_of_a_server_that_is_down(client):
    url = f"http://127.0.0.1:{free_port()}"
    done = client.run(outputs_of("XDEV_LLMModels", 1, node("XDEV_LLMModels", server_url=url, filter="")))
    assert "Unreachable" in done.error["exception_type"] and url in done.error["exception_message"]


def test_sampling(client):
    summary = json.loads(
        run(client, "XDEV_LLMSampling", 2, preset="precise", temperature=0.15, stop="END\n\n")[1]
    )
    assert summary == {"preset": "precise", "temperature": 0.15, "stop": ["END"]}


@pytest.mark.parametrize("field,value", [("temperature", 2.5), ("top_p", -1.0), ("max_tokens", 0)])
def test_sampling_out_of_range(client, field, value):
    graph = {"node": node("XDEV_LLMSampling", preset="custom", **{field: value})}
    with pytest.raises(Refused) as caught:
        client.queue(graph)
    assert field in json.dumps(caught.value.answer)


def test_history_begins_and_grows(client):
    first = run(client, "XDEV_ChatHistory", 4, message_history="", role="system", content="Be brief.")
    assert json.loads(first[0]) == TALK[:1] and first[2] == "1" and int(first[3]) > 0
    history, text, count, _ = run(
        client, "XDEV_ChatHistory", 4, message_history=json.dumps(TALK), role="assistant", content="Grüße!"
    )
    assert json.loads(history) == [*TALK, {"role": "assistant", "content": "Grüße!"}] and count == "5"
    assert "user: Second question." in text and "Grüße!" in text


def test_history_is_trimmed(client):
    long = [
        *TALK[:1],
        *[{"role": role, "content": "word " * 200} for role in ("user", "assistant") * 5],
        TALK[3],
    ]
    history, _, count, tokens = run(
        client,
        "XDEV_ChatHistory",
        4,
        message_history=json.dumps(long),
        role="user",
        content="",
        max_tokens=300,
    )
    kept = json.loads(history)
    assert kept[0] == long[0] and kept[-1] == long[-1] and int(count) < 12 and int(tokens) <= 300


def test_history_is_shown_as_a_chat(client):
    entry = node("XDEV_ChatHistory", message_history=json.dumps(TALK), role="user", content="")
    (shown,) = client.run({"node": entry}).output("node")["xdev_llm"]
    assert shown["chat"] == TALK


def test_doctor(client, server):
    report, works = run(client, "XDEV_LLMDoctor", 2, server_url=server.url, model="auto")
    assert works == "True" and "It works." in report and server.url in report


def test_doctor_of_a_server_that_is_down(client):
    url = f"http://127.0.0.1:{free_port()}"
    report, works = run(client, "XDEV_LLMDoctor", 2, server_url=url, model="auto")
    assert works == "False" and url in report and "fail" in report


def test_route_of_models(client, serve):
    server = serve("--personality", "llama.cpp", "--model", "a-model")
    found = client.get(f"/api/xdev_llm/models?server={server.url}")
    assert found["server"]["url"] == server.url and found["server"]["kind"] == "llama.cpp"
    assert [model["id"] for model in found["models"]] == ["a-model"] and found["auto"] == "a-model"


@pytest.mark.parametrize(
    "server,code",
    [
        ("http://127.0.0.1:1", "unreachable"),
        ("http://8.8.8.8", "config"),
        ("studio", "invalid_input"),
    ],
)
def test_route_of_models_says_what_is_wrong(client, server, code):
    with pytest.raises(Refused) as caught:
        client.get(f"/xdev_llm/models?server={server}")
    error = caught.value.answer["error"]
    assert error["code"] == code and error["message"] and error["hint"]


def test_route_of_servers(client, world):
    found = client.get("/xdev_llm/servers")["servers"]
    assert {"name": "keyed", "url": world.keyed.url, "source": "configured"}.items() <= {
        key: value for entry in found if entry["name"] == "keyed" for key, value in entry.items()
    }.items()


@pytest.mark.parametrize(
    "body", [{}, {"client_id": 7}, {"client_id": ""}, {"client_id": "x" * 1000}, [], "text"]
)
def test_route_of_hello_refuses_nonsense(client, body):
    with pytest.raises(Refused) as caught:
        client.post("/xdev_llm/hello", body)
    assert caught.value.status == 400


def test_route_of_hello(client):
    assert client.post("/xdev_llm/hello", {"client_id": "me"})["version"]
