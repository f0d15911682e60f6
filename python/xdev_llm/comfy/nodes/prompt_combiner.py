"""Prompt Combiner: up to four prompts as one.

Not here: how they are combined (the engine).
"""

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import shared

MODES = ["concatenate", "weighted_merge", "alternating", "priority_merge"]
SEPARATORS = ["comma", "space", "newline", "pipe", "semicolon", "custom"]
_NUMBERS = (1, 2, 3, 4)


def _prompt(number):
    return Input(
        f"prompt_{number}",
        "STRING",
        f"Prompt {number}. An empty one is left out, with its weight.",
        default="",
        optional=number > 2,
        options=shared.TEXT,
    )


def _weight(number):
    return Input(
        f"weight_{number}",
        "FLOAT",
        f"How much prompt {number} counts, in weighted_merge and priority_merge; the other modes do not look at it.",
        default=1.0,
        optional=True,
        options={"min": 0.1, "max": 5.0, "step": 0.05, "round": 0.001},
    )


INPUTS = (
    _prompt(1),
    _prompt(2),
    _prompt(3),
    _prompt(4),
    Input(
        "mode",
        "COMBO",
        "concatenate: one after another. weighted_merge: each in brackets with its weight. alternating: the first phrase of each, "
        "then the second of each. priority_merge: the highest weight first (of equals the longest), each phrase once.",
        default="concatenate",
        optional=True,
        choices=MODES,
    ),
    Input("separator", "COMBO", "What stands between the prompts.", default="comma", optional=True, choices=SEPARATORS),
    Input(
        "custom_separator",
        "STRING",
        "What stands between them if separator is custom; blanks count.",
        default="",
        optional=True,
    ),
    *(_weight(number) for number in _NUMBERS),
    shared.VALIDATE_INPUT,
    shared.DIALECT,
)


def run(node_id, **values):
    """Gives the prompt, what was done, and how many prompts are in it."""
    from xdev_llm import prompt

    result = prompt.combine(
        [values.get(f"prompt_{number}") or "" for number in _NUMBERS],
        weights=[values.get(f"weight_{number}", 1.0) for number in _NUMBERS],
        mode=values.get("mode", "concatenate"),
        separator=values.get("separator", "comma"),
        custom_separator=values.get("custom_separator", ""),
        dialect=values.get("dialect", "comfyui"),
    )
    info = f"{result['prompts']} prompts ({', '.join(map(str, result['order'])) or 'none'})"
    if result["duplicates"]:
        info += f", {result['duplicates']} repeated phrases left out"
    return Outcome((result["text"], info, result["prompts"]), {"report": f"{result['text']}\n\n{info}"})


def check(**values):
    """Every bad field, in words."""
    return shared.wrong_fields(INPUTS, values)


PROMPT_COMBINER = Node(
    node_id="XDEV_PromptCombiner",
    name="Prompt Combiner (XDev)",
    description="Makes one prompt of up to four. Brackets and weights stay with the prompt they are in.",
    inputs=INPUTS,
    outputs=(
        Output("combined_prompt", "STRING", "The prompt."),
        Output("combination_info", "STRING", "Which prompts are in it, in their order, and what was left out."),
        Output("total_prompts", "INT", "How many prompts are in it."),
    ),
    run=run,
    check=check,
    category=PROMPT_CATEGORY,
)
