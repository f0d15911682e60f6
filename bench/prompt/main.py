"""Measures the prompt toolkit beside its peers, in turn and in one process, and prints a table.

Ratios are taken inside a round; the table has their medians. Nothing is asserted about time; what both give is compared.
Not here: the peers (`peers`).
"""

import argparse
import collections
import gc
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path

import peers
from xdev_llm import prompt

SEPARATOR = ", "


def words(groups):
    """Options as they are in prompts, ten in each group."""
    nouns = ["golden hour", "oil painting", "a lighthouse", "soft rim light", "35mm", "a red fox", "mist", "wide shot"]
    return [[f"{nouns[(group + option) % 8]} {group}{option}" for option in range(10)] for group in range(groups)]


def template_of(options):
    """The template that stands for all combinations."""
    return SEPARATOR.join("{" + "|".join(group) + "}" for group in options)


def clocked(work):
    """Seconds of a piece of work; what it gives goes after the clock has stopped."""
    gc.collect()
    gc.disable()
    begin = time.perf_counter()
    made = work()
    seconds = time.perf_counter() - begin
    gc.enable()
    del made
    return seconds


def exhausted(prompts):
    """Goes through all of them and keeps none."""
    collections.deque(prompts, maxlen=0)


def memory():
    """The process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Bench:
    """`Bench` runs pairs in turn and collects lines of the table."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.lines = []

    def pair(self, name, ours, peer, count=1, unit="ms", goal=""):
        """Measures ours and, where there is one, a peer; `count` is how many pieces a go makes."""
        seconds = []
        for number in range(self.rounds):
            # Who begins changes, so that what the machine does meets both.
            order = (ours, peer) if number % 2 == 0 else (peer, ours)
            taken = {each: clocked(each) for each in order if each}
            seconds.append((taken[ours], taken.get(peer)))
        scale = {"ms": 1e3, "us": 1e6}[unit] / count
        mine = statistics.median(each for each, _ in seconds) * scale
        line = {"name": name, "ours": f"{mine:.3g} {unit}", "peer": "-", "ratio": "-", "goal": goal}
        if peer:
            line["peer"] = f"{statistics.median(each for _, each in seconds) * scale:.3g} {unit}"
            line["ratio"] = f"{statistics.median(one / other for one, other in seconds):.3f}"
        self.lines.append({**line, "seconds": seconds})
        print(f"  {name}: {line['ours']}, peer {line['peer']}, ratio {line['ratio']}", file=sys.stderr)

    def table(self):
        """The lines as Markdown."""
        fields = ("name", "ours", "peer", "ratio", "goal")
        rows = [fields, ["---"] * 5, *([line[field] for field in fields] for line in self.lines)]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def expansion(bench, groups):
    """A template beside `itertools.product`."""
    options = words(groups)
    template, count = template_of(options), 10**groups
    if prompt.expand(template, limit=1000) != peers.product_list(options, SEPARATOR)[:1000]:
        raise SystemExit("ours and the peer's prompts differ")
    bench.pair(
        f"{count:,} prompts as a list",
        lambda: prompt.expand(template),
        lambda: peers.product_list(options, SEPARATOR),
        goal="at most 0.8",
    )
    before = memory()
    bench.pair(
        "a prompt, lazily",
        lambda: exhausted(prompt.iterate(template)),
        lambda: exhausted(peers.product_lazily(options, SEPARATOR)),
        count=count,
        unit="us",
        goal="0.2 us",
    )
    print(f"  memory grown while lazy: {(memory() - before) / 1024:.0f} KiB", file=sys.stderr)
    parts = "|".join(f"part {number}" for number in range(40))
    bench.pair("10 of 2^40 combinations", lambda: prompt.matrix(parts, limit=10, shuffle=True), None, goal="at once")
    drawn = 100_000
    bench.pair(
        "a drawn prompt", lambda: prompt.expand(template, limit=drawn, seed=1), None, count=drawn, unit="us"
    )


def weights(bench):
    """Effective weights of a long and of deep prompts beside ComfyUI's own parser."""
    theirs = peers.weights_parser()
    text = "a (red:1.2) cat, ((tiny) hat), \\(plain\\) [street], " * 20_000
    if theirs and [tuple(piece) for piece in prompt.parse(text)] != theirs(text):
        raise SystemExit("ours and ComfyUI's weights differ")
    bench.pair(
        f"weights of {len(text) / 1e6:.1f} MB",
        lambda: prompt.parse(text),
        theirs and (lambda: theirs(text)),
        goal="at most 0.2",
    )
    for depth in (100, 1_000, 10_000, 100_000):
        nested = "(" * depth + "a" + ":1.1)" * depth
        # Python's own stack ends before the deeper ones.
        peer = theirs if depth <= 100 else None
        bench.pair(
            f"a bracket of {depth:,} nested ones",
            lambda nested=nested: prompt.parse(nested),
            peer and (lambda nested=nested: theirs(nested)),
            count=depth,
            unit="us",
            goal="the same at each depth",
        )


def rare_words(tokenizer, count):
    """Words of the vocabulary in random order, a third of them glued to another one."""
    choose = random.Random(1)
    vocabulary = sorted(word[:-4] for word in tokenizer.get_vocab() if word.endswith("</w>"))
    vocabulary = [word for word in vocabulary if word.isascii() and word.isalpha()]
    made = (choose.choice(vocabulary) + choose.choice(["", "", choose.choice(vocabulary)]) for _ in range(count))
    return " ".join(made)


def tokens(bench):
    """Counting CLIP tokens beside `transformers`, where that is there."""
    tokenizer = peers.clip_tokenizer()
    if tokenizer is None:
        return
    tags = "masterpiece, best quality, 1girl, long_hair, blue eyes, looking at viewer, outdoors, neon lights, "
    prose = "A weathered lighthouse keeper stands on the rocky shore at dusk, lit by the sweeping beam. "
    foreign = "一个女孩站在雨中的东京街头, Ночной город, 東京タワーの夜景, "
    texts = {
        "a prompt of 200 bytes": tags * 2,
        "a prompt of 60 rare words": rare_words(tokenizer, 60),
        "100 kB of tags": tags * 1000,
        "100 kB of prose": prose * 1100,
        "100 kB of rare words": rare_words(tokenizer, 14_000),
        "60 kB of Chinese, Russian and Japanese": foreign * 600,
        "one word of 50 kB": "abcde" * 10_000,
    }
    for name, text in texts.items():
        times = 200 if len(text) < 1000 else 1

        def theirs(text=text):
            return len(tokenizer(text, add_special_tokens=False)["input_ids"])

        # Chinese it cuts differently from the slow tokenizer, which is ComfyUI's and ours.
        if text.isascii() and prompt.count_clip_tokens(text) != theirs():
            raise SystemExit(f"ours and the peer's tokens of {name} differ")
        bench.pair(
            f"CLIP tokens of {name}",
            lambda text=text, times=times: [prompt.count_clip_tokens(text) for _ in range(times)],
            lambda theirs=theirs, times=times: [theirs() for _ in range(times)],
            count=times,
            unit="us",
            goal="under 1",
        )


def main():
    """Runs everything, prints the table and keeps it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and 100,000 prompts")
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    bench = Bench(3 if arguments.quick else 11)
    expansion(bench, 5 if arguments.quick else 6)
    weights(bench)
    tokens(bench)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "table.md").write_text(bench.table())
    (arguments.results / "rounds.json").write_text(json.dumps(bench.lines, indent=1))
    print(bench.table(), end="")


if __name__ == "__main__":
    main()
