"""Clients in processes of their own, in turn: CPU time for streamed tokens, and a long history.

The clients are those of the end-to-end bench. Not here: what they do (`bench/clients/worker.py`).
"""

import json
import statistics
import subprocess
import sys

from places import OURS, ROOT
from report import Part, Row

WORKER = ROOT / "bench" / "clients" / "worker.py"
# How often a round each does the job: about as long for all.
STREAMERS = {"xdev-llm": 50, "aiohttp": 5, "requests": 5, "openai": 1}
APPENDERS = {"xdev-llm": 4, "json": 2}
HISTORY_BYTES = 10_000_000


class Worker:
    """`Worker` is one client in a process."""

    def __init__(self, client, job, target, environment):
        command = [sys.executable, str(WORKER), client, job, str(target)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def go(self, count):
        """Does the job so often, and tells."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a client ended: {self.process.args}")
        return json.loads(line)

    def end(self):
        self.process.kill()
        self.process.wait()


class Streams(Part):
    """`Streams` is the CPU time of a client for a million streamed tokens."""

    def __init__(self, server, tokens, environment):
        self.tokens = tokens
        self.workers = {name: Worker(name, "stream", server.url, environment) for name in STREAMERS}
        self.row = Row(f"a stream of {tokens:,} tokens from Python, CPU s for a million tokens", goal=0.6)
        self.rows = [self.row]

    def go(self, round_number, is_measured=True):
        names = list(STREAMERS)
        begin = round_number % len(names)
        told = {name: self.workers[name].go(STREAMERS[name]) for name in names[begin:] + names[:begin]}
        for name in names:
            if told[name]["text"] != told[OURS]["text"]:
                raise SystemExit(f"{name} read {told[name]['text']} letters, not {told[OURS]['text']}")
            if is_measured:
                seconds = told[name]["cpu_seconds"] / STREAMERS[name]
                self.row.add(name if name == OURS else f"`{name}`", seconds * 1e6 / self.tokens)

    def end(self):
        for worker in self.workers.values():
            worker.end()


class History(Part):
    """`History` is the time to add a message to 10 MB of conversation, as text from and to Python."""

    def __init__(self, folder, environment):
        message = {"role": "user", "content": "Der Wind weht über das Meer, und die Möwe schweigt. " * 16}
        count = HISTORY_BYTES // len(json.dumps(message, ensure_ascii=False).encode())
        path = folder / "history.json"
        path.write_text(json.dumps([message] * count, ensure_ascii=False), encoding="utf-8")
        self.workers = {name: Worker(name, "append", path, environment) for name in APPENDERS}
        self.time = Row("adding a message to 10 MB of history from Python, ms")
        self.share = Row("the same, as a share of `json`", goal=0.35)
        self.rows = [self.time, self.share]

    def go(self, round_number, is_measured=True):
        taken = {
            name: statistics.median(worker.go(APPENDERS[name])["seconds"]) for name, worker in self.workers.items()
        }
        if is_measured:
            self.time.add(OURS, 1000 * taken[OURS])
            self.time.add("`json`", 1000 * taken["json"])
            self.share.add(OURS, taken[OURS] / taken["json"])

    def end(self):
        for worker in self.workers.values():
            worker.end()
