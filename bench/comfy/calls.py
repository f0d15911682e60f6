"""What one call costs in a host, beyond what the model server takes by itself.

A prompt holds one node; its time is the host's own, from `execution_start` to `execution_success`. A round's
value is the median of some prompts. Not here: cancelling (`cancelling`).
"""

import itertools
import statistics

from model_server import MODEL, PROMPT
from places import OURS
from report import Part, Row, show

TOKENS = 16
SAME_SHAPE = "a node like ours that asks nobody"
NOTHING = "a plain node that does nothing"
# Name, node, mode, and whether the answer is streamed.
PEERS = [
    (NOTHING, "Bench_Nothing", "kept", None),
    ("`requests`", "Bench_Requests", "kept", False),
    ("`requests`, stream", "Bench_Requests", "stream", True),
    ("`requests`, new connection", "Bench_Requests", "new", False),
    ("`openai`", "Bench_OpenAi", "kept", False),
    ("`openai`, stream", "Bench_OpenAi", "stream", True),
    ("`openai`, new client", "Bench_OpenAi", "new", False),
]


class Calls(Part):
    """`Calls` runs the nodes in turn in one host."""

    def __init__(self, where, browser, server, prompts):
        self.browser, self.server, self.prompts = browser, server, prompts
        self.seeds = itertools.count(1)
        widgets = browser.widgets("XDEV_LMStudioChat")
        widgets.update(prompt=PROMPT, server_url=server.url)
        named = ("XDEV_LMStudioChat", {**widgets, "model": MODEL}, True)
        silent = ("XDEV_LMStudioChat", {**widgets, "model": MODEL, "stream": False}, True)
        auto = ("XDEV_LMStudioChat", {**widgets, "model": "auto"}, True)
        asked = {"prompt": PROMPT, "server_url": server.url, "model": MODEL}
        self.nodes = {OURS: named, "ours, not shown live": silent, 'ours, model "auto"': auto}
        self.nodes[SAME_SHAPE] = ("Bench_SameShape", named[1], None)
        self.nodes |= {name: (node, {**asked, "mode": mode}, streams) for name, node, mode, streams in PEERS}
        self.over_raw = Row(f"a call in {where}, ms over a raw socket", goal=1.0)
        self.share = Row("the same, as a share of `requests`", goal=0.2)
        self.share_new = Row("the same, as a share of `requests` with a new connection", goal=0.2)
        self.own = Row("the same, ms over a node of the same shape that asks nobody", goal=1.0)
        self.raw = Row(f"the raw socket itself ({TOKENS} tokens, streamed), ms")
        self.rows = [self.over_raw, self.share, self.share_new, self.own]

    def notes(self):
        return [f"{self.raw.title}: {show(self.raw.value(OURS))}."]

    def seconds(self, node, inputs):
        """One prompt, with a new seed: the host has cached the last answer."""
        return self.browser.end(self.browser.start(node, {**inputs, "seed": next(self.seeds)}))

    def go(self, round_number, is_measured=True):
        """One round; the order moves on by one."""
        raw = {streams: self.server.raw_seconds(streams, self.prompts) for streams in (True, False)}
        raw[None] = 0.0
        names = list(self.nodes)
        begin = round_number % len(names)
        over = {}
        for name in names[begin:] + names[:begin]:
            node, inputs, streams = self.nodes[name]
            self.seconds(node, inputs)  # the server may have closed the connection since the last round
            taken = statistics.median(self.seconds(node, inputs) for _ in range(self.prompts))
            over[name] = 1000 * (taken - raw[streams])
        if not is_measured:
            return
        for name in names:
            self.over_raw.add(name, over[name])
        self.own.add(OURS, over[OURS] - over[SAME_SHAPE])
        for name, _, _, streams in PEERS:
            if streams is not None:
                self.own.add(name, over[name] - over[NOTHING])
        self.share.add(OURS, over[OURS] / over["`requests`"])
        self.share_new.add(OURS, over[OURS] / over["`requests`, new connection"])
        self.raw.add(OURS, 1000 * raw[True])
