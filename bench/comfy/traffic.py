"""How many bytes go over the websocket for 1,000 tokens: it must not grow with the length of the answer.

Everything the browser gets is counted, from queueing the prompt to its end. Beside it: our node where our
JavaScript is absent, and a node that shows the whole text with each token, as ComfyUI's own display does.
"""

from model_server import MODEL, PROMPT
from places import OURS, Browser
from report import Part, Row

GOAL = 60.0


class Traffic(Part):
    """`Traffic` counts for answers of several lengths and speeds."""

    def __init__(self, host, servers):
        """`servers`: (tokens, tokens per second) -> the server."""
        self.servers = servers
        self.browsers = {OURS: Browser(host), "ours without our JavaScript": Browser(host, greets=False)}
        self.rows = []

    def go(self):
        """Everything once: bytes do not depend on what else the machine does."""
        for (tokens, speed), server in self.servers.items():
            row = Row(f"websocket, {tokens:,} tokens at {speed:,} a second, kB for 1,000 tokens", goal=GOAL)
            self.rows.append(row)
            for name, browser in self.browsers.items():
                widgets = browser.widgets("XDEV_LMStudioChat")
                widgets.update(prompt=PROMPT, server_url=server.url, model=MODEL, max_tokens=8192)
                # Another seed for each: the host has cached the last answer.
                widgets["seed"] = len(self.rows) * 10 + len(row.values)
                row.add(name, self.count(browser, "XDEV_LMStudioChat", widgets) / tokens)
            asked = {"prompt": PROMPT, "server_url": server.url, "model": MODEL, "mode": "shown"}
            if speed >= 1000:
                count = self.count(self.browsers[OURS], "Bench_Requests", {**asked, "seed": tokens})
                row.add("`requests`, all the text with each token", count / tokens)

    def count(self, browser, node, inputs):
        """The bytes of one prompt."""
        before = browser.bytes
        browser.end(browser.start(node, inputs))
        return browser.bytes - before
