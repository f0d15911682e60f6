"""LLM Load: has a server load a model before it is asked, and says so when it is there.

Not here: loading for one chat alone (`memory`), unloading (`llm_unload`).
"""

from .. import bridge, memory
from ..schema import ANYTHING, Input, Node, Outcome, Output
from . import shared
from .made import Made

INPUTS = (
    shared.server_url("http://localhost:1234"),
    shared.MODEL,
    Input(
        "context_length",
        "INT",
        "The context it must have at least, in tokens; a loaded one with less is loaded anew. 0: as the server likes it.",
        default=0,
        optional=True,
        options={"min": 0, "max": 2**24, "step": 1024},
    ),
    Input(
        "keep_alive",
        "INT",
        "Seconds that it stays when nobody uses it, where the server can be told. 0: the server's own time. -1: for ever.",
        default=0,
        optional=True,
        options={"min": -1, "max": 2**31 - 1},
    ),
    Input(
        "free_comfyui_first",
        "BOOLEAN",
        "ComfyUI unloads its own models before, so that the model finds their memory free.",
        default=False,
        optional=True,
    ),
    shared.AUTO_DETECT_SERVER,
    Input(
        "value",
        ANYTHING,
        "Anything, which comes out again once the model is loaded. Link it to have the load happen after something.",
        optional=True,
    ),
)

# What servers take as a context at all.
_LEAST_CONTEXT = 256


def _is_so(loaded, what):
    model, context_length = what
    found = [entry for entry in loaded if entry["id"] == model and entry.get("state", "loaded") == "loaded"]
    return any((entry.get("context_length") or context_length) >= context_length for entry in found)


_MADE = Made(_is_so)


async def run(node_id, **values):
    """Loads, and gives the model's name as the server spells it."""
    feed = bridge.Feed(node_id)
    load = {name: values[name] for name in ("context_length", "keep_alive") if values.get(name)}
    mode = memory.FREE_FIRST if values.get("free_comfyui_first") else memory.KEEP
    server, detects = shared.server_of(values), values.get("auto_detect_server", True)
    async with memory.Use(feed, node_id, mode, server, values["model"] or None, detects, load) as use:
        await use.begin()
    told = {name: use.told[name] for name in ("comfyui", "loaded") if name in use.told}
    loaded = told["loaded"]
    _MADE.note(node_id, values, loaded["server"], (loaded["id"], load.get("context_length", 0)))
    return Outcome((values.get("value"), loaded["id"], shared.as_json(told)), {"report": _in_words(told)})


def _in_words(told):
    loaded = told["loaded"]
    took = "was loaded already" if loaded["was_loaded"] else f"loaded in {loaded['duration']:.1f} s"
    context = f", context {loaded['context_length']:,}" if loaded.get("context_length") else ""
    lines = [*memory.in_words(told), f"{loaded['id']} {took}{context}"]
    lines += [f"the server unloaded for it: {', '.join(loaded['evicted'])}"] if loaded.get("evicted") else []
    lines += [f"this server cannot be told: {', '.join(loaded['not_sent'])}"] if loaded.get("not_sent") else []
    return "\n".join(lines)


def check(**values):
    """Every bad field, in words."""
    given = {name: value for name, value in values.items() if value is not None}
    problems = shared.keys_in(given) + shared.out_of_range(INPUTS, given)
    if 0 < given.get("context_length", 0) < _LEAST_CONTEXT:
        problems.append(("context_length", f"must be 0, or at least {_LEAST_CONTEXT}."))
    return shared.in_words(problems)


async def fingerprint(node_id, **values):
    """Changes when the model is no longer loaded."""
    return await _MADE.fingerprint(node_id, values)


LLM_LOAD = Node(
    node_id="XDEV_LLMLoad",
    name="LLM Load (XDev)",
    description="Has a server load a model, and goes on when it is there.",
    inputs=INPUTS,
    outputs=(
        Output("value", ANYTHING, "What was linked to value, as it is."),
        Output("model", "STRING", "The model's id as the server spells it: link it to model of a chat."),
        Output("report", "STRING", "What was loaded, how long it took, and what the server unloaded for it, as JSON."),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
)
