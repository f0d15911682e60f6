"""The table: medians over rounds, ratios inside a round.

Not here: where the values come from (the parts).
"""

import statistics
from dataclasses import dataclass, field

from places import OURS


@dataclass
class Row:
    """`Row` is one line of the table: for each participant one value a round, in the row's unit."""

    title: str
    goal: float | None = None
    # Of all values, not of rounds: 99 for what all but one in a hundred keep.
    percentile: int = 50
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)

    def value(self, name):
        """What is shown of a participant."""
        values = self.values[name]
        if self.percentile == 50:
            return statistics.median(values)
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, len(ordered) * self.percentile // 100)]

    def ratio(self, name):
        """How many times ours, inside the rounds; None where ours is nothing."""
        pairs = zip(self.values[name], self.values[OURS], strict=True)
        ratios = [other / own for other, own in pairs if own > 0]
        return statistics.median(ratios) if ratios else None

    def line(self):
        """The line in Markdown."""
        peers = []
        for name in self.values:
            if name != OURS:
                ratio = self.ratio(name)
                times = f" ({show(ratio)}x)" if ratio is not None else ""
                peers.append(f"{name} {show(self.value(name))}{times}")
        own = self.value(OURS)
        goal = "" if self.goal is None else show(self.goal)
        met = "" if self.goal is None else "yes" if own <= self.goal else "**no**"
        return f"| {self.title} | **{show(own)}** | {goal} | {met} | {', '.join(peers)} |"


class Part:
    """`Part` measures one thing, in rounds."""

    rows: list[Row]

    def notes(self):
        """What is to be said below the table."""
        return []


def table(rows):
    """All rows in Markdown."""
    head = ["| what | xdev-llm | goal | met | beside it |", "|---|--:|--:|:-:|---|"]
    return "\n".join(head + [row.line() for row in rows if row.values.get(OURS)])


def show(value):
    """Three digits."""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"
