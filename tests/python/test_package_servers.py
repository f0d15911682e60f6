"""Servers and models through the package: what they tell, what is remembered, and which one is taken."""

import asyncio
import socket

import pytest
import xdev_llm

from .support import asked, body, chats


@pytest.fixture
def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_server_tells_about_itself(client, server):
    info = client.server(server.url).wait()
    assert isinstance(info, xdev_llm.ServerInfo)
    assert (info.url, info.kind, info.name, info.source) == (server.url, "lmstudio", "LM Studio", "given")
    assert (info.health, info.notes, info.auto) == ("ready", [], "qwen3-4b") and info.latency_ms > 0
    model = info.models[0]
    assert (model.id, model.kind, model.state) == ("qwen3-4b", "llm", "loaded")
    assert (model.context_length, model.loaded_context_length) == (8192, 4096)
    as_dict = info.as_dict()
    assert as_dict["models"][0] == model.as_dict() and as_dict["auto"] == "qwen3-4b"


def test_a_call_can_be_awaited(client, server):
    async def ask():
        return await asyncio.gather(client.server(server.url), client.models(server.url))

    info, models = asyncio.run(ask())
    assert [model.id for model in info.models] == [model.id for model in models]


def test_what_is_remembered_is_asked_anew_when_told(client, server):
    def questions(question):
        before = len(asked(server))
        question().wait()
        return [request["path"] for request in asked(server)[before:] if "/mock/" not in request["path"]]

    assert questions(lambda: client.models(server.url))
    assert questions(lambda: client.models(server.url)) == []
    assert questions(lambda: client.models(server.url, fresh=True))
    assert len(questions(lambda: client.server(server.url))) == 1  # only how it is
    assert len(questions(lambda: client.server(server.url, fresh=True))) > 1


def test_what_is_remembered_is_there_at_once(client, server):
    assert not client.server(server.url).done, "nothing was asked yet"
    info = client.server(server.url).wait()
    again = client.server(server.url)
    assert again.done
    assert again.wait().as_dict() == info.as_dict()


def test_blocking_functions_of_the_module(sandbox, server):
    assert xdev_llm.models(server.url)[0].id == "qwen3-4b"
    sandbox.config(f"discovery_ports = [{server.port}]\n")
    found = {info.url: info for info in xdev_llm.discover()}
    assert found[server.url].kind == "lmstudio" and found[server.url].source == "discovered"
    assert found[server.url].auto == "qwen3-4b"


def test_nobody_there_is_raised(client, free_port):
    with pytest.raises(xdev_llm.Unreachable):
        client.server(f"http://127.0.0.1:{free_port}").wait()
    with pytest.raises(xdev_llm.InvalidInput, match="no http://"):
        client.models("nowhere").wait()


def discovering(sandbox, server):
    """A client that finds this mock before any server that may run here."""
    sandbox.config(f"discovery_ports = [{server.port}]\n")
    return xdev_llm.Client()


def test_another_server_is_taken_where_nobody_answers(sandbox, server, free_port):
    client = discovering(sandbox, server)
    url = f"http://127.0.0.1:{free_port}"
    run = client.chat("Hello", server=url, auto_detect_server=True)
    reply = run.wait()
    assert reply.text == "Hello there, friend."
    assert (reply.server["url"], reply.server["source"]) == (server.url, "discovered")
    assert len(reply.notes) == 1 and url in reply.notes[0] and server.url in reply.notes[0]
    assert run.notes == reply.notes and run.server == reply.server


def test_it_is_not_taken_unasked(sandbox, server, free_port):
    with pytest.raises(xdev_llm.Unreachable):
        discovering(sandbox, server).chat("Hello", server=f"http://127.0.0.1:{free_port}").wait()
    assert chats(server) == []


ANSWERS = ["status:500", "status:401", "status:404", "html-page", "close-before-headers"]


@pytest.mark.parametrize("fault", ANSWERS)
def test_a_server_that_answers_anything_is_never_replaced(sandbox, mock, server, fault):
    given = mock("--personality", "lmstudio", "--fault", fault)
    with pytest.raises(xdev_llm.Error) as raised:
        discovering(sandbox, server).chat("Hello", server=given.url, auto_detect_server=True).wait()
    assert raised.value.server == given.url
    assert chats(server) == []


def test_a_stranger_is_never_replaced(sandbox, mock, server):
    given = mock("--personality", "spa")
    with pytest.raises(xdev_llm.ProtocolError):
        discovering(sandbox, server).chat("Hello", server=given.url, auto_detect_server=True).wait()
    assert chats(server) == []


def test_a_good_server_stays_though_another_is_found(sandbox, mock, server):
    given = mock("--personality", "ollama", "--text", "From the given one.")
    reply = discovering(sandbox, server).chat("Hello", server=given.url, auto_detect_server=True).wait()
    assert (reply.text, reply.notes, reply.server["source"]) == ("From the given one.", [], "given")


def test_a_server_that_went_away_is_replaced(sandbox, mock, server):
    given = mock("--personality", "ollama", "--text", "From the given one.")
    client = discovering(sandbox, server)
    client.chat("Hello", server=given.url, auto_detect_server=True).wait()
    given.child.kill()
    given.child.wait()
    reply = client.chat("Hello", server=given.url, auto_detect_server=True).wait()
    assert reply.server["url"] == server.url and len(reply.notes) == 1


def test_the_original_failure_is_told_where_none_is_found(alone, client, free_port):
    url = f"http://127.0.0.1:{free_port}"
    with pytest.raises(xdev_llm.Unreachable) as raised:
        client.chat("Hello", server=url, auto_detect_server=True).wait()
    assert raised.value.server == url


def test_none_given_is_the_first_found(sandbox, server):
    reply = discovering(sandbox, server).chat("Hello").wait()
    assert reply.server["source"] == "discovered" and body(server)["messages"][0]["content"] == "Hello"


def test_what_a_chat_would_ask_is_told_without_a_chat(client, mock):
    server = mock("--personality", "lmstudio")
    assert client.resolve(server.url).wait() == {"url": server.url, "model": "qwen3-4b"}
    assert client.resolve(server.url, "mine").wait() == {"url": server.url, "model": "mine"}
    assert chats(server) == []


def test_the_doctor_tells_whether_it_works(client, server, free_port):
    report = client.doctor(server.url, "auto").wait()
    assert report["works"] is True
    assert all({"status", "name", "message"} <= {*check} for check in report["checks"])
    assert chats(server) and "answer" in {check["name"] for check in report["checks"]}
    report = client.doctor(f"http://127.0.0.1:{free_port}").wait()
    assert report["works"] is False
    assert any(check["status"] == "fail" and check["cure"] for check in report["checks"])
