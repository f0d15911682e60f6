"""LLM Unload: has a server unload, and lets the workflow go on when the memory is really free.

Not here: unloading after a chat (`memory`), how it is verified (the engine).
"""

import xdev_llm

from .. import bridge, memory
from ..schema import ANYTHING, Input, Node, Outcome, Output
from . import shared
from .made import Made

STOP_ON_ERROR = "stop"
GO_ON = "go on"

INPUTS = (
    shared.server_url("http://localhost:1234"),
    Input(
        "model",
        "STRING",
        "The model that is to go, with all its copies. \"auto\": the one that is loaded.",
        default="auto",
        options={"xdev_llm_models": "server_url"},
    ),
    Input("unload_all", "BOOLEAN", "Everything that the server has loaded goes, whatever stands in model.", default=False, optional=True),
    Input(
        "free_comfyui",
        "BOOLEAN",
        "ComfyUI unloads its own models, too. It does so by itself when a sampler needs the memory; this is for other programs.",
        default=False,
        optional=True,
    ),
    Input(
        "on_error",
        "COMBO",
        "When the model could not be unloaded, or nothing answers. stop: the workflow ends with the reason. go on: the value "
        "comes out all the same, and the next run tries again.",
        default=STOP_ON_ERROR,
        optional=True,
        choices=[STOP_ON_ERROR, GO_ON],
    ),
    Input(
        "value",
        ANYTHING,
        "Anything, which comes out again when the memory is free. Put the node between a chat and what needs the memory.",
        optional=True,
    ),
)


def _is_so(loaded, names):
    return not any(names is None or entry["id"] in names for entry in loaded)


_MADE = Made(_is_so)


async def run(node_id, **values):
    """Unloads, and gives the value on."""
    feed = bridge.Feed(node_id)
    given = values["model"] or "auto"
    model = None if values.get("unload_all") else given
    told = {}
    try:
        server = shared.server_of(values)
        if given in bridge.aliases():
            target = await bridge.look(bridge.client().resolve(None, given))
            server, given = target["url"], target["model"]
            model = None if model is None else given
        info = await bridge.look(bridge.client().server(server, fresh=True))
        told["unloaded"] = await memory.unload(feed, server, info.url, model)
    except xdev_llm.Error as error:
        if values.get("on_error", STOP_ON_ERROR) == STOP_ON_ERROR:
            raise
        bridge.forget_result(node_id)
        told["error"] = {"code": error.code, "message": str(error)}
    else:
        # By "auto" and with all, whatever is loaded next time is meant.
        names = None if model in (None, "auto") else {given, *told["unloaded"]["models"]}
        _MADE.note(node_id, values, info.url, names)
    if values.get("free_comfyui"):
        told["comfyui"] = memory.free_comfyui()
    lines = memory.in_words(told)
    if "error" in told:
        lines.append(told["error"]["message"])
    return Outcome((values.get("value"), shared.as_json(told)), {"report": "\n".join(lines)})


def check(**values):
    """Every bad field, in words."""
    return shared.wrong_fields(INPUTS, values)


async def fingerprint(node_id, **values):
    """Changes when what the node unloaded is loaded again."""
    return await _MADE.fingerprint(node_id, values)


LLM_UNLOAD = Node(
    node_id="XDEV_LLMUnload",
    name="LLM Unload (XDev)",
    description="Has a server unload a model, and lets the workflow go on when its memory is really free.",
    inputs=INPUTS,
    outputs=(
        Output("value", ANYTHING, "What was linked to value, as it is, once the memory is free."),
        Output("report", "STRING", "What was unloaded, how long it took, and the memory before and after, as JSON."),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
)
