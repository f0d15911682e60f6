"""Writes a value into ComfyUI's output folder: text as it is, JSON, pictures as PNG; never over a file that is there.

What has no file format of its own is described. Not here: what is described (`values`).
"""

import json
import math
import os
import re

from . import tensors
from .ask import COLLECTIONS, Untold, ask, clean, items, kind_of, length, scalar, text
from .values import describe, json_in

_PREFIX = "XDEV_OutputDev"
_DEEPEST = 100
_MOST_ITEMS = 1_000_000


def save(values):
    """Writes named values; gives the paths, below the output folder, in their order."""
    from folder_paths import get_output_directory

    folder = get_output_directory()
    os.makedirs(folder, exist_ok=True)
    paths = []
    number = _next_number(folder)
    for name, value in values:
        for suffix, content in _contents(name, value):
            paths.append(_write(folder, number, f"{name}{suffix}", content))
    return paths


def _next_number(folder):
    numbers = [int(found[1]) for found in map(re.compile(rf"{_PREFIX}_(\d{{5,}})_").match, os.listdir(folder)) if found]
    return max(numbers, default=0) + 1


def _write(folder, number, name, content):
    """Writes a file of a name that nobody has; two ComfyUIs may share the folder."""
    while True:
        path = f"{_PREFIX}_{number:05}_{name}"
        try:
            with open(os.path.join(folder, path), "xb") as file:
                file.write(content)
            return path
        except FileExistsError:
            number += 1


def _contents(name, value):
    """The files of a value: (end of the name, bytes)."""
    kind = kind_of(value)
    if kind == "text":
        suffix = ".txt" if json_in(value) is None else ".json"
        return [(suffix, text(value).encode("utf-8", "backslashreplace"))]
    if kind == "tensor" and ask(tensors.looks_like, value) == "image":
        pictures = ask(_pictures, value)
        if not isinstance(pictures, Untold):
            return pictures
    plain = ask(_plain, value)
    if isinstance(plain, Untold):
        plain = describe(name, value, "full")
    return [(".json", json.dumps(plain, ensure_ascii=False, indent=2, allow_nan=False).encode())]


def _pictures(value):
    import io

    found = []
    for index, picture in enumerate(value):
        kept = io.BytesIO()
        tensors.pixels(picture).save(kept, "PNG")
        found.append((f"_{index + 1}.png" if len(value) > 1 else ".png", kept.getvalue()))
    return found


def _plain(value, depth=0, left=None):
    """A value as JSON has it. Raises where JSON cannot hold it: other classes, cycles, keys that are no texts."""
    kind = kind_of(value)
    left = [_MOST_ITEMS] if left is None else left
    left[0] -= 1
    if depth > _DEEPEST or left[0] < (length(value) if kind in COLLECTIONS else 0):
        raise ValueError("too large for one file")
    if kind == "dict":
        return {_key(key): _plain(inner, depth + 1, left) for key, inner in items(value, length(value))}
    if kind in COLLECTIONS:
        return [_plain(inner, depth + 1, left) for _, inner in items(value, length(value))]
    if kind in ("nothing", "boolean"):
        return None if kind == "nothing" else bool(value)
    if kind == "text":
        return clean(text(value))
    if kind in ("integer", "number"):
        shown = scalar(value, kind)
        # What JSON cannot write as a number stands there as text.
        is_number = not shown.startswith("a ") if kind == "integer" else math.isfinite(value)
        return (int(shown) if kind == "integer" else float(shown)) if is_number else shown
    raise TypeError(f"JSON has no {kind}")


def _key(key):
    if kind_of(key) != "text":
        raise TypeError("JSON has texts as keys only")
    return clean(text(key))
