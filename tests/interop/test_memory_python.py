"""A server's memory from Python: one client, whose calls follow each other, against the real servers.

Not here: the mock servers, which tests/python has.
"""

import asyncio

import pytest

from conftest import wait_until

xdev_llm = pytest.importorskip("xdev_llm")


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client without anybody's settings."""
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("XDEV_LLM_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDEV_LLM_STATE_DIR", str(tmp_path / "state"))
    return xdev_llm.Client()


def named(entry):
    """A model's name as the tests use it."""
    return entry["id"].removesuffix(":latest")


def in_memory(client, server):
    """What the client says is there."""
    return {named(model) for model in client.loaded(server=server.url).wait()}


def test_load_ask_unload(server, client):
    before = server.loads()
    loaded = client.load("small", server=server.url).wait()
    assert named(loaded) == "small" and in_memory(client, server) == server.loaded() == {"small"}
    reply = client.chat("Hello", server=server.url, model="small", max_tokens=4).wait()
    assert reply.text and server.loads() == before + 1
    unloaded = client.unload("small", server=server.url).wait()
    assert server.loaded() == set() == in_memory(client, server)
    assert [named(model) for model in unloaded["models"]] == ["small"]


def test_unload_follows_a_load_that_nobody_waits_for(server, client):
    before = server.loads()
    load = client.load("slow", server=server.url)
    wait_until(lambda: server.loads() > before)
    load.cancel()
    client.unload("slow", server=server.url).wait()
    assert server.loaded() == set()
    client.load("small", server=server.url).wait()
    assert server.loaded() == {"small"}


def test_a_cancelled_task_of_asyncio_leaves_nothing(server, client):
    async def cancelled():
        before = server.loads()
        load = asyncio.ensure_future(client.load("slow", server=server.url))
        while server.loads() == before:
            await asyncio.sleep(0.01)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        await client.unload("slow", server=server.url)

    asyncio.run(cancelled())
    assert server.loaded() == set()


def test_unload_after_a_cancelled_answer(server, client):
    client.load("small", server=server.url).wait()
    run = client.chat("Tell me a very long story.", server=server.url, model="small", max_tokens=4000)
    wait_until(lambda: run.text)
    run.cancel()
    client.unload("small", server=server.url).wait()
    assert server.loaded() == set()


def test_switch_back_and_forth(server, client):
    for model in ("small", "other", "small"):
        client.switch(model, server=server.url).wait()
        assert server.loaded() == {model}
