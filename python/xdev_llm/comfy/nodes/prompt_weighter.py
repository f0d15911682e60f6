"""Prompt Weighter: other weights for a prompt, or for a phrase in it.

Not here: how weights are found and written (the engine).
"""

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import shared

OPERATIONS = ["add_emphasis", "add_deemphasis", "multiply_existing", "remove_weights", "normalize_weights"]
NORMALIZE_BY = ["mean", "maximum"]

INPUTS = (
    Input("prompt", "STRING", "The prompt.", default="", options=shared.TEXT),
    Input(
        "operation",
        "COMBO",
        "add_emphasis: times weight_value. add_deemphasis: times weight_value below 1, divided by it above 1, written as (text:0.8). "
        "multiply_existing: weights that are there times multiplier. remove_weights: all weights go. normalize_weights: weights "
        "that are there are scaled until their mean, or the largest, is weight_value.",
        default="add_emphasis",
        choices=OPERATIONS,
    ),
    Input(
        "weight_value",
        "FLOAT",
        "For add_emphasis and add_deemphasis the factor, for normalize_weights the weight that is wanted.",
        default=1.1,
        optional=True,
        options={"min": 0.1, "max": 3.0, "step": 0.05, "round": 0.001},
    ),
    Input(
        "target_text",
        "STRING",
        "Only this phrase, wherever it stands as whole words; upper and lower case are the same. Empty: all of the prompt.",
        default="",
        optional=True,
    ),
    Input(
        "multiplier",
        "FLOAT",
        "For multiply_existing: the factor.",
        default=1.1,
        optional=True,
        options={"min": 0.1, "max": 3.0, "step": 0.05, "round": 0.001},
    ),
    shared.VALIDATE_INPUT,
    Input(
        "normalize_by",
        "COMBO",
        "For normalize_weights: what becomes weight_value, the mean of the weights (word by word) or the largest.",
        default="mean",
        optional=True,
        choices=NORMALIZE_BY,
    ),
    shared.DIALECT,
)


def run(node_id, **values):
    """Gives the prompt, what was done, and how many weights changed."""
    from xdev_llm import prompt

    operation = values["operation"]
    number = "multiplier" if operation == "multiply_existing" else "weight_value"
    result = prompt.weight(
        values["prompt"],
        operation,
        value=values.get(number, 1.1),
        target=values.get("target_text", ""),
        by=values.get("normalize_by", "mean"),
        dialect=values.get("dialect", "comfyui"),
    )
    info = f"{operation}: {result['changed']} weights changed"
    if result["found"] is not None:
        info += f", target_text found {result['found']} times"
    return Outcome((result["text"], info, result["changed"]), {"report": f"{result['text']}\n\n{info}"})


def check(**values):
    """Every bad field, in words."""
    return shared.wrong_fields(INPUTS, values)


PROMPT_WEIGHTER = Node(
    node_id="XDEV_PromptWeighter",
    name="Prompt Weighter (XDev)",
    description="Makes a prompt, or a phrase in it, count more or less. Names of LoRAs and embeddings are never touched.",
    inputs=INPUTS,
    outputs=(
        Output("weighted_prompt", "STRING", "The prompt with its new weights."),
        Output("operation_info", "STRING", "What was done."),
        Output("weights_modified", "INT", "How many weights were written, changed or taken away."),
    ),
    run=run,
    check=check,
    category=PROMPT_CATEGORY,
)
