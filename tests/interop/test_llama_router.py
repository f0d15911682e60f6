"""What only llama.cpp's router does: it evicts, it kills, and a model that was killed counts as failed.

Not here: what it has in common with others.
"""

from interop.commands import begin_to_answer, said
from interop.servers import ask


def test_a_third_model_says_what_went_for_it(llama, command):
    for model in ("small", "other"):
        said(command(llama).run("load", model, "--json"))
    loaded = said(command(llama).run("load", "slow", "--json"))
    assert llama.loaded() == {"other", "slow"}
    assert loaded["evicted"] == ["small"]


def test_a_third_model_while_both_answer_is_refused(llama, command):
    asked = []
    for model in ("small", "other"):
        said(command(llama).run("load", model, "--json"))
        asked.append(begin_to_answer(command(llama), model))
    ended = command(llama).run("load", "slow")
    assert ended.returncode not in (0, 7) and "model limit reached" in ended.stderr
    assert llama.loaded() == {"small", "other"}
    for child in asked:
        child.kill()


def test_an_answer_that_is_cut_by_an_unload_is_a_failure(llama, command):
    said(command(llama).run("load", "small", "--json"))
    asked = begin_to_answer(command(llama), "small")
    said(command(llama).run("unload", "small", "--json"))
    output, errors = asked.communicate(timeout=60)
    assert asked.returncode not in (0, 130), output[-500:]
    assert errors.strip()


def test_a_model_that_was_killed_loads_again(llama, command):
    ask(llama.url + "/models/load", {"model": "slow"})
    ask(llama.url + "/models/unload", {"model": "slow"})
    said(command(llama).run("load", "slow", "--json"))
    assert llama.loaded() == {"slow"}


def test_a_keep_alive_is_said_not_to_be_sent(llama, command):
    loaded = said(command(llama).run("load", "small", "--keep-alive", "60", "--context-length", "512", "--json"))
    assert set(loaded["not_sent"]) == {"context_length", "keep_alive"}
