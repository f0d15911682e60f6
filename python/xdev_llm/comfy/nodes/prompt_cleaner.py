"""Prompt Cleaner: a prompt made tidy and fit for an encoder, also one that a model wrote.

Not here: what is cleaned and what stays (the engine).
"""

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import shared

CASES = ["none", "lower", "title", "sentence"]
SAFE = ["none", "escape", "keep"]


def _switch(name, tooltip, default=True):
    return Input(name, "BOOLEAN", tooltip, default=default, optional=True)


INPUTS = (
    Input("prompt", "STRING", "The prompt, or the answer of a chat.", default="", options=shared.TEXT),
    _switch(
        "remove_duplicates",
        "Drop phrases that are there already, whatever their case and weight; the strongest weight stays. Never LoRAs and embeddings.",
    ),
    _switch("fix_spacing", "One blank between words and after commas, none at the ends and before commas."),
    _switch("fix_punctuation", "Drop commas with nothing between them, and make plain commas of full-width ones."),
    _switch("remove_empty_weights", "Drop brackets with nothing in them, such as () and (:1.2)."),
    Input(
        "case_normalize",
        "COMBO",
        "How words are written; names of LoRAs, embeddings, wildcards and variables stay as they are, also BREAK and AND.",
        default="none",
        optional=True,
        choices=CASES,
    ),
    _switch("sort_alphabetically", "Put the phrases into alphabetical order, between two BREAKs each.", default=False),
    Input(
        "max_length",
        "INT",
        "Leave out the last phrases of a prompt that has more characters than this. Never cuts inside of a bracket.",
        default=10000,
        optional=True,
        options={"min": 10, "max": 10000},
    ),
    shared.VALIDATE_INPUT,
    _switch(
        "strip_model_talk",
        "Drop what a language model writes around a prompt: \"Here is a prompt:\", code fences, quotes, list marks, bold marks, notes.",
    ),
    Input(
        "encoder_safe",
        "COMBO",
        "Parentheses that are no weights. none: stay. escape: all without a number become characters. keep: pairs stay and "
        "emphasise, single ones that would spoil the weights around them become characters.",
        default="keep",
        optional=True,
        choices=SAFE,
    ),
    shared.DIALECT,
)

_OPTIONS = (
    "remove_duplicates", "fix_spacing", "fix_punctuation", "remove_empty_weights", "sort_alphabetically",
    "max_length", "strip_model_talk", "encoder_safe", "dialect",
)  # fmt: skip


def run(node_id, **values):
    """Gives the prompt, what was changed, and how often."""
    from xdev_llm import prompt

    options = {name: values[name] for name in _OPTIONS if name in values}
    result = prompt.clean(values["prompt"], case=values.get("case_normalize", "none"), **options)
    info = ", ".join(f"{step['what']}: {step['count']}" for step in result["changes"]) or "nothing to clean"
    return Outcome((result["text"], info, result["changed"]), {"report": f"{result['text']}\n\n{info}"})


def check(**values):
    """Every bad field, in words."""
    return shared.wrong_fields(INPUTS, values)


PROMPT_CLEANER = Node(
    node_id="XDEV_PromptCleaner",
    name="Prompt Cleaner (XDev)",
    description="Makes a prompt tidy and fit for an encoder, also the answer of a chat. What it does not understand stays.",
    inputs=INPUTS,
    outputs=(
        Output("cleaned_prompt", "STRING", "The prompt."),
        Output("cleanup_info", "STRING", "What was changed, and how often."),
        Output("changes_made", "INT", "How many changes there were."),
    ),
    run=run,
    check=check,
    category=PROMPT_CATEGORY,
)
