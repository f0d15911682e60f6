"""One more node beside those of the pack: the shape of our chat node, without a question to anybody.

What it takes is the host's part of a call.
"""

import asyncio
import dataclasses

from comfy_api.latest import io
from xdev_llm.comfy import Extension
from xdev_llm.comfy.nodes.chat import CHAT
from xdev_llm.comfy.schema import Outcome, v3_class


async def ask_nobody(node_id, **values):
    """Waits for one turn of the event loop, as every node that is async."""
    await asyncio.sleep(0)
    return Outcome(("nothing",) * len(CHAT.outputs), {"text": "nothing"})


SAME_SHAPE = dataclasses.replace(CHAT, node_id="Bench_SameShape", run=ask_nobody)


class ExtensionWithShape(Extension):
    """`ExtensionWithShape` lists the pack's nodes and this one."""

    async def get_node_list(self):
        return [*await super().get_node_list(), v3_class(SAME_SHAPE, io)]


async def comfy_entrypoint():
    return ExtensionWithShape()
