"""Prompt Matrix: the combinations of parts, as one text and as a list that makes the next node run for each.

Not here: how combinations are counted and made (the engine).
"""

import random

import xdev_llm

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import shared

# More lines than this are not read in a node.
_SHOWN = 50

INPUTS = (
    Input(
        "matrix_prompt",
        "STRING",
        "The parts, with upright bars between them; a line is a group of its own. A part may hold choices in curly brackets, "
        "which are combined with all else.",
        default="red | green | blue",
        options=shared.TEXT,
    ),
    Input(
        "combination_mode",
        "COMBO",
        "all_combinations: every set of parts. incremental: the first, the first two, the first three. pairwise: every two. "
        "cartesian: one part of each line, with every other. random: the same in random order.",
        default="all_combinations",
        choices=["all_combinations", "incremental", "pairwise", "cartesian", "random"],
    ),
    Input(
        "base_prompt",
        "STRING",
        "Stands before each combination as it is. Empty: nothing does.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    Input("separator", "STRING", "What stands between two parts.", default=", ", optional=True),
    Input(
        "max_combinations",
        "INT",
        "How many combinations are taken; the others are not even made.",
        default=100,
        optional=True,
        options={"min": 1, "max": 1000},
    ),
    Input(
        "shuffle_results",
        "BOOLEAN",
        "Take the combinations in random order. Off: in the order in which the parts are written.",
        default=False,
        optional=True,
    ),
    Input(
        "seed",
        "INT",
        "Decides the random order, the same on every machine. -1: another one each time.",
        default=-1,
        optional=True,
        # Front ends give every seed a control that changes it after each run, and what hangs on this would run again.
        options={"min": -1, "max": 999_999, "control_after_generate": False},
    ),
    Input(
        "validate_input",
        "BOOLEAN",
        "Read the parts when you press Queue. Off: they are read when the node runs.",
        default=True,
        optional=True,
    ),
)


def run(node_id, **values):
    """Gives the combinations, and says how many there are."""
    from xdev_llm import prompt

    text, mode, shuffle = values["matrix_prompt"], values["combination_mode"], values.get("shuffle_results", False)
    seed = values.get("seed", -1)
    if seed < 0:
        seed = random.SystemRandom().randrange(1_000_000)
    prompts = prompt.matrix(
        text,
        mode=mode,
        base=values.get("base_prompt", ""),
        separator=values.get("separator", ", "),
        limit=values.get("max_combinations", 100),
        shuffle=shuffle,
        seed=seed,
    )
    count, parts = prompt.matrix_size(text, mode=mode)
    info = f"{mode}: {len(prompts)} of {count} combinations of {parts} parts"
    if _is_random(values):
        info += f", in random order (seed {seed})"
    lines = [f"{number}. {made}" for number, made in enumerate(prompts, 1)]
    shown = [info, "", *lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"… and {len(lines) - _SHOWN} more")
    return Outcome(("\n".join(prompts), info, "\n".join(lines), prompts), {"report": "\n".join(shown)})


def _is_random(values):
    # What is linked is not known yet, and may be so.
    return values.get("combination_mode") in (None, "random") or values.get("shuffle_results", False) is not False


def check(**values):
    """Every bad field, in words."""
    from xdev_llm import prompt

    given = {name: value for name, value in values.items() if value is not None}
    problems = shared.keys_in(given) + shared.unknown_choices(INPUTS, given) + shared.out_of_range(INPUTS, given)
    if given.get("validate_input", True) and "matrix_prompt" in given:
        try:
            prompt.matrix_size(given["matrix_prompt"])
        except xdev_llm.InvalidInput as error:
            problems.append(("matrix_prompt", error.message))
    return shared.in_words(problems)


def fingerprint(node_id, **values):
    """Always another where the order is another each time."""
    return float("nan") if values.get("seed", -1) == -1 and _is_random(values) else ""


PROMPT_MATRIX = Node(
    node_id="XDEV_PromptMatrix",
    name="Prompt Matrix (XDev)",
    description="Combines the parts of a prompt in every way you ask for, and gives them as a list that the next node runs "
    "through.",
    inputs=INPUTS,
    outputs=(
        Output("matrix_prompts", "STRING", "The combinations, one a line."),
        Output("combination_info", "STRING", "Which combinations they are, and how many there are in all."),
        Output("combination_list", "STRING", "The combinations, numbered."),
        Output("prompts", "STRING", "The combinations as a list: what hangs on it runs once for each.", is_list=True),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
    category=PROMPT_CATEGORY,
)
