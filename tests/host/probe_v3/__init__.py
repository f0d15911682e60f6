"""Nodes of the V3 API that show what a host does with them.

On a ComfyUI without that API the pack fails to import, and the others go on.
"""

import asyncio

from comfy_api.latest import ComfyExtension, io, ui

RUNS = {}


class V3Inputs(io.ComfyNode):
    """One input of each kind; choices of V3 combos are not checked."""

    @classmethod
    def define_schema(cls):
        marked = io.String.Input("marked", default="auto", tooltip="A text.")
        marked.extra_dict = {"probe_mark": "text"}
        return io.Schema(
            node_id="ProbeV3Inputs",
            display_name="Probe V3: inputs",
            category="probe/v3",
            description="Inputs of each kind.",
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "text", multiline=True, default="", placeholder="type", dynamic_prompts=False
                ),
                io.Combo.Input("choice", options=["one", "two"], default="one"),
                marked,
                io.Float.Input("number", optional=True, default=0.5, min=0.0, max=1.0, step=0.1, round=0.01),
                io.Int.Input("integer", optional=True, default=0, min=0, max=9, control_after_generate=True),
                io.Boolean.Input("flag", optional=True, default=True, label_on="yes", label_off="no"),
                io.Image.Input("image", optional=True),
                io.Custom("PROBE_THING").Input("thing", optional=True, tooltip="A thing."),
            ],
            outputs=[
                io.String.Output("response", display_name="response", tooltip="The answer."),
                io.Boolean.Output(display_name="fine"),
                io.String.Output(is_output_list=True),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(cls, text, choice, marked, number=0.5, integer=0, flag=True, image=None, thing=None):
        shown = f"{cls.hidden.unique_id}: {text} {choice} {marked} {number} {integer} {flag} {image} {thing}"
        return io.NodeOutput(text, True, ["a", "b"], ui=ui.PreviewText(shown))


class V3Checks(io.ComfyNode):
    """Checks its inputs and fingerprints them."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeV3Checks",
            inputs=[io.String.Input("text"), io.Int.Input("integer", default=1, min=0, max=9)],
            outputs=[io.String.Output()],
        )

    @classmethod
    def validate_inputs(cls, text):
        return "not this text" if text == "bad" else True

    @classmethod
    async def fingerprint_inputs(cls, text, integer):
        await asyncio.sleep(0)
        return float("nan") if text == "always" else text

    @classmethod
    def execute(cls, text, integer):
        RUNS[text] = RUNS.get(text, 0) + 1
        return io.NodeOutput(f"{text} {RUNS[text]}")


class V3Returns(io.ComfyNode):
    """Returns values of kinds that hosts treat differently."""

    @classmethod
    def define_schema(cls):
        kinds = ["tuple", "dict", "text", "block", "block without values", "set attribute", "nothing"]
        return io.Schema(
            node_id="ProbeV3Returns",
            inputs=[io.Combo.Input("kind", options=kinds)],
            outputs=[io.String.Output()],
        )

    @classmethod
    def execute(cls, kind):
        if kind == "set attribute":
            cls.remembered = kind
        return {
            "tuple": ("a tuple",),
            "dict": {"result": ("a dict",)},
            "text": "a text",
            "block": io.NodeOutput("a value", block_execution="blocked by the probe"),
            "block without values": io.NodeOutput(block_execution="blocked by the probe"),
            "nothing": None,
        }[kind]


class V3Twins(io.ComfyNode):
    """Shows its id: two nodes alike share one run."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeV3Twins",
            inputs=[io.String.Input("text")],
            outputs=[io.String.Output()],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(cls, text):
        await asyncio.sleep(0.01)
        return io.NodeOutput(f"node {cls.hidden.unique_id}")


class Extension(ComfyExtension):
    """The pack."""

    async def get_node_list(self):
        return [V3Inputs, V3Checks, V3Returns, V3Twins]


async def comfy_entrypoint():
    """What the host calls."""
    return Extension()
