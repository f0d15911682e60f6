"""Measures the ComfyUI pack beside other clients: `bench/comfy/run`. See bench/README.md.

Here are the command line, the rounds and what is printed. Nothing is asserted about time. Not here: what is
measured (the parts), the set-up (`run`).
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

from calls import TOKENS, Calls
from cancelling import Cancelling
from clients import History, Streams
from imports import Imports, others
from model_server import ModelServer
from places import PEERS, Browser, Places
from report import show, table
from traffic import Traffic

PACKAGES = ("requests", "openai", "aiohttp")
STREAM_TOKENS = 8_000
PARTS = ("calls", "cancelling", "imports", "streams", "history", "traffic")
# Rounds, prompts of a node in a round, cancellations of a kind in a round.
FULL, QUICK = (21, 20, 5), (3, 7, 2)
# Tokens and tokens a second. The slow one takes its time.
TRAFFIC = [(1000, 50), (1000, 1000), (4000, 1000)]
QUICK_TRAFFIC = [(250, 50), (1000, 1000), (4000, 1000)]


def read_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures the ComfyUI pack beside other clients.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about a minute")
    parser.add_argument("--only", metavar="PART", choices=PARTS, help=", ".join(PARTS))
    parser.add_argument("--mock", required=True, help="the test server's command")
    parser.add_argument("--results", type=Path, required=True, help="where table and rounds go")
    return parser.parse_args()


class Bench:
    """`Bench` holds servers, hosts and parts."""

    def __init__(self, arguments):
        self.rounds, prompts, times = QUICK if arguments.quick else FULL
        self.places = Places()
        self.ends = [self.places.end]
        self.notes = []
        command = arguments.mock
        instant = self.server(command, tokens=TOKENS)
        # This one closes no connection between two rounds.
        long = self.server(command, tokens=STREAM_TOKENS, personality="generic")
        talking = self.server(command, tokens=1_000_000, token_delay=20)
        silent = self.server(command, tokens=1, first_token_delay=3_600_000)
        busy = {"while tokens come": talking, "before the first token": silent}

        host, _ = self.host("contract")
        self.parts = [Imports(self.places)]
        self.parts += self.in_host("the contract host", host, instant, busy, prompts, times)
        environment = self.places.environment
        self.parts.append(self.ending(Streams(long, STREAM_TOKENS, environment)))
        self.parts.append(self.ending(History(self.places.folder, environment)))
        if os.environ.get("COMFYUI_DIR"):
            real, told = self.host("real")
            self.notes.append(self.told_of_real(real, told))
            self.parts += self.in_host("ComfyUI", real, instant, busy, prompts, times)
        paced = QUICK_TRAFFIC if arguments.quick else TRAFFIC
        servers = {key: self.server(command, tokens=key[0], token_delay=1000 // key[1]) for key in paced}
        self.traffic = Traffic(host, servers)
        if arguments.only:
            self.parts = [part for part in self.parts if type(part).__name__.lower() == arguments.only]
            self.traffic = self.traffic if arguments.only == "traffic" else None

    def server(self, command, **options):
        return self.ending(ModelServer(command, **options))

    def ending(self, thing):
        """Sees to it that something ends with the bench."""
        self.ends.append(thing.end)
        return thing

    def host(self, kind):
        host, told = self.places.start_host(kind, "xdev_llm.comfy", {"peers": PEERS})
        self.ends.append(host.stop)
        return host, told

    def in_host(self, where, host, instant, busy, prompts, times):
        browser = Browser(host)
        return [Calls(where, browser, instant, prompts), Cancelling(where, browser, busy, times)]

    def told_of_real(self, host, told):
        system = Browser(host, greets=False).get("/system_stats")["system"]
        where = f"ComfyUI {system['comfyui_version']}, Python {system['python_version'].split()[0]}"
        return f"`import xdev_llm.comfy` in {where}, once: {show(1000 * told['seconds'])} ms; {others(told)}."

    def go(self):
        """All rounds, the first of which is not measured."""
        for part in self.parts:
            part.go(0, is_measured=False)
        for number in range(self.rounds):
            print(f"round {number + 1} of {self.rounds}", file=sys.stderr, flush=True)
            for part in self.parts:
                part.go(number)
        if self.traffic:
            print("the websocket", file=sys.stderr, flush=True)
            self.traffic.go()
            self.parts.append(self.traffic)

    def end(self):
        for end in reversed(self.ends):
            end()


def write(bench, arguments, head):
    """Prints the table, and keeps it with every round."""
    rows = [row for part in bench.parts for row in part.rows]
    notes = bench.notes + [note for part in bench.parts for note in part.notes()]
    text = "\n\n".join([head, table(rows), *(f"- {note}" for note in notes)])
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "table.md").write_text(text + "\n")
    rounds = [{"row": row.title, "goal": row.goal, "values": row.values} for row in rows]
    (arguments.results / "rounds.json").write_text(json.dumps(rounds, indent=1))
    print(text)


def main():
    """Measures."""
    arguments = read_arguments()
    load, begun = os.getloadavg()[0], time.monotonic()
    bench = None
    try:
        bench = Bench(arguments)
        bench.go()
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
        head = (
            f"{bench.rounds} rounds, {time.monotonic() - begun:.0f} s; {os.cpu_count()} cores; "
            f"load average {load:.2f} before and {os.getloadavg()[0]:.2f} after. "
            f"Python {platform.python_version()}, {versions}."
        )
        write(bench, arguments, head)
    finally:
        if bench:
            bench.end()


if __name__ == "__main__":
    main()
