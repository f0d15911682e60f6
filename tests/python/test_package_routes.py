"""Aliases through the package: which route a chat takes, and what is told of it."""

import socket

import pytest
import xdev_llm

from .support import body, chats

MODEL = "google/gemma-3-12b"


@pytest.fixture
def gone():
    """An address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def routes(*ways):
    """An alias `fast` with these servers and models, as a config."""
    return "".join(f'[[aliases.fast]]\nserver = "{server}"\nmodel = "{model}"\n' for server, model in ways)


@pytest.fixture
def client(sandbox, server, gone):
    """A client whose alias goes to nobody first, and then to the mock."""
    sandbox.config(routes((gone, "big"), (server.url, MODEL)))
    return xdev_llm.Client()


def test_a_chat_goes_on_to_the_next_route_and_says_so(client, server, gone):
    run = client.chat("Hello", model="fast")
    reply = run.wait()
    assert reply.text == "Hello there, friend." and body(server)["model"] == MODEL
    route = reply.server["route"]
    assert (route["alias"], route["taken"]) == ("fast", 2)
    assert [(tried["server"], tried["model"]) for tried in route["tried"]] == [(gone, "big")]
    assert "Nothing answers" in route["tried"][0]["why"]
    assert len(reply.notes) == 1 and reply.notes[0].startswith("fast: route 2 is taken") and run.notes == reply.notes


def test_the_first_route_needs_no_note(sandbox, server):
    sandbox.config(routes((server.url, "qwen3-4b")))
    reply = xdev_llm.Client().chat("Hello", model="fast").wait()
    assert reply.server["route"] == {"alias": "fast", "taken": 1, "tried": []} and reply.notes == []
    assert "route" not in xdev_llm.Client().chat("Hello", server=server.url).wait().server


def test_a_server_that_went_away_is_left(sandbox, mock, server):
    first = mock("--personality", "lmstudio", "--text", "From the first.")
    sandbox.config(routes((first.url, "qwen3-4b"), (server.url, MODEL)))
    client = xdev_llm.Client()
    assert client.chat("Hello", model="fast").wait().text == "From the first."
    first.child.kill()
    first.child.wait()
    # It is remembered as there, so only the chat finds out.
    reply = client.chat("Hello", model="fast").wait()
    assert reply.text == "Hello there, friend." and reply.server["route"]["taken"] == 2


def test_an_alias_is_not_replaced_by_what_is_found(sandbox, server, gone):
    sandbox.config(f"discovery_ports = [{server.port}]\n" + routes((gone, "big")))
    with pytest.raises(xdev_llm.Unreachable, match="No route of the alias `fast`"):
        xdev_llm.Client().chat("Hello", model="fast", auto_detect_server=True).wait()
    assert chats(server) == []


def test_all_reasons_are_raised(sandbox, server, gone):
    sandbox.config(routes((gone, "big"), (server.url, "not-there")))
    with pytest.raises(xdev_llm.NoModel) as raised:
        xdev_llm.Client().chat("Hello", model="fast").wait()
    message = str(raised.value)
    assert "Route 1 (big): " in message and "Route 2 (not-there): " in message and "aliases.fast" in raised.value.hint


def test_a_server_beside_an_alias_must_be_one_of_its_own(client, server, gone):
    assert client.chat("Hello", server=server.url, model="fast").wait().server["route"]["taken"] == 2
    with pytest.raises(xdev_llm.InvalidInput, match="no route to the server"):
        client.chat("Hello", server="http://127.0.0.1:9", model="fast")
    [(field, problem)] = client.check("Hello", server="http://127.0.0.1:9", model="fast")
    assert field == "model" and "Leave the server empty" in problem
    assert client.check("Hello", server=gone, model="fast") == client.check("Hello", model="fast") == []


def test_what_a_chat_would_ask_and_the_doctor_follow_it(client, server):
    assert client.resolve(model="fast").wait() == {"url": server.url, "model": MODEL}
    report = client.doctor(model="fast").wait()
    by_name = {check["name"]: check for check in report["checks"]}
    assert by_name["route"]["status"] == "warn" and MODEL in by_name["model"]["message"]


def test_the_aliases_are_told(client, server, gone):
    assert client.aliases == {"fast": [{"server": gone, "model": "big"}, {"server": server.url, "model": MODEL}]}
