"""Describes one value: a headline, facts, and the parts that the browser draws (text, tree, histogram, pictures).

Everything is plain JSON without NaN, and within the limits of a level. Not here: comparing (`compare`).
"""

import json
from dataclasses import dataclass

from . import tensors, trees
from .ask import COLLECTIONS, Untold, ancestors, ask, clean, full_name, is_a, kind_of, length, module_of, name_of, scalar, text

# A longer text is not tried as JSON.
_LONGEST_JSON = 2_000_000
_NAMES = {
    "integer": "whole number", "number": "number", "complex": "complex number", "boolean": "yes or no", "dict": "dict",
    "list": "list", "tuple": "tuple", "set": "set",
}  # fmt: skip


@dataclass(frozen=True)
class Level:
    """`Level` is how much of a value is shown."""

    characters: int
    entries: int
    items: int
    depth: int
    pictures: int
    has_histogram: bool
    has_attributes: bool


LEVELS = {
    "summary": Level(300, 12, 6, 1, 1, False, False),
    "detailed": Level(4_000, 400, 60, 8, 1, True, False),
    "full": Level(100_000, 3_000, 500, 24, 4, True, True),
}


def describe(name, value, level_name):
    """What there is to say of a value, at a level of detail."""
    level = LEVELS[level_name]
    kind = kind_of(value)
    told = {"name": name, "class": full_name(value), "facts": []}
    told["facts"].append(["class", told["class"]])
    describe_kind = {
        "text": _text, "bytes": _bytes, "tensor": _tensor, "array": _tensor, "object": _object,
        **dict.fromkeys(COLLECTIONS, _collection),
    }.get(kind, _scalar)  # fmt: skip
    failed = ask(describe_kind, told, value, kind, level)
    if isinstance(failed, Untold):
        told.setdefault("headline", told["class"])
        told["problem"] = f"It could not be looked at further: it {failed.reason}."
    return told


def _scalar(told, value, kind, level):
    shown = scalar(value, kind)
    told["headline"] = "nothing" if kind == "nothing" else f"{_NAMES[kind]} {shown}"
    if kind != "nothing":
        told["text"] = shown


def _text(told, value, kind, level):
    count = length(value)
    lines = str.count(value, "\n") + 1 if count else 0
    parsed = json_in(value)
    told["headline"] = f"{'text' if parsed is None else 'JSON text'}, {counted(count, 'character')}"
    if lines > 1:
        told["headline"] += f", {counted(lines, 'line')}"
    told["facts"] += [["characters", count], ["lines", lines]]
    _put_text(told, value, level)
    if parsed is not None:
        told["tree"] = trees.tree(parsed, level)


def _put_text(told, value, level):
    told["text"] = clean(text(value, level.characters))
    left = length(value) - level.characters
    if left > 0:
        told["cut"] = left


def json_in(value):
    """The object or the array that a text is, or None."""
    if length(value) > _LONGEST_JSON:
        return None
    stripped = text(value).strip()
    if stripped[:1] + stripped[-1:] not in ("{}", "[]"):
        return None
    parsed = ask(json.loads, stripped)
    return None if isinstance(parsed, Untold) else parsed


def _bytes(told, value, kind, level):
    told["headline"] = counted(length(value), "byte")
    told["facts"].append(["memory", size(length(value))])
    told["text"] = scalar(value, kind, level.characters)
    left = length(value) - level.characters // 3
    if left > 0:
        told["cut"] = left


def _collection(told, value, kind, level):
    count = length(value)
    told["headline"] = f"{_NAMES[kind]} of {counted(count, 'item')}"
    told["facts"].append(["items", count])
    told["tree"] = trees.tree(value, level)
    if kind == "dict":
        _latent_or_sound(told, value, level)
    if kind == "list":
        _conditioning(told, value)


def _latent_or_sound(told, value, level):
    """ComfyUI's dicts that stand for something."""
    samples, waveform, rate = (dict.get(value, key) for key in ("samples", "waveform", "sample_rate"))
    if kind_of(samples) == "tensor":
        told["headline"] = f"latent, {' × '.join(map(str, tensors.shape(samples)))}"
        _numbers(told, samples, level, False)
    elif kind_of(waveform) == "tensor" and kind_of(rate) == "integer" and rate > 0:
        *_, channels, count = tensors.shape(waveform)
        told["headline"] = f"sound, {count / rate:.2f} s, {counted(channels, 'channel')}, {rate} Hz"
        _numbers(told, waveform, level, False)


def _conditioning(told, value):
    entries = [item for item in list.__iter__(value)] if length(value) <= 100 else []
    if entries and all(
        kind_of(entry) in ("list", "tuple") and length(entry) == 2 and kind_of(entry[0]) == "tensor" for entry in entries
    ):
        told["headline"] = f"conditioning, {' and '.join(str(tensors.shape(entry[0])) for entry in entries[:4])}"


def _tensor(told, value, kind, level):
    edges = tensors.shape(value)
    told["headline"] = f"{kind}, {' × '.join(map(str, edges)) or 'one number'}, {tensors.kind(value)}"
    stands_for = ask(tensors.looks_like, value)
    found = _numbers(told, value, level, stands_for == "image")
    # A mask is known only by its numbers.
    if not stands_for and found and _is_mask(value, kind, edges, found):
        stands_for = "mask"
    if stands_for:
        height, width = edges[1:3]
        told["headline"] = f"{stands_for}, {width} × {height} pixels, {counted(edges[0], 'picture')}"
        made = [ask(tensors.thumbnail, value[index]) for index in range(min(edges[0], level.pictures))]
        told["pictures"] = [url for url in made if url]


def _is_mask(value, kind, edges, found):
    return (
        kind == "tensor" and value.is_floating_point() and len(edges) == 3 and found["min"] is not None
        and found["min"] >= 0 and found["max"] <= 1
    )  # fmt: skip


def _numbers(told, value, level, by_channel):
    """Puts what is known of a tensor's numbers among the facts; gives its statistics."""
    told["facts"] += [
        ["shape", str(tensors.shape(value))], ["type", tensors.kind(value)],
        ["device", clean(str(getattr(value, "device", "cpu")))], ["memory", size(tensors.memory(value))],
    ]  # fmt: skip
    found = ask(tensors.statistics, value)
    if isinstance(found, Untold):
        told["problem"] = f"Its numbers cannot be computed with: it {found.reason}."
        return None
    for name in ("min", "max", "mean"):
        told["facts"].append([name, "none" if found[name] is None else f"{found[name]:.6g}"])
    told["facts"] += [["nan", found["nan"]], ["infinite", found["infinite"]]]
    if level.has_histogram:
        drawn = ask(tensors.histogram, value, found, by_channel)
        if drawn:
            told["histogram"] = drawn
    return found


def _object(told, value, kind, level):
    told["headline"] = told["class"]
    if any(module_of(one).split(".")[0] in ("comfy", "comfy_api", "torch") for one in ancestors(value)):
        _model(told, value)
    own = next(one for one in ancestors(value) if "__repr__" in type.__dict__["__dict__"].__get__(one))
    if own is not object and level.has_attributes:
        shown = ask(repr, value)
        if kind_of(shown) == "text":
            _put_text(told, shown, level)
        else:
            told["problem"] = f"Its __repr__ {shown.reason}."
    attributes = ask(object.__getattribute__, value, "__dict__")
    if level.has_attributes and kind_of(attributes) == "dict" and length(attributes):
        told["tree"] = trees.tree(attributes, level)


def _model(told, value):
    """Models and videos tell of themselves; their classes are ComfyUI's and PyTorch's."""
    patcher = value if is_a(value, "comfy", "ModelPatcher") else ask(getattr, value, "patcher")
    if is_a(patcher, "comfy", "ModelPatcher"):
        told["facts"] += [["model", full_name(patcher.model)], ["memory", size(patcher.model_size())]]
        told["facts"].append(["device", clean(str(patcher.load_device))])
        told["headline"] = f"{name_of(type(value))} of {name_of(type(patcher.model))}, {size(patcher.model_size())}"
    elif is_a(value, "torch", "Module"):
        sizes = [tensors.memory(weights) for weights in value.parameters()]
        told["facts"] += [["weights", sum(weights.numel() for weights in value.parameters())], ["memory", size(sum(sizes))]]
        told["headline"] = f"{told['class']}, {size(sum(sizes))}"
    elif is_a(value, "comfy_api", "VideoInput"):
        width, height = value.get_dimensions()
        told["headline"] = f"video, {width} × {height} pixels, {value.get_duration():.2f} s"


def counted(count, noun):
    """A number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")


def size(count):
    """Bytes as people read them."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"
