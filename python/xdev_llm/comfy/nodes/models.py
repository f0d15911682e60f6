"""LLM Models: what a server has, and which of it is loaded.

Not here: loading and unloading.
"""

import fnmatch

from .. import bridge
from ..schema import Input, Node, Outcome, Output
from . import shared

INPUTS = (
    shared.server_url("http://localhost:1234"),
    Input(
        "filter",
        "STRING",
        "Only models whose id has this in it, or matches it as a pattern with * and ?. Empty: all.",
        default="",
        optional=True,
    ),
)


async def run(node_id, **values):
    """Lists the models."""
    info = await bridge.look(bridge.client().server(values["server_url"] or None, fresh=True))
    wanted = [model for model in info.models if _is_wanted(model.id, values.get("filter", ""))]
    details = shared.as_json([model.as_dict() for model in wanted])
    ids = "\n".join(model.id for model in wanted)
    report = "\n".join([f"{info.name} at {info.url}", *shared.listed(info, wanted)])
    return Outcome((ids, details, info.auto or "", len(wanted)), {"report": report})


def _is_wanted(model, pattern):
    model, pattern = model.casefold(), pattern.strip().casefold()
    if "*" in pattern or "?" in pattern:
        return fnmatch.fnmatchcase(model, pattern)
    return pattern in model


async def fingerprint(node_id, **values):
    """Changes with what the server has."""
    if values.get("server_url") is None:
        return ""
    return await shared.state_of(values["server_url"])


MODELS = Node(
    node_id="XDEV_LLMModels",
    name="LLM Models (XDev)",
    description="Lists the models of a server, and which of them are loaded.",
    inputs=INPUTS,
    outputs=(
        Output("models", "STRING", "The ids, one a line."),
        Output("details", "STRING", "All that the server tells of them, as JSON."),
        Output("auto", "STRING", "The model that \"auto\" takes now; empty if there is none."),
        Output("count", "INT", "How many models are listed."),
    ),
    run=run,
    check=lambda **values: shared.in_words(shared.keys_in(values)),
    fingerprint=fingerprint,
)
