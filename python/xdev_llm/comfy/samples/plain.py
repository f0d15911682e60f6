"""Texts, numbers, lists and dicts: simple ones, plausible ones, and those at which programs break.

Also reads a value that the user typed. Not here: anything that needs more than the standard library.
"""

import json
import math

from . import COLLECTIONS, PLAIN

HELLO = "Hello, world! This is a simple text for a test. "
SUBJECTS = ("a lighthouse", "an old librarian", "a red fox", "a market street", "a glass teapot", "two astronauts")
PLACES = ("by the sea", "in a pine forest", "on a rooftop", "under the northern lights", "in a quiet kitchen")
LOOKS = ("soft morning light", "film grain", "watercolour", "wide angle", "muted colours", "(sharp focus:1.2)")
# What breaks programs: characters of two units, joined ones, both directions of writing, no width, control
# characters, syntax of several languages, and a surrogate that stands alone.
ODD_TEXTS = (
    "naïve café Ünïcödé ", "日本語のテスト ", "👩‍👩‍👧‍👦🏳️‍🌈 ", "שלום \u202eabc\u202c ", "z\u0335a\u0336l\u0337g\u0338o\u0334 ",
    "no\u200bwidth\ufeff ", "tab\tline\r\nend\x00\x07 ", "<script>alert(1)</script> ", "'; DROP TABLE x; -- ",
    "{{a|b}} ${x} %s %n ", "((((:nan))) \\( [a:b:0.5] ", "../../../etc/passwd ", "\ud800 ",
)  # fmt: skip
ODD_INTEGERS = (0, -1, 1, 2**31 - 1, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**30)
ODD_FLOATS = (0.0, -0.0, 1e-320, 5e-324, 1e308, -1e308, 0.1 + 0.2, math.inf, -math.inf, math.nan)


def make(request):
    """A value of a plain type."""
    draw = request.draw()
    make_one = {
        "STRING": text, "INT": integer, "FLOAT": number, "BOOLEAN": boolean, "LIST": items, "DICT": mapping,
        "JSON": json_text,
    }[request.kind]  # fmt: skip
    return make_one(request, draw)


def text(request, draw):
    """A text of at most `size` characters; exactly that many under stress."""
    if request.mode == "simple":
        whole = HELLO.strip()
    elif request.mode == "realistic":
        parts = []
        while sum(map(len, parts)) < request.size:
            subject, place, look = draw.one_of(SUBJECTS), draw.one_of(PLACES), draw.one_of(LOOKS)
            parts.append(f"{subject} {place}, {look}. ")
        whole = "".join(parts)
        if len(whole) > request.size:
            # At the end of a word, where there is one.
            whole = whole[: request.size].rpartition(" ")[0] or whole
        whole = whole.strip()
    else:
        start = draw.below(len(ODD_TEXTS))
        whole = "".join(ODD_TEXTS[start:] + ODD_TEXTS[:start])
        whole *= request.size // len(whole) + 1
    return misspelt(whole, request.quality, draw)[: request.size]


def misspelt(whole, quality, draw):
    """A text with typing errors: the lower the quality, the more words have one."""
    if quality >= 1:
        return whole
    words = whole.split(" ")
    for index, word in enumerate(words):
        if draw.share() >= quality and word:
            fault = draw.below(4)
            place = draw.below(len(word))
            words[index] = (
                word + " ", word + " " + word, word[:place] + word[place + 1 :], word + ",,",
            )[fault]  # fmt: skip
    return " ".join(words)


def integer(request, draw):
    """A whole number: 42, one up to the size, or one at the edge of what machines hold."""
    if request.mode == "simple":
        return 42
    return draw.below(request.size + 1) if request.mode == "realistic" else draw.one_of(ODD_INTEGERS)


def number(request, draw):
    """A number: 0.5, one up to the size, or one that is hard to compute with."""
    if request.mode == "simple":
        return 0.5
    return draw.share() * request.size if request.mode == "realistic" else draw.one_of(ODD_FLOATS)


def boolean(request, draw):
    """Yes, or the toss of a coin; there is nothing wilder."""
    return True if request.mode == "simple" else draw.below(2) == 1


def items(request, draw):
    """A list of `size` items."""
    if request.mode == "simple":
        made = list(range(1, request.size + 1))
    elif request.mode == "realistic":
        made = [f"{draw.one_of(SUBJECTS)} {draw.one_of(PLACES)}" for _ in range(request.size)]
    else:
        odd = (None, "", [], {}, *ODD_TEXTS, *ODD_INTEGERS, *ODD_FLOATS, nested("list", 50))
        made = [draw.one_of(odd) for _ in range(request.size)]
    return [None if draw.share() >= request.quality else item for item in made]


def mapping(request, draw):
    """A dict of `size` items."""
    if request.mode == "simple":
        return {f"key_{index}": value for index, value in enumerate(items(request, draw), 1)}
    if request.mode == "realistic":
        names = ("prompt", "steps", "cfg", "sampler", "size", "tags")
        values = (
            lambda: f"{draw.one_of(SUBJECTS)} {draw.one_of(PLACES)}", lambda: 10 + draw.below(40),
            lambda: round(1 + draw.share() * 11, 1), lambda: draw.one_of(("euler", "dpmpp_2m", "ddim")),
            lambda: [512 + 64 * draw.below(9), 512 + 64 * draw.below(9)], lambda: [draw.one_of(LOOKS) for _ in range(2)],
        )  # fmt: skip
        made = {}
        for index in range(request.size):
            turn, place = divmod(index, len(names))
            name = names[place] if turn == 0 else f"{names[place]}_{turn + 1}"
            value = values[place]()
            made[name] = None if draw.share() >= request.quality else value
        return made
    keys = ("", " ", "__proto__", "constructor", "a.b", "$", "\u202e", "0", *ODD_TEXTS)
    values = items(request, draw)
    return {key if turn == 0 else f"{key}{turn}": value for turn, key, value in _numbered(keys, values)}


def _numbered(keys, values):
    for index, value in enumerate(values):
        turn, place = divmod(index, len(keys))
        yield turn, keys[place], value


def nested(kind, depth):
    """Lists in lists, or dicts in dicts."""
    made = [] if kind == "list" else {}
    for _ in range(depth):
        made = [made] if kind == "list" else {"in": made}
    return made


def json_text(request, draw):
    """A dict as JSON text, which has no NaN and no infinity."""
    return json.dumps(_finite(mapping(request, draw)), indent=2)


def _finite(value):
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


def read(kind, typed):
    """The value that a user typed for a type. Raises ValueError with what is wrong, in words."""
    if kind == "STRING":
        return typed
    if kind not in PLAIN + COLLECTIONS:
        takers = ", ".join(PLAIN + COLLECTIONS)
        raise ValueError(f"{kind} takes no value of your own (only {takers} do): empty the field.")
    stripped = typed.strip()
    if kind == "BOOLEAN":
        words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
        if stripped.lower() not in words:
            raise ValueError(f'"{_short(stripped)}" is neither true nor false.')
        return words[stripped.lower()]
    if kind in ("INT", "FLOAT"):
        try:
            return int(stripped) if kind == "INT" else float(stripped)
        except ValueError:
            wanted = "a whole number, such as 42" if kind == "INT" else "a number, such as 0.5"
            raise ValueError(f'"{_short(stripped)}" is not {wanted}.') from None
    return _read_json(kind, typed, stripped)


def _read_json(kind, typed, stripped):
    try:
        value = json.loads(stripped)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"this is not JSON: {error.msg} at {place}.") from None
    except RecursionError:
        raise ValueError("this JSON is nested too deep.") from None
    except ValueError as error:
        raise ValueError(f"this is not JSON that can be read: {error}.") from None
    if kind == "JSON":
        return typed
    wanted, example = (list, '["a", 1]') if kind == "LIST" else (dict, '{"a": 1}')
    if not isinstance(value, wanted):
        raise ValueError(f"{kind} wants JSON such as {example}, not {_json_name(value)}.")
    return value


def _json_name(value):
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _short(text):
    return text if len(text) <= 60 else text[:60] + "…"
