"""`xdev-llm ask` as a process, against the mock server: streams, signals, pipes, JSON, exit codes.

Not here: flags on the wire and the like, which the command's own tests cover; the engine (test_engine.py).
"""

import json
import subprocess

import pytest

from conftest import COMMAND, PATIENCE, wait_until


def test_the_answer_arrives_while_the_server_still_writes(sandbox, mock):
    server = mock("--tokens", "40", "--token-delay", "50")
    child = sandbox.spawn("ask", "--server", server.url, "Hello")
    first = child.stdout.read1(65536)
    assert first and not server.chats(), "text comes before the server has ended its answer"
    rest, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, errors
    assert len(rest) > len(first) and rest.endswith(b"\n")
    chat = wait_until(server.chats)[0]
    assert chat["status"] == 200 and chat["tokens_sent"] == 40 and chat["client_closed_ms"] is None


def test_ctrl_c_exits_130_and_the_server_sees_it(sandbox, mock, interrupt):
    server = mock("--tokens", "1000", "--token-delay", "50")
    child = sandbox.spawn("ask", "--server", server.url, "Hello")
    arrived = child.stdout.read1(65536)
    assert arrived
    interrupt(child)
    assert child.wait(2) == 130
    chat = wait_until(server.chats, 2)[0]
    assert chat["client_closed_ms"] is not None and chat["tokens_sent"] < 1000


def test_ctrl_c_works_before_the_first_token(sandbox, mock, interrupt):
    server = mock("--personality", "lmstudio", "--first-token-delay", "30000")
    child = sandbox.spawn("ask", "--server", server.url, "Hello")
    # The questions that tell the server's kind come first.
    wait_until(lambda: server.log)
    interrupt(child)
    assert child.wait(2) == 130
    assert child.stdout.read() == b""


def test_a_reader_that_leaves_ends_the_answer_quietly(sandbox, mock):
    server = mock("--tokens", "1000", "--token-delay", "20")
    child = sandbox.spawn("ask", "--server", server.url, "Hello")
    assert child.stdout.read1(65536)
    child.stdout.close()
    assert child.wait(PATIENCE) == 0
    assert b"error" not in child.stderr.read()
    assert wait_until(server.chats)[0]["client_closed_ms"] is not None


def test_a_shell_pipe_into_head_is_quiet(sandbox, mock):
    server = mock("--tokens", "100000")
    script = f'"$0" ask --server {server.url} Hello | head -c 5'
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, COMMAND],
        env=sandbox.environment,
        cwd=sandbox.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, len(ended.stdout)) == (0, 5), ended
    assert b"error" not in ended.stderr and b"panicked" not in ended.stderr


def test_json_is_one_object_with_the_nodes_outputs(sandbox, mock):
    server = mock("--personality", "lmstudio", "--text", "Four.", "--reasoning", "Two and two.")
    ended = sandbox.run("ask", "--json", "--system", "Count.", "--server", server.url, "2+2?")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert set(answer) == {"response", "reasoning", "full_conversation", "server_info", "generation_stats"}
    assert (answer["response"], answer["reasoning"]) == ("Four.", "Two and two.")
    assert answer["full_conversation"] == [
        {"role": "system", "content": "Count."},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "Four."},
    ]
    assert answer["server_info"]["url"] == server.url and answer["server_info"]["kind"] == "lmstudio"
    stats = answer["generation_stats"]
    assert stats["output_tokens"] > 0 and stats["duration"] >= stats["time_to_first_token"] > 0


@pytest.mark.parametrize(
    ("flags", "arguments", "exit_code", "code"),
    [
        (["--api-key", "right"], [], 6, "unauthorized"),
        (["--fault", "no-finish-no-done", "--tokens", "3"], [], 14, None),
        (["--fault", "html-page"], [], None, None),
        ([], ["--temperature", "3"], 2, "invalid_input"),
    ],
)
def test_a_failure_is_one_json_object_and_an_exit_code(sandbox, mock, flags, arguments, exit_code, code):
    server = mock(*flags)
    ended = sandbox.run("ask", "--json", "--server", server.url, *arguments, "Hello")
    error = json.loads(ended.stdout)["error"]
    assert set(error) == {"code", "message", "hint"} and all(error.values())
    assert ended.returncode not in (0, 1, 101)
    if exit_code is not None:
        assert ended.returncode == exit_code, error
    if code is not None:
        assert error["code"] == code


def test_the_prompt_comes_through_a_pipe(sandbox, mock):
    server = mock("--text", "Read.")
    ended = sandbox.run("ask", "--server", server.url, input="漢字 and ümlauts\n")
    assert (ended.returncode, ended.stdout) == (0, "Read.\n"), ended.stderr


def test_no_server_and_no_engine_names_both_cures(alone):
    ended = alone.run("ask", "Hello")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "xdev-llm engine install" in ended.stderr and "LM Studio" in ended.stderr
    assert not (alone.folder / "data").exists(), "nothing is installed unasked"
