"""LLM Server: names a server, or finds one, and says how it is.

Not here: the list of its models with all details (`models`), every step to an answer (`doctor`).
"""

import xdev_llm

from .. import bridge
from ..schema import Input, Node, Outcome, Output
from . import shared

INPUTS = (
    Input(
        "server",
        "STRING",
        "A URL, or a name from your xdev-llm config. Empty: the one of your config, else the first that is found on this machine.",
        default="",
        options={"xdev_llm_servers": True},
    ),
)


async def run(node_id, **values):
    """Asks the server how it is; a named server that is down is an answer too."""
    server = values["server"]
    try:
        info = await bridge.look(bridge.client().server(server or None, fresh=True))
    except xdev_llm.Unreachable as error:
        if not server:
            raise
        return Outcome((server, str(error), "", False), {"report": str(error)})
    models = [model.id for model in info.models]
    version = f" {info.version}" if info.version else ""
    lines = [f"{info.name}{version} at {info.url}: {info.health}", f"answers in {info.latency_ms:.1f} ms"]
    lines += [f"auto takes {info.auto}"] if info.auto else []
    lines += info.notes
    report = "\n".join([*lines, "", *shared.listed(info)])
    return Outcome((info.url, "\n".join(lines), "\n".join(models), info.health == "ready"), {"report": report})


async def fingerprint(node_id, **values):
    """Changes with the server's state, so that what hangs on this node runs again only then."""
    if values.get("server") is None:
        return ""
    return await shared.state_of(values["server"])


SERVER = Node(
    node_id="XDEV_LLMServer",
    name="LLM Server (XDev)",
    description="Names a model server, or finds one on this machine, and says how it is and what it has.",
    inputs=INPUTS,
    outputs=(
        Output("server_url", "STRING", "Link it to server_url of a chat."),
        Output("status", "STRING", "Which server it is, and how it is."),
        Output("models", "STRING", "The ids of its models, one a line."),
        Output("healthy", "BOOLEAN", "Whether it is ready to answer."),
    ),
    run=run,
    check=lambda **values: shared.in_words(shared.keys_in(values)),
    fingerprint=fingerprint,
)
