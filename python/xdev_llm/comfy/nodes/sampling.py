"""LLM Sampling: a preset or numbers of one's own as one wire, for several chats.

Not here: what the presets are (the engine, and the user's config).
"""

from .. import bridge
from ..schema import Input, Node, Outcome, Output
from . import shared

_PENALTY = {"min": -2.0, "max": 2.0, "step": 0.05, "round": 0.001}

INPUTS = (
    shared.PRESET,
    shared.TEMPERATURE,
    shared.MAX_TOKENS,
    shared.TOP_P,
    shared.TOP_K,
    shared.MIN_P,
    shared.STOP,
    Input(
        "presence_penalty",
        "FLOAT",
        "Above 0: the model rather takes words it has not used yet. 0: not sent.",
        default=0.0,
        optional=True,
        options=_PENALTY,
    ),
    Input(
        "frequency_penalty",
        "FLOAT",
        "Above 0: the more often a word was used, the less the model takes it. 0: not sent.",
        default=0.0,
        optional=True,
        options=_PENALTY,
    ),
    Input(
        "repeat_penalty",
        "FLOAT",
        "llama.cpp's and Ollama's guard against going round in circles: 1.1 is usual, 1 turns it off. 0: not sent.",
        default=0.0,
        optional=True,
        options={"min": 0.0, "max": 2.0, "step": 0.05, "round": 0.001},
    ),
)


def run(node_id, **values):
    """Gives the sampling, and says it in words."""
    sampling = {"preset": values["preset"], **shared.sampling_from(values)}
    summary = shared.as_json(sampling)
    return Outcome((sampling, summary), {"report": summary})


def check(**values):
    """Every bad field, in words."""
    given = {name: value for name, value in values.items() if value is not None}
    problems = shared.keys_in(given)
    # Only the fields of this node are of interest: the prompt stands for one that is well.
    asked = {"prompt": "-", "preset": given.get("preset"), **shared.sampling_from(given)}
    problems += bridge.client().check(**{name: value for name, value in asked.items() if value is not None})
    return shared.in_words(problems)


SAMPLING = Node(
    node_id="XDEV_LLMSampling",
    name="LLM Sampling (XDev)",
    description="A preset, or numbers of your own, as one wire for several chats.",
    inputs=INPUTS,
    outputs=(
        Output("sampling", shared.SAMPLING_KIND, "Link it to sampling of a chat."),
        Output("summary", "STRING", "The same as JSON text."),
    ),
    run=run,
    check=check,
)
