"""What only Ollama does: it keeps a model for as long as it is told, in the context that it is told.

Not here: what it has in common with others.
"""

from datetime import datetime, timedelta, timezone

from conftest import wait_until
from interop.commands import in_memory, named, said
from interop.servers import ask


def stays_for(ollama, model):
    """How long the server says that it keeps the model."""
    until = ollama.listed()[model]["expires_at"]
    # Python 3.10 reads no nanoseconds.
    return datetime.fromisoformat(until[:19] + "+00:00") - datetime.now(timezone.utc)


def test_a_keep_alive_in_seconds(ollama, command):
    said(command(ollama).run("load", "small", "--keep-alive", "3600", "--json"))
    assert timedelta(minutes=50) < stays_for(ollama, "small") < timedelta(minutes=61)


def test_a_keep_alive_for_a_model_that_is_there(ollama, command):
    said(command(ollama).run("load", "small", "--json"))
    loaded = said(command(ollama).run("load", "small", "--keep-alive", "1h30m", "--json"))
    assert loaded["was_loaded"]
    assert timedelta(minutes=80) < stays_for(ollama, "small") < timedelta(minutes=91)


def test_forever(ollama, command):
    said(command(ollama).run("load", "small", "--keep-alive", "forever", "--json"))
    assert stays_for(ollama, "small") > timedelta(days=365)


def test_the_server_forgets_it_by_itself(ollama, command):
    said(command(ollama).run("load", "small", "--keep-alive", "1", "--json"))
    wait_until(lambda: not ollama.loaded())
    assert in_memory(command(ollama)) == set()


def test_an_answer_that_unloads(ollama, command):
    said(command(ollama).run("load", "small", "--json"))
    said(command(ollama).run("ask", "--model", "small", "--max-tokens", "4", "--keep-alive", "0", "--json", "Hello"))
    wait_until(lambda: not ollama.loaded())


def test_a_context_length_reloads(ollama, command):
    said(command(ollama).run("load", "small", "--json"))
    before = ollama.listed()["small"]["context_length"]
    loaded = said(command(ollama).run("load", "small", "--context-length", str(2 * before), "--json"))
    assert loaded["context_length"] == ollama.listed()["small"]["context_length"] == 2 * before
    assert not loaded["was_loaded"]


def test_two_names_of_one_file_are_one_copy(ollama, command):
    assert ask(ollama.url + "/api/copy", {"source": "small", "destination": "twin"})[0] == 200
    try:
        said(command(ollama).run("load", "small", "--json"))
        before = ollama.loads()
        assert command(ollama).run("load", "twin").returncode == 0
        assert ollama.loads() == before
        assert command(ollama).run("unload", "twin").returncode == 0
        assert ollama.loaded() == set()
    finally:
        ask(ollama.url + "/api/delete", {"model": "twin"}, method="DELETE")


def test_a_failed_pull_is_told_in_the_servers_words(ollama, command):
    ended = command(ollama).run("pull", "models.example/library/none")
    assert ended.returncode not in (0, 130)
    assert "pull model manifest" in ended.stderr


def test_a_switch_evicts_nothing_twice(ollama, command):
    for model in ("small", "other"):
        said(command(ollama).run("load", model, "--json"))
    switched = said(command(ollama).run("switch", "slow", "--json"))
    assert ollama.loaded() == {"slow"}
    gone = {named(model) for model in (switched["unloaded"] or {"models": []})["models"]}
    gone |= {name.removesuffix(":latest") for name in switched["loaded"].get("evicted", [])}
    assert gone == {"small", "other"}
