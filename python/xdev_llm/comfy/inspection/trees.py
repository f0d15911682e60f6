"""Collections as a tree that the browser folds, and as lines that can be compared.

Cycles are marked, and what is left out is counted. Not here: single values.
"""

from . import tensors
from .ask import COLLECTIONS, clean, full_name, items, kind_of, length, scalar

_LONGEST_KEY = 100
_LONGEST_LEAF = {True: 2_000, False: 300}


def tree(value, level):
    """A tree of entries {key, kind, text, count, items, more}, of which a leaf has no items."""
    return _Builder(level).entry("", value, 0)


class _Builder:
    """`_Builder` counts down what may still be shown, and knows the collections it is inside of."""

    def __init__(self, level):
        self.level = level
        self.left = level.entries
        self.inside = set()

    def entry(self, key, value, depth):
        kind = kind_of(value)
        self.left -= 1
        made = {"key": key, "kind": kind}
        if kind not in COLLECTIONS:
            made["text"] = leaf(value, kind, _LONGEST_LEAF[self.level.has_attributes])
            return made
        made["count"] = count = length(value)
        if id(value) in self.inside:
            return {**made, "kind": "cycle"}
        shown = 0 if depth >= self.level.depth else max(0, min(self.level.items, self.left, count))
        self.inside.add(id(value))
        children = []
        for name, inner in items(value, shown):
            if self.left <= 0:
                break
            children.append(self.entry(key_text(name), inner, depth + 1))
        self.inside.discard(id(value))
        if kind == "set":
            # A set has no order of its own, and two that are equal come in different ones.
            children.sort(key=lambda child: child.get("text", ""))
            children = [{**child, "key": str(index)} for index, child in enumerate(children)]
        made["items"] = children
        if count > len(children):
            made["more"] = count - len(children)
        return made


def key_text(key):
    """The key of an entry as text."""
    kind = kind_of(key)
    if kind == "text":
        return scalar(key, kind, _LONGEST_KEY)
    return f"({kind} as key)" if kind in COLLECTIONS else leaf(key, kind, _LONGEST_KEY)


def leaf(value, kind, most):
    """A value without parts in one text."""
    if kind in ("tensor", "array"):
        return tensors.brief(value)
    if kind == "object":
        return full_name(value)
    if kind in ("text", "bytes"):
        left = length(value) - (most if kind == "text" else most // 3)
        return scalar(value, kind, most) + (f"… ({left} more)" if left > 0 else "")
    return scalar(value, kind, most)


def lines(entry, indent=""):
    """A tree as lines of text."""
    key = f"{entry['key']}: " if entry["key"] else ""
    if "items" not in entry:
        words = "(contains itself)" if entry["kind"] == "cycle" else _quoted(entry)
        return [clean(f"{indent}{key}{words}")]
    found = [f"{indent}{key}{entry['kind']} of {entry['count']}"]
    for inner in entry["items"]:
        found += lines(inner, indent + "  ")
    if entry.get("more"):
        found.append(f"{indent}  … {entry['more']} more")
    return found


def _quoted(entry):
    text = entry["text"].replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f'"{text}"' if entry["kind"] == "text" else text
