"""Compares two values: whether they are equal, and where they differ.

Equality is exact and looks at everything, up to a limit of work that is told; differences of texts and collections are shown
as words or lines, of tensors as numbers. No value's own `==` is called. Not here: how it is drawn.
"""

import json
import math
import re
from difflib import SequenceMatcher

from . import tensors, trees
from .ask import COLLECTIONS, Untold, ask, base_of, clean, full_name, kind_of, length, scalar, text
from .values import LEVELS, json_in

# Pairs of values that are looked at, in a second or two.
_MOST_PAIRS = 500_000
# Words or lines of each side that are put against each other, after what is alike at both ends.
_MOST_TOKENS = 2_000
# Less than this share alike, and both are shown whole.
_FEWEST_ALIKE = 0.3
_CONTEXT = {"words": 12, "lines": 2}
_NUMBERS = ("integer", "number", "boolean")


def compare(one_name, one, other_name, other):
    """What there is to say of two values: {names, equal, told, by, diff}; equal is None where nobody can know."""
    found = ask(_compare, one, other)
    if isinstance(found, Untold):
        found = {"equal": None, "told": f"They cannot be compared: one of them {found.reason}."}
    return {"names": [one_name, other_name], **found}


def _compare(one, other):
    kinds = kind_of(one), kind_of(other)
    if kinds == ("text", "text"):
        return _compare_texts(one, other)
    if kinds[0] in COLLECTIONS and kinds[1] in COLLECTIONS:
        return _compare_collections(one, other)
    told = leaves_differ(one, other)
    if told is None:
        return {"equal": None, "told": f"Nobody but {full_name(one)} itself knows whether two of it are equal."}
    if told and kinds[0] in _NUMBERS and kinds[1] in _NUMBERS:
        gap = ask(lambda: abs(one - other))
        if not isinstance(gap, Untold) and gap == gap:
            told += f"; the difference is {scalar(gap, kind_of(gap))}"
    return {"equal": not told, "told": _sentence(told)}


def _sentence(told):
    return f"{told[:1].upper()}{told[1:]}." if told else "They are equal."


def leaves_differ(one, other):
    """How two values without parts differ, "" where they do not, None where that cannot be known."""
    kinds = kind_of(one), kind_of(other)
    if kinds[0] != kinds[1]:
        return f"{_short(one, kinds[0])} is {_a(kinds[0])}, and {_short(other, kinds[1])} {_a(kinds[1])}"
    kind = kinds[0]
    if kind == "tensor" or kind == "array":
        return tensors.difference(one, other)[0]
    if kind == "object":
        return "" if one is other else None
    if kind == "nothing":
        return ""
    base = {"text": str, "integer": int, "boolean": int, "number": float, "complex": complex}.get(kind) or base_of(one)
    if base.__eq__(one, other) is True or kind == "number" and math.isnan(one) and math.isnan(other):
        return ""
    return f"{_short(one, kind)} and {_short(other, kind)}"


def _short(value, kind):
    return trees.leaf(value, kind, 60) if kind not in COLLECTIONS else f"a {kind} of {length(value)}"


def _a(kind):
    names = {"nothing": "nothing", "integer": "a whole number", "object": "an object", "array": "an array"}
    return names.get(kind, f"a {kind}")


def _compare_texts(one, other):
    equal = str.__eq__(one, other)
    if equal:
        return {"equal": True, "told": "They are equal."}
    parsed = json_in(one), json_in(other)
    if parsed[0] is not None and parsed[1] is not None:
        # As they would be printed, so that only what they hold makes a difference.
        if not _differences(*parsed)[0]:
            return {"equal": False, "told": "They hold the same JSON, written differently."}
        return {"equal": False, "told": "Their JSON differs.", **_diff(*map(_outline, parsed), "lines")}
    return {"equal": False, "told": "They differ.", **_diff_texts(text(one), text(other))}


def _outline(value):
    printed = ask(lambda: json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))
    return printed.splitlines() if kind_of(printed) == "text" else trees.lines(trees.tree(value, LEVELS["full"]))


def _diff_texts(one, other):
    """Texts of several lines are compared by lines, those of one by words."""
    if "\n" in one and "\n" in other:
        return _diff(one.splitlines(), other.splitlines(), "lines")
    return _diff(*(re.findall(r"\s+|\w+|[^\w\s]", part) for part in (one, other)), "words")


def _diff(one, other, by):
    """The parts of both as [kind, text], kind being same, gone, new or skipped."""
    start = _alike(one, other)
    rest = one[start:], other[start:]
    end = _alike(rest[0][::-1], rest[1][::-1])
    middle = [part[: len(part) - end] for part in rest]
    if max(map(len, middle)) > _MOST_TOKENS:
        place = f"{by[:-1]} {start + 1}"
        return {"by": by, "diff": [["skipped", f"too long to show side by side; the first difference is at {place}"]]}
    parts = [["same", one[:start]]]
    steps = SequenceMatcher(None, *middle).get_opcodes()
    alike = sum(_words_in(middle[0][low:high]) for kind, low, high, *_ in steps if kind == "equal")
    if alike + start + end < _FEWEST_ALIKE * _words_in(one):
        # A patchwork of what two texts happen to share says less than both of them.
        return {"by": by, "diff": [[kind, clean(_joint(by).join(part))] for kind, part in (("gone", one), ("new", other))]}
    for kind, low, high, other_low, other_high in steps:
        if kind == "equal":
            parts.append(["same", middle[0][low:high]])
            continue
        parts += [["gone", middle[0][low:high]], ["new", middle[1][other_low:other_high]]]
    parts.append(["same", rest[0][len(rest[0]) - end :]])
    shown = []
    for index, (kind, tokens) in enumerate(parts):
        if tokens:
            shown += _shortened(kind, tokens, by, index == 0, index == len(parts) - 1)
    return {"by": by, "diff": shown}


def _shortened(kind, tokens, by, is_first, is_last):
    """What is alike is shown near a difference only."""
    near = _CONTEXT[by]
    before, after = (0 if is_first else near), (0 if is_last else near)
    if kind != "same" or len(tokens) <= before + after + 1:
        return [[kind, clean(_joint(by).join(tokens))]]
    left = len(tokens) - before - after
    words = f"{left} {by[:-1] if left == 1 else by} alike"
    parts = [["same", tokens[:before]], ["skipped", words], ["same", tokens[len(tokens) - after :]]]
    return [[part, found if part == "skipped" else clean(_joint(by).join(found))] for part, found in parts if found]


def _joint(by):
    return "" if by == "words" else "\n"


def _words_in(tokens):
    return sum(not token.isspace() for token in tokens)


def _alike(one, other):
    count = 0
    for left, right in zip(one, other):
        if left != right:
            break
        count += 1
    return count


def _compare_collections(one, other):
    found, is_whole = _differences(one, other)
    certain = [told for told in found if told is not None]
    if not found:
        limit = "" if is_whole else f" as far as the first {_MOST_PAIRS:,} pairs go".replace(",", " ")
        return {"equal": True if is_whole else None, "told": f"They are equal{limit}."}
    if not certain:
        return {"equal": None, "told": "They are equal but for objects of which nobody knows whether they are."}
    outlines = [trees.lines(trees.tree(value, LEVELS["full"])) for value in (one, other)]
    shown = _diff(*outlines, "lines") if outlines[0] != outlines[1] else {}
    return {"equal": False, "told": f"They differ: {'; '.join(certain[:3])}.", **shown}


def _differences(one, other, most=20):
    """Where two collections differ, each with its path, None for what cannot be known; and whether all was looked at.

    Not recursive, and a pair that was met is not met again: values may hold themselves.
    """
    found, met, pairs = [], set(), 0
    todo = [iter([(None, one, other)])]
    while todo and len(found) < most:
        step = next(todo[-1], None)
        if step is None:
            todo.pop()
            continue
        pairs += 1
        if pairs > _MOST_PAIRS:
            return found, False
        path, left, right = step
        kinds = kind_of(left), kind_of(right)
        if left is right:
            continue
        if kinds[0] not in COLLECTIONS or kinds[0] != kinds[1]:
            told = leaves_differ(left, right)
            if told is None or told:
                found.append(told if told is None else f"{_words(path)}: {told}")
            continue
        if (id(left), id(right)) in met:
            continue
        met.add((id(left), id(right)))
        found += _missing(path, left, right, kinds[0])
        todo.append(_pairs(path, left, right, kinds[0]))
    return found, True


def _missing(path, left, right, kind):
    counts = length(left), length(right)
    if kind in ("list", "tuple"):
        return [] if counts[0] == counts[1] else [f"{_words(path)}: {counts[0]} and {counts[1]} items"]
    base = base_of(left)
    told = []
    for holder, lacking, which in ((left, right, "second"), (right, left, "first")):
        keys = [key for key in base.__iter__(holder) if not base_of(lacking).__contains__(lacking, key)]
        told += [f"{_words((path, key))} is missing in the {which}" for key in keys[:3]]
    return told


def _pairs(path, left, right, kind):
    if kind == "dict":
        for key, value in dict.items(left):
            if dict.__contains__(right, key):
                yield (path, key), value, dict.__getitem__(right, key)
    elif kind in ("list", "tuple"):
        for index, pair in enumerate(zip(base_of(left).__iter__(left), base_of(right).__iter__(right))):
            yield (path, index), *pair


def _words(path):
    """A path, which is (path before, key), as text; of a long one the end. Made only for those that are told."""
    if path is None:
        return "the whole"
    keys = []
    while path is not None and len(keys) < 12:
        path, key = path
        keys.append(f"[{trees.key_text(key)}]")
    return ("…" if path is not None else "") + "".join(reversed(keys))
