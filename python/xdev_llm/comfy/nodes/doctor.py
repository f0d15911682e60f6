"""LLM Doctor: looks at every step between this machine and an answer, and names the cure.

Not here: the steps (the engine; the command `xdev-llm doctor` takes the same).
"""

from .. import bridge
from ..schema import Input, Node, Outcome, Output
from . import shared

INPUTS = (
    shared.server_url(""),
    Input(
        "model",
        "STRING",
        shared.MODEL.tooltip,
        default="auto",
        optional=True,
        options=shared.MODEL.options,
    ),
)


async def run(node_id, **values):
    """Examines, and gives the report."""
    report = await bridge.look(bridge.client().doctor(values["server_url"] or None, values.get("model") or None))
    lines = []
    for found in report["checks"]:
        lines.append(f"{found['status']:<4}  {found['name']:<10}  {found['message']}")
        if found.get("cure"):
            lines.append(f"                  {found['cure']}")
    lines += ["", "It works." if report["works"] else "It does not work yet: see the lines that say fail."]
    text = "\n".join(lines)
    return Outcome((text, report["works"]), {"report": text})


DOCTOR = Node(
    node_id="XDEV_LLMDoctor",
    name="LLM Doctor (XDev)",
    description="Looks at every step between this machine and an answer, and says what to do where one is wrong.",
    inputs=INPUTS,
    outputs=(
        Output("report", "STRING", "What was looked at, and how it is."),
        Output("works", "BOOLEAN", "Whether an answer can be had."),
    ),
    run=run,
    check=lambda **values: shared.in_words(shared.keys_in(values)),
    # What it looks at is outside of the workflow.
    fingerprint=lambda node_id, **values: float("nan"),
)
