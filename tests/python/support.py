"""What the tests of the Python package share: waiting, and what a mock server was asked.

Not here: fixtures.
"""

import json
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Slow machines and loaded ones are no failures; this ends only what hangs.
PATIENCE = 60


def wait_until(condition, seconds=PATIENCE):
    """Returns the first true value of condition(), or fails."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.01)


def asked(server):
    """All requests of a mock server so far, in order."""
    with urllib.request.urlopen(server.url + "/mock/requests", timeout=PATIENCE) as answer:
        return json.load(answer)


def chats(server):
    """The chats among them."""
    return [request for request in asked(server) if request["method"] == "POST" and "chat" in request["path"]]


def body(server):
    """The body of the last chat."""
    return chats(server)[-1]["body"]


def closed_by_client(server):
    """Whether the client closed the last chat before its end."""
    last = chats(server)
    return bool(last) and last[-1].get("client_closed_ms") is not None
