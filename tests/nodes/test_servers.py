"""Which server gets the prompt: the one that was given, in whatever form its URL has.

Another one only where that one is down, the user asked for it, and it is a model server.
"""

import json

import pytest

from host.hosts import Refused, free_port
from nodes.graphs import INFO, RESPONSE, chat, events
from nodes.servers import path_server

DOWN = "http://127.0.0.1:1"


def posts(server):
    """What was sent to a server, besides questions."""
    return [asked for asked in server.requests() if asked["method"] != "GET" and asked["method"] != "HEAD"]


def test_a_server_that_is_down_is_replaced_by_one_that_is_found(client, discoverable):
    found = discoverable("--personality", "lmstudio", "--text", "Found.")
    run = client.run(chat(DOWN, auto_detect_server=True))
    assert run.text(RESPONSE) == ["Found."]
    info = run.text(INFO)[0]
    assert found.url.rpartition(":")[2] in info and "127.0.0.1:1" in info, (
        "it says which was taken, and instead of which"
    )
    assert any("127.0.0.1:1" in data.get("detected", "") for data in events(client))


def test_what_was_found_is_looked_for_again_once_it_is_gone(client, discoverable):
    first = discoverable("--personality", "lmstudio", "--text", "First.")
    assert client.run(chat(DOWN)).text(RESPONSE) == ["First."]
    first.stop()
    discoverable("--personality", "lmstudio", "--text", "Second.")
    assert client.run(chat(DOWN)).text(RESPONSE) == ["Second."]


def test_what_was_found_is_not_trusted_once_another_program_is_there(client, discoverable, serve):
    found = discoverable("--personality", "lmstudio", "--text", "Found.")
    assert client.run(chat(DOWN)).text(RESPONSE) == ["Found."]
    found.stop()
    page = serve("--personality", "spa", port=int(found.url.rpartition(":")[2]))
    assert "execution_error" in client.run(chat(DOWN)).ends
    assert not posts(page)


def test_not_where_the_user_does_not_want_it(client, discoverable):
    found = discoverable("--personality", "lmstudio")
    run = client.run(chat(DOWN, auto_detect_server=False))
    assert "Unreachable" in run.error["exception_type"]
    assert not found.requests(), "nothing is even looked for"


@pytest.mark.parametrize(
    "answer",
    [
        {"fault": "status:500:{}"},
        {"fault": "status:404:{}"},
        {"fault": "html-page"},
        {"fault": "reset-before-headers"},
    ],
)
def test_a_server_that_answers_is_never_replaced(client, discoverable, server, answer):
    decoy = discoverable("--personality", "lmstudio")
    server.script(**answer)
    run = client.run(chat(server, auto_detect_server=True))
    assert "execution_error" in run.ends and server.url in run.error["exception_message"]
    assert not posts(decoy)


def test_a_given_server_gets_the_prompt_though_others_run(client, discoverable, server):
    decoy = discoverable("--personality", "lmstudio")
    assert client.run(chat(server, auto_detect_server=True)).text(RESPONSE)
    assert server.chats() and not decoy.requests()


@pytest.mark.parametrize(
    "personality", ["spa", "comfyui", "open-webui", "prometheus", "proxy-redirect", "spring-health"]
)
def test_what_is_no_model_server_gets_no_prompt(client, discoverable, personality):
    decoy = discoverable("--personality", personality)
    run = client.run(chat(DOWN, auto_detect_server=True))
    assert "execution_error" in run.ends
    assert not posts(decoy)


def test_what_is_no_model_server_is_refused_though_it_is_given(client, serve):
    page = serve("--personality", "spa")
    run = client.run(chat(page, auto_detect_server=False))
    assert "execution_error" in run.ends and page.url in run.error["exception_message"]


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/v1", "{}/v1/", "{}/v1/chat/completions"])
@pytest.mark.parametrize("prefix", ["", "/llm", "/api/x"])
def test_a_url_is_taken_as_it_is(client, form, prefix):
    with path_server(prefix) as (url, asked):
        run = client.run(chat(form.format(url + prefix), auto_detect_server=False))
        assert run.text(RESPONSE) == ["Hello."], asked
        assert f"{prefix}/v1/chat/completions" in asked


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_names_of_this_machine(client, server, name):
    port = server.url.rpartition(":")[2]
    assert client.run(chat(f"http://{name}:{port}")).text(RESPONSE)


@pytest.mark.parametrize("url", ["http://8.8.8.8:1234", "https://1.1.1.1/v1", "http://192.0.2.1:8000"])
def test_hosts_outside_are_not_connected_to(client, url):
    """A workflow is foreign input; the user's own config may allow a host."""
    run = client.run(chat(url, auto_detect_server=False, validate_input=False))
    assert "ConfigError" in run.error["exception_type"] and "allow_hosts" in run.error["exception_message"]


def test_an_empty_url_takes_the_first_found(client, discoverable):
    discoverable("--personality", "lmstudio", "--text", "Found.")
    assert client.run(chat("", auto_detect_server=False)).text(RESPONSE) == ["Found."]


def test_a_name_of_the_config(client, world):
    before = len(world.keyed.chats())
    run = client.run(chat("keyed"))
    assert run.text(RESPONSE)[0]
    assert len(world.keyed.chats()) == before + 1
    assert json.loads(run.text(INFO)[0])["server"]["url"] == world.keyed.url


def test_an_alias_goes_to_the_first_of_its_servers_that_answers(client, world):
    run = client.run(chat("", model="swift"))
    assert run.text(RESPONSE)[0]
    info = json.loads(run.text(INFO)[0])
    assert info["server"]["url"] == world.keyed.url and "route" not in info["server"]
    assert (info["route"]["alias"], info["route"]["taken"]) == ("swift", 2)
    assert info["route"]["tried"][0]["server"] == "http://127.0.0.1:1"
    assert any("swift: route 2 is taken" in data.get("detected", "") for data in events(client))


def test_an_alias_goes_to_its_own_servers_whatever_the_widget_says(client, world, server):
    run = client.run(chat(server, model="swift"))
    assert json.loads(run.text(INFO)[0])["server"]["url"] == world.keyed.url
    before = len(server.chats())
    client.run(chat(server, model="swift", seed=2))
    assert len(server.chats()) == before


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "keyed", "http://127.0.0.1:9"])
def test_aliases_are_listed_whether_the_server_is_there_or_not(client, url):
    try:
        told = client.get(f"/xdev_llm/models?server={url}")
    except Refused as refused:
        told = refused.answer
    [alias] = told["aliases"]
    assert alias["name"] == "swift" and [route["server"] for route in alias["routes"]] == ["http://127.0.0.1:1", "keyed"]


def test_an_unknown_name_is_refused(client):
    with pytest.raises(Refused) as caught:
        client.queue(chat("studio"))
    assert "studio" in str(caught.value.answer["node_errors"])


def test_nothing_hangs_while_a_server_hangs(client, serve):
    """No definition and no route asks a server on the host's event loop."""
    import threading
    import time

    silent = serve("--personality", "silent")
    prompt_id = client.queue(chat(silent, auto_detect_server=False, timeout=30))
    asking = threading.Thread(
        target=lambda: quietly(client, f"/xdev_llm/models?server={silent.url}"), daemon=True
    )
    asking.start()
    client.wait_for("executing", lambda data: data.get("prompt_id") == prompt_id)
    slowest = 0
    for path in ("/object_info", "/system_stats", "/object_info/XDEV_LMStudioChat", "/queue") * 3:
        begun = time.monotonic()
        client.get(path)
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 1, slowest
    client.interrupt(prompt_id)
    client.wait(prompt_id)


def quietly(client, path):
    try:
        client.get(path)
    except Refused:
        pass


def test_a_server_that_comes_back_is_found_again(client, serve):
    port = free_port()
    graph = chat(f"http://127.0.0.1:{port}", auto_detect_server=False)
    for text in ("First.", "Second."):
        server = serve("--personality", "llama.cpp", "--text", text, port=port)
        assert client.run(graph).text(RESPONSE) == [text]
        server.stop()
        assert "Unreachable" in client.run(graph).error["exception_type"]
