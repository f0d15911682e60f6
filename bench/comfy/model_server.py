"""The project's test server as a process, and the raw socket that says how long it takes by itself.

Not here: what is asked of it (the parts).
"""

import json
import re
import socket
import statistics
import subprocess
import time
import urllib.request

MODEL = "bench-model"
PROMPT = "Tell me about the sea."


class ModelServer:
    """`ModelServer` is a test server that answers with so many tokens; by default it plays LM Studio."""

    def __init__(self, command, *, tokens, first_token_delay=0, token_delay=0, personality="lmstudio"):
        flags = ["--personality", personality, "--port", "0", "--model", MODEL, "--tokens", str(tokens)]
        flags += ["--first-token-delay", str(first_token_delay), "--token-delay", str(token_delay)]
        self.process = subprocess.Popen([command, *flags], stdout=subprocess.PIPE, text=True)
        listening = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (http://(\S+):(\d+))\n", listening)
        if not match:
            raise SystemExit(f"the test server did not start: {listening!r}")
        self.url = match[1]
        self.address = (match[2], int(match[3]))

    def end(self):
        self.process.kill()
        self.process.wait()

    def _control(self, path, data=None):
        with urllib.request.urlopen(f"{self.url}/mock/{path}", data=data, timeout=30) as answer:
            return json.load(answer)

    def clear(self):
        """Forgets what was asked."""
        self._control("clear", b"")

    def chats(self):
        """The chats that were asked for, oldest first."""
        return [request for request in self._control("requests") if "chat" in request["path"]]

    def clock_offset(self):
        """Add it to the server's milliseconds to get those of the system's clock."""
        before = time.time()
        urllib.request.urlopen(f"{self.url}/v1/models", timeout=30).close()
        middle = (before + time.time()) / 2
        asked = [request for request in self._control("requests") if request["path"] == "/v1/models"]
        return middle * 1000 - asked[-1]["at_ms"]

    def raw_seconds(self, stream, times):
        """The median time of an answer to a request written beforehand, over a connection that is kept."""
        request = self._request(stream)
        with socket.create_connection(self.address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange(connection, request)
            return statistics.median(exchange(connection, request) for _ in range(times))

    def _request(self, stream):
        body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
        if stream:
            body["stream_options"] = {"include_usage": True}
        data = json.dumps(body).encode()
        host = "{}:{}".format(*self.address)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(data), data)


def exchange(connection, request):
    """Sends the request and reads to the end that the head tells; the seconds it took."""
    begun = time.perf_counter()
    connection.sendall(request)
    answer, length = b"", None
    while not (answer.endswith(b"\r\n0\r\n\r\n") if length is None else len(answer) == length):
        piece = connection.recv(65536)
        if not piece:
            raise SystemExit("the test server closed the connection")
        if not answer:
            told = re.search(rb"(?i)content-length: (\d+)", piece)
            length = int(told[1]) + piece.index(b"\r\n\r\n") + 4 if told else None
        answer += piece
    return time.perf_counter() - begun
