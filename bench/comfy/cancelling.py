"""How long after POST /interrupt the prompt ends, and the model server sees the socket close.

Once while tokens come, once while the server is silent before its first token. Peers take no part: a node
that does not look at ComfyUI's flag ends when its answer does. Not here: what a call costs (`calls`).
"""

import random
import time

from model_server import MODEL, PROMPT
from places import OURS, wait_until
from report import Part, Row

PATIENCE = 30


class Cancelling(Part):
    """`Cancelling` cancels our node again and again in one host."""

    def __init__(self, where, browser, servers, times):
        """`servers`: a description of what goes on when Cancel is pressed -> the server."""
        self.browser, self.servers, self.times = browser, servers, times
        self.inputs = browser.widgets("XDEV_LMStudioChat")
        # Cancel is pressed at any moment, but each run presses at the same ones.
        self.moments = random.Random(1)
        self.seed = 0
        self.ended, self.closed, self.rows = {}, {}, []
        for what in servers:
            self.ended[what] = [
                Row(f"cancel {what}, in {where}: the prompt has ended, ms, median"),
                Row("the same, 99 of 100", goal=200.0, percentile=99),
            ]
            self.closed[what] = [
                Row(f"cancel {what}, in {where}: the server sees the close, ms, median"),
                Row("the same, 99 of 100", goal=200.0, percentile=99),
            ]
            self.rows += self.ended[what] + self.closed[what]

    def go(self, round_number, is_measured=True):
        """One round: each server so many times."""
        for what, server in self.servers.items():
            offset = server.clock_offset()
            for _ in range(self.times):
                ended, closed = self.cancel(server, offset)
                if is_measured:
                    for row in self.ended[what]:
                        row.add(OURS, ended)
                    for row in self.closed[what]:
                        row.add(OURS, closed)

    def cancel(self, server, offset):
        """Milliseconds from the request to the end of the prompt, and to the close."""
        server.clear()
        self.seed += 1
        self.browser.start(
            "XDEV_LMStudioChat",
            {**self.inputs, "prompt": PROMPT, "server_url": server.url, "model": MODEL, "seed": self.seed},
        )
        wait_until(server.chats, PATIENCE, "the request")
        time.sleep(0.05 + self.moments.uniform(0, 0.05))
        pressed = 1000 * self.browser.interrupt()
        end = self.browser.wait_for("execution_interrupted", seconds=PATIENCE)
        self.browser.wait_for("executing", lambda data: data["node"] is None, PATIENCE)
        closed = wait_until(lambda: server.chats()[0]["client_closed_ms"], PATIENCE, "the close")
        return 1000 * end.data["exact"] - pressed, closed + offset - pressed
