"""Nodes that give values as no node should: for tests of what looks at them. They load on every ComfyUI.

Not here: any test.
"""


class Anything(str):
    """A kind that fits every other."""

    def __ne__(self, other):
        return False


class Hostile:
    """Whatever is asked of it raises, or calls itself without end."""

    def _refuse(self, *arguments):
        raise SystemExit("do not ask me")

    def __repr__(self):
        return repr(self)

    def __getattr__(self, name):
        raise SystemExit(f"no {name}")

    __str__ = __len__ = __bool__ = __iter__ = __eq__ = __getitem__ = __format__ = _refuse
    __hash__ = object.__hash__
    shape = property(_refuse)
    dtype = property(_refuse)


class Classless(Hostile):
    """Does not even tell its class; ComfyUI itself cannot hand such a value on, but a dict of it."""

    @property
    def __class__(self):
        raise SystemExit("no class")


class Named(type):
    """A class of classes that compares and names itself wrongly."""

    def __eq__(cls, other):
        raise RuntimeError("no comparing")

    __hash__ = type.__hash__
    __name__ = property(lambda cls: 1 / 0)


class Tensor(metaclass=Named):
    """Says that it is one, and is none."""

    __module__ = "torch"

    @property
    def shape(self):
        raise ValueError("no shape")


class HostileDict(dict):
    """A dict whose own methods fail."""

    def _refuse(self, *arguments):
        raise RuntimeError("no")

    __len__ = __iter__ = __getitem__ = __contains__ = __eq__ = __repr__ = items = keys = values = get = _refuse


class HostileText(str):
    """A text whose own methods fail."""

    def _refuse(self, *arguments):
        raise RuntimeError("no")

    __len__ = __str__ = __repr__ = __getitem__ = __iter__ = __eq__ = strip = splitlines = encode = _refuse
    __hash__ = str.__hash__


def cycle():
    """A dict in a list in the dict."""
    made = {"name": "outer"}
    made["list"] = [made]
    return made


def deep():
    """A list in a list, a hundred thousand times."""
    made = []
    for _ in range(100_000):
        made = [made]
    return made


def cleared(value):
    """Keeps a deep list alive: taking it apart recursively would end old versions of Python."""
    KEPT.append(value)
    return value


KEPT = []
VALUES = {
    "hostile": Hostile,
    "hostile items": lambda: {"list": [Classless()], Classless(): {Classless(): Classless()}},
    "hostile dict": lambda: HostileDict(a=1, b=HostileText("text")),
    "hostile text": lambda: HostileText("a text"),
    "pretender": lambda: type.__call__(Tensor),
    "cycle": cycle,
    "deep": lambda: cleared(deep()),
    "many": lambda: list(range(10_000_000)),
    "long": lambda: "word " * 4_000_000,
    "one line": lambda: "x" * 3_000_000,
    "bytes": lambda: bytes(range(256)) * 100,
    "nan": lambda: [float("nan"), float("inf"), float("-inf"), -0.0],
    "number": lambda: float("nan"),
    "large integer": lambda: 10**100_000,
    "surrogate": lambda: "half a character: \ud800",
    "deep JSON": lambda: "[" * 200_000 + "]" * 200_000,
    "nothing": lambda: None,
    "markup": lambda: {"<img src=x onerror='window.xdevPwned=1'>": "<script>window.xdevPwned=2</script>"},
    "keys": lambda: {1: "integer", None: "nothing", (1, 2): "tuple", frozenset({3}): "set", 2.5: "number"},
    "generator": lambda: (number for number in range(3)),
}


class ProbeValue:
    """Gives one of these values, or what a text is in Python."""

    CATEGORY = "probe"
    FUNCTION = "run"
    RETURN_TYPES = (Anything("*"),)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {})}}

    def run(self, name):
        """The value of a name."""
        return (VALUES[name]() if name in VALUES else eval(name),)  # noqa: S307


class ProbeTakes:
    """Says what it was given, for a kind that is not `*`."""

    CATEGORY = "probe"
    FUNCTION = "run"
    RETURN_TYPES = ("STRING",)
    OUTPUT_NODE = True
    INPUT_KINDS = ("STRING", "INT", "IMAGE", "LATENT", "MODEL")

    @classmethod
    def INPUT_TYPES(cls):
        return {"optional": {kind.lower(): (kind, {"forceInput": True}) for kind in cls.INPUT_KINDS}}

    def run(self, **given):
        """The types and the values, cut."""
        text = "; ".join(f"{name}: {type(value).__name__} {str(value)[:200]}" for name, value in given.items())
        return {"ui": {"text": [text]}, "result": (text,)}


class ProbeSame:
    """Says whether two inputs are one and the same object."""

    CATEGORY = "probe"
    FUNCTION = "run"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {name: (Anything("*"), {"forceInput": True}) for name in ("one", "other")}}

    def run(self, one, other):
        """The answer, for each item of a list."""
        return {"ui": {"text": [f"{one is other} {type(other).__name__}"]}}


NODE_CLASS_MAPPINGS = {"ProbeValue": ProbeValue, "ProbeTakes": ProbeTakes, "ProbeSame": ProbeSame}
