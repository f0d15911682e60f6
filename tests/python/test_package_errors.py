"""Failures: each kind has its class, its builtin parent, and what a person needs to know.

Not here: cancelling.
"""

import re
import sys

import pytest
import xdev_llm
from xdev_llm import errors

from conftest import ROOT

from .support import chats

PARENTS = {
    "InvalidInput": ValueError,
    "Unreachable": ConnectionError,
    "ConnectTimeout": TimeoutError,
    "FirstEventTimeout": TimeoutError,
    "SilenceTimeout": TimeoutError,
    "DeadlineTimeout": TimeoutError,
    "Unauthorized": PermissionError,
    "NoModel": LookupError,
    "StoreError": OSError,
}


def test_every_kind_has_a_class_with_its_code_and_meaning():
    """docs/errors.md is made from the library's table, and a test of the library holds it to that."""
    page = (ROOT / "docs" / "errors.md").read_text()
    codes = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert len(codes) == 20
    assert {*errors.CLASSES} - {*codes} == {"internal", "timeout"}
    for code in codes:
        kind = errors.CLASSES[code]
        assert issubclass(kind, xdev_llm.Error) and kind.code == code and kind.__doc__


@pytest.mark.parametrize("name", PARENTS)
def test_a_class_has_the_parent_that_python_code_expects(name):
    error = getattr(errors, name)("What.", said="Words.", hint="Cure.", status=503, server="http://a:1")
    assert isinstance(error, PARENTS[name])
    assert str(error) == 'What. (at http://a:1) The server said: "Words." Cure.'
    assert (error.message, error.said, error.hint, error.status) == ("What.", "Words.", "Cure.", 503)


def test_nobody_answers(client):
    with pytest.raises(xdev_llm.Unreachable) as raised:
        client.chat("Hello", server="http://127.0.0.1:9").wait()
    error = raised.value
    assert isinstance(error, ConnectionError)
    assert (error.code, error.server, error.status) == ("unreachable", "http://127.0.0.1:9", None)
    assert "refused" in error.message and "Start the server" in error.hint and error.hint in str(error)


FAILURES = {
    "status:500:CUDA out of memory": (xdev_llm.ServerError, 500, "CUDA out of memory"),
    "status:401": (xdev_llm.Unauthorized, 401, None),
    "too-many-requests:0": (xdev_llm.Busy, 429, None),
    "error-body-200": (xdev_llm.Error, None, None),
    "html-page": (xdev_llm.ProtocolError, None, None),
    "empty-stream": (xdev_llm.Error, None, None),
}


@pytest.mark.parametrize("fault", FAILURES)
def test_a_fault_is_raised_with_the_servers_words(client, mock, fault):
    kind, status, said = FAILURES[fault]
    server = mock("--personality", "lmstudio", "--fault", fault)
    with pytest.raises(kind) as raised:
        client.chat("A prompt nobody should see", server=server.url).wait()
    error = raised.value
    assert error.server == server.url and error.hint
    assert status is None or error.status == status
    assert said is None or said in error.said and said in str(error)
    assert "nobody should see" not in str(error)


def test_a_cut_answer_is_an_error_with_what_came(client, mock):
    server = mock("--personality", "lmstudio", "--tokens", "20", "--fault", "cut-mid-event:5")
    with pytest.raises(xdev_llm.CutOff) as raised:
        client.chat("Hello", server=server.url).wait()
    partial = raised.value.partial
    assert isinstance(partial, xdev_llm.ChatReply) and partial.text and partial.finish_reason is None


def test_an_error_is_raised_by_the_iteration_after_the_events(client, mock):
    server = mock("--personality", "lmstudio", "--tokens", "20", "--fault", "cut-mid-event:5")
    run = client.chat("Hello", server=server.url)
    kinds = []
    with pytest.raises(xdev_llm.CutOff):
        for event in run:
            kinds.append(event.kind)
    assert "text" in kinds
    with pytest.raises(xdev_llm.CutOff):
        next(run)


def test_a_model_that_is_not_there(client, mock):
    server = mock("--personality", "ollama")
    with pytest.raises(xdev_llm.NoModel) as raised:
        client.chat("Hello", server=server.url, model="nothing-like-it").wait()
    assert "auto" in raised.value.hint


def test_silence_runs_into_the_deadline(client, mock):
    server = mock("--personality", "lmstudio", "--first-token-delay", "60000")
    with pytest.raises(xdev_llm.DeadlineTimeout) as raised:
        client.chat("Hello", server=server.url, deadline=0.2).wait()
    assert isinstance(raised.value, xdev_llm.Timeout)


def test_a_wrong_config_is_said_when_the_client_is_made(sandbox):
    sandbox.config("timout = 30\n")
    with pytest.raises(xdev_llm.ConfigError, match="timout"):
        xdev_llm.Client()
    sandbox.config("[presets.x]\ntemperature = 'hot'\n")
    with pytest.raises(xdev_llm.ConfigError, match='preset "x"'):
        xdev_llm.Client()


def test_wrong_arguments_of_the_client_are_said(sandbox):
    with pytest.raises(xdev_llm.InvalidInput, match="timeout"):
        xdev_llm.Client(timeout=4)
    with pytest.raises(xdev_llm.InvalidInput, match="reasoning"):
        xdev_llm.Client(reasoning="much")


def test_a_remote_host_is_refused_before_anything_is_sent(client):
    with pytest.raises(xdev_llm.ConfigError, match="203.0.113.5"):
        client.chat("Hello", server="http://203.0.113.5:1234").wait()


def test_a_wrong_argument_is_raised_at_once_and_nothing_is_asked(client, server):
    with pytest.raises(xdev_llm.InvalidInput, match="temperature is 3"):
        client.chat("Hello", server=server.url, temperature=3)
    # The name is in a note, which Python 3.10 does not have.
    with pytest.raises(TypeError, match="temperature" if sys.version_info >= (3, 11) else None):
        client.chat("Hello", server=server.url, temperature="hot")
    assert chats(server) == []
