"""What the builders of styles and persons share: their widgets, their checks, and what they say of what they built.

Not here: which widgets each has (`style_builder`, `person_builder`), what goes with what (the engine).
"""

import json
import random

import xdev_llm

from ..schema import Input
from . import shared

# Numbers up to here go through JavaScript unharmed.
SEED_LIMIT = 2**53 - 1


def category(name, tooltip, categories, default="auto"):
    """The widget of a category; `categories` is the name of the function that lists what there is."""
    return Input(
        name,
        "COMBO",
        tooltip,
        default=default,
        optional=name not in ("primary_style", "age"),
        choices=lambda: ["auto", "none", *_names(categories).get(name, [])],
    )


def _names(categories):
    from xdev_llm import prompt

    try:
        return getattr(prompt, categories)()
    except xdev_llm.Error:
        # ComfyUI starts, whatever is in a file of the user's; the node says what is wrong with it when it runs.
        return getattr(prompt, categories)(own=False)


def seed():
    """The widget of the seed."""
    return Input(
        "seed",
        "INT",
        "Decides which wording is taken and what is drawn, the same on every machine. Each widget draws by itself: changing "
        "one leaves the others. -1: another one each time.",
        default=0,
        optional=True,
        options={"min": -1, "max": SEED_LIMIT, "control_after_generate": "fixed"},
    )


def position(place):
    """The widget that says where in the prompt; `place` is the word for it in curly brackets."""
    return Input(
        "position",
        "COMBO",
        f"Where in the prompt it goes: after it, before it, or where the prompt says {place} in curly brackets.",
        default="after",
        optional=True,
        choices=["after", "before", "placeholder"],
    )


def seed_of(values):
    """The seed of a run."""
    chosen = values.get("seed", 0)
    return chosen if chosen >= 0 else random.SystemRandom().randrange(SEED_LIMIT)


def chosen(names, values):
    """What the widgets of the categories say; what is linked and not known yet is left out."""
    return {name: values[name] for name in names if values.get(name) is not None}


def check(inputs, names, categories, values):
    """Every bad field, in words."""
    from xdev_llm import prompt

    given = {name: value for name, value in values.items() if value is not None}
    problems = shared.keys_in(given)
    if given.get("validate_input", True):
        problems += shared.unknown_choices(inputs, given) + shared.out_of_range(inputs, given)
        try:
            known = getattr(prompt, categories)()
        except xdev_llm.Error as error:
            return shared.in_words([*problems, (categories, error.message)])
        for name, value in chosen(names, given).items():
            if value not in ("auto", "none", *known[name]):
                problems.append((name, f'"{value}" is none of: auto, none, {", ".join(known[name])}.'))
    return shared.in_words(problems)


def fingerprint(build, values):
    """Another one each time for the seed -1; else it follows the words in the user's own files."""
    if values.get("seed", 0) == -1:
        return float("nan")
    try:
        return json.dumps(build({name: value for name, value in values.items() if value is not None}))
    except xdev_llm.Error as error:
        return str(error)


def summary(built):
    """What was chosen, what was left out, and what a person should know, a line each."""
    entries = [piece["entry"] for piece in built["pieces"] if piece["entry"]]
    lines = [", ".join(entries) or "nothing chosen", f"seed {built['seed']}"]
    lines += [f"left out: {left['category']} {left['entry']}. {left['because']}" for left in built["left_out"]]
    return "\n".join(lines + built["notes"])


def breakdown(built):
    """Each category with its words, a line each."""
    return "\n".join(_line(piece) for piece in built["pieces"])


def _line(piece):
    weight = "" if piece["weight"] == 1 else f" (weight {piece['weight']:g})"
    entry = f" {piece['entry']}:" if piece["entry"] else ""
    return f"{piece['category']}:{entry} {piece['text']}{weight}"
