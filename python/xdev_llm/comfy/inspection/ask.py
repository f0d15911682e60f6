"""Questions to values that do not run the values' own code: which class, how long, which text.

A class may define `__class__`, `__len__`, `__str__` or a property so that it raises or never returns; so classes are read
by `type`, and contents by the methods of the built-in classes. Not here: what is made of the answers.
"""

from itertools import islice

# The built-in classes that are looked into. bool is an int: the order decides.
_KINDS = (
    ("boolean", bool), ("integer", int), ("number", float), ("complex", complex), ("text", str),
    ("bytes", bytes), ("bytes", bytearray), ("dict", dict), ("list", list), ("tuple", tuple), ("set", set),
    ("set", frozenset),
)  # fmt: skip
# Most values are of these classes themselves; by their ids, because classes may lie when they are compared.
_EXACT = {id(known): (kind, known) for kind, known in _KINDS}
COLLECTIONS = {"dict": dict, "list": list, "tuple": tuple, "set": set}
# Longer whole numbers are not written out: Python refuses to, and nobody reads them.
_LONGEST_INTEGER = 4_000


class Untold:
    """`Untold` stands for an answer that a value did not give, and says why."""

    def __init__(self, error):
        self.reason = f"raised {name_of(type(error))}"

    def __bool__(self):
        return False


def ask(question, *values):
    """The answer of code that is not ours, or an `Untold`. A SystemExit or a CancelledError that came out of a node would end
    ComfyUI's worker, so nothing that is raised leaves."""
    try:
        return question(*values)
    except BaseException as error:  # noqa: BLE001
        return Untold(error)


def ancestors(value):
    """The classes of a value, its own first."""
    return type.__dict__["__mro__"].__get__(type(value))


def name_of(kind):
    """The name of a class."""
    return clean(type.__dict__["__name__"].__get__(kind))


def module_of(kind):
    """The module of a class, or "" where it tells something else."""
    found = type.__dict__["__dict__"].__get__(kind).get("__module__")
    return clean(found) if type(found) is str else ""


def full_name(value):
    """The class of a value with its module, as in `torch.Tensor`; built-in ones without."""
    kind = type(value)
    module = module_of(kind)
    return name_of(kind) if module in ("", "builtins") else f"{module}.{name_of(kind)}"


def is_a(value, module, name):
    """Whether a value is of a class of another library, or of one that follows it; the library is not imported."""
    return any(
        name_of(kind) == name and (module_of(kind) + ".").startswith(module + ".") for kind in ancestors(value)
    )


def kind_of(value):
    """What a value is in our words."""
    if value is None:
        return "nothing"
    exact = _EXACT.get(id(type(value)))
    if exact:
        return exact[0]
    for kind, known in _KINDS:
        if _follows(value, known):
            return kind
    if is_a(value, "torch", "Tensor"):
        return "tensor"
    return "array" if is_a(value, "numpy", "ndarray") else "object"


def base_of(value):
    """The built-in collection class that a value is of."""
    exact = _EXACT.get(id(type(value)))
    return exact[1] if exact else next(known for _, known in _KINDS if _follows(value, known))


def _follows(value, known):
    # Not `in`, which would ask the classes' classes whether they are equal.
    return any(kind is known for kind in ancestors(value))


def length(value):
    """How many items a collection, or characters a text, has."""
    return base_of(value).__len__(value)


def items(value, most):
    """The first items of a collection as (key, item); the keys of lists are their places."""
    base = base_of(value)
    found = dict.items(value) if base is dict else enumerate(base.__iter__(value))
    return list(islice(found, most))


def text(value, most=None):
    """A text, or its beginning, as a str of no other class."""
    return str.__str__(value) if most is None else str.__getitem__(value, slice(0, most))


def clean(value):
    """A text without halves of characters, which no message and no file can hold."""
    return value.encode("utf-8", "replace").decode("utf-8")


def scalar(value, kind, most=200):
    """A value without parts as text."""
    if kind == "nothing":
        return "None"
    if kind == "integer":
        bits = int.bit_length(value)
        return int.__repr__(value) if bits <= _LONGEST_INTEGER else f"a whole number of about {int(bits * 0.30103)} digits"
    if kind == "boolean":
        return "True" if value else "False"
    if kind == "number":
        return float.__repr__(value)
    if kind == "complex":
        return complex.__repr__(value)
    if kind == "bytes":
        return bytes(base_of(value).__getitem__(value, slice(0, most // 3))).hex(" ")
    return clean(text(value, most))
