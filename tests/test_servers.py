"""`xdev-llm servers` as a process, against mock servers.

Not here: telling every product apart, which the library's tests cover.
"""

import json


def test_each_server_is_one_object(sandbox, mock):
    lmstudio, ollama, stranger = (mock("--personality", name) for name in ("lmstudio", "ollama", "comfyui"))
    ports = [lmstudio.port, ollama.port, stranger.port]
    sandbox.config(f"discovery_ports = {ports}\n")
    ended = sandbox.run("servers", "--json")
    assert ended.returncode == 0, ended.stderr
    found = [server for server in json.loads(ended.stdout) if int(server["url"].rpartition(":")[2]) in ports]
    found = {server["kind"]: server for server in found}
    assert set(found) == {"lmstudio", "ollama"}
    for server, mocked in ((found["lmstudio"], lmstudio), (found["ollama"], ollama)):
        assert set(server) == {"url", "kind", "version", "models", "latency_ms"}
        assert server["url"] == mocked.url
        assert server["models"] and server["latency_ms"] > 0


def test_none_is_an_empty_list(alone):
    ended = alone.run("servers", "--json")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, [])


def test_ask_finds_the_server_by_itself(sandbox, mock):
    server = mock("--personality", "lmstudio", "--text", "Found.")
    sandbox.config(f"discovery_ports = [{server.port}]\n")
    ended = sandbox.run("ask", "Hello")
    assert (ended.returncode, ended.stdout) == (0, "Found.\n"), ended.stderr
