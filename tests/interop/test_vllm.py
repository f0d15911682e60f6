"""vLLM on the processor, which cannot sleep there: it says yes to sleep and gives nothing back, and we say so.

Sleep itself needs a GPU. Not here: answers, which the recorded exchanges cover.
"""

import pytest

from interop.commands import in_memory, named, said
from interop.servers import Vllm, ask


def test_the_one_model_is_loaded(vllm, command):
    (model,) = said(command(vllm).run("models", "--json"))
    assert named(model) == "small" and model["state"] == "loaded"
    assert in_memory(command(vllm)) == {"small"}
    assert said(command(vllm).run("load", "small", "--json"))["was_loaded"]


def test_a_sleep_that_gives_nothing_back_is_no_unload(vllm, command):
    ended = command(vllm).run("unload", "small")
    assert ended.returncode not in (0, 130), ended.stdout
    assert "--enable-sleep-mode" in ended.stderr
    assert not vllm.sleeps()


def test_the_server_lies_about_it(vllm):
    """Why `is_sleeping` alone is not believed."""
    try:
        assert ask(vllm.url + "/sleep?level=1", {})[1]["status"] == "sleeping"
        assert vllm.sleeps()
        assert "sleep mode is not supported on CPU, ignore it." in vllm.log()
    finally:
        ask(vllm.url + "/wake_up", {})


def test_an_answer_while_it_pauses(vllm, command):
    """Somebody else has put it to sleep: it would wait without a word."""
    ask(vllm.url + "/sleep?level=1", {})
    try:
        answer = said(command(vllm).run("ask", "--model", "small", "--max-tokens", "4", "--json", "Hello"))
        assert answer["response"] and not vllm.sleeps()
    finally:
        ask(vllm.url + "/wake_up", {})


class WithSleepMode(Vllm):
    """vLLM as one starts it on a GPU."""

    flags = ("--enable-sleep-mode",)


def test_sleep_mode_is_refused_on_the_processor(tmp_path):
    """When a release no longer refuses it, the other tests here have more to show."""
    with pytest.raises(AssertionError, match="the server ended with"):
        WithSleepMode(tmp_path)
    assert "Sleep mode is not supported on current platform" in (tmp_path / "server.log").read_text()
