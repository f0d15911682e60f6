"""Stands in for llama-server in the engine's tests: its key, /health and /slots, and bad manners.

With --behave it may: exit (with words, at once), load (503 for ever), deaf (ignore SIGTERM), open (ask for no key).
GET /exit/N makes it exit with code N.
"""

import argparse
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--behave", default="well")
parser.add_argument("--port", type=int)
parser.add_argument("--pid-file")
arguments, others = parser.parse_known_args()

if arguments.pid_file:
    with open(arguments.pid_file + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(arguments.pid_file + ".new", arguments.pid_file)
if arguments.behave == "exit":
    print("error: unknown flash attention", file=sys.stderr)
    sys.exit(7)
if arguments.behave == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        authorized = self.headers["Authorization"] == "Bearer " + os.environ["LLAMA_API_KEY"]
        if self.path == "/health":
            status, body = (503, "{}") if arguments.behave == "load" else (200, '{"status":"ok"}')
        elif arguments.behave != "open" and not authorized:
            status, body = 401, "{}"
        elif self.path.startswith("/exit/"):
            print("ggml_abort: something broke", file=sys.stderr, flush=True)
            os._exit(int(self.path[6:]))
        elif self.path == "/arguments":
            variables = [name for name in os.environ if name.startswith(("LLAMA_ARG_", "OMP_"))]
            settings = [name + "=" + os.environ[name] for name in sorted(variables)]
            status, body = 200, " ".join(others + settings)
        else:
            status, body = 200, '[{"id":0,"is_processing":false}]'
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())


ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()
