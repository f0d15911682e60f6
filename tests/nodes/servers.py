"""A model server below a path, for what the mock cannot: URLs with a path, and answers of any size.

It speaks as much of OpenAI's API as a chat needs. Not here: any test.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers below `prefix`, and 404 elsewhere; a chat is answered with `pieces`, or with what they give for its body."""

    protocol_version = "HTTP/1.1"
    prefix = ""
    pieces = ("Hello.",)
    asked = ()

    def log_message(self, *arguments):
        """Prints nothing."""

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == f"{self.prefix}/v1/models":
            self.answer(
                200, {"object": "list", "data": [{"id": "a-model", "object": "model", "owned_by": "me"}]}
            )
        else:
            self.answer(404, {"error": {"message": f"no such path: {self.path}"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(self.path)
        if self.path != f"{self.prefix}/v1/chat/completions":
            self.answer(404, {"error": {"message": f"no such path: {self.path}"}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for piece in self.pieces(body) if callable(self.pieces) else self.pieces:
                self.event({"content": piece}, None)
            self.event({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            pass  # the client has had enough
        self.close_connection = True

    def event(self, delta, finish_reason):
        """Sends one piece."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        self.wfile.write(
            f"data: {json.dumps({'id': 'c', 'model': 'a-model', 'choices': [choice]})}\n\n".encode()
        )

    def answer(self, status, content):
        """Sends JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def path_server(prefix="", pieces=("Hello.",)):
    """The URL of a running server, without the prefix, and the list of paths it is asked for."""
    asked = []
    # A function would become a method there.
    kept = staticmethod(pieces) if callable(pieces) else pieces
    handler = type("Handler", (Handler,), {"prefix": prefix, "pieces": kept, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
