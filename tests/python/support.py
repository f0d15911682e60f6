"""What the tests of the Python package share: what a mock server was asked.

Not here: fixtures.
"""

import json
import urllib.request

from conftest import PATIENCE


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
