"""The ComfyUI nodes of XDev LLM: what ComfyUI loads, by the V3 API where it has that, else by the old mappings.

Exactly one of `comfy_entrypoint` and `NODE_CLASS_MAPPINGS` exists, because ComfyUI looks at the first only where the
second is absent. Not here: the nodes (`nodes`).
"""

import os

from . import routes
from .nodes import NODES
from .schema import v1_class, v3_class

# Absolute: ComfyUI joins it to the folder it loaded, and this package lies elsewhere.
WEB_DIRECTORY = os.path.join(os.path.dirname(__file__), "web")

__all__ = ["WEB_DIRECTORY"]

routes.register()

try:
    from comfy_api.latest import ComfyExtension, io
except ImportError:
    NODE_CLASS_MAPPINGS = {node.node_id: v1_class(node) for node in NODES}
    NODE_DISPLAY_NAME_MAPPINGS = {node.node_id: node.name for node in NODES}
    __all__ += ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
else:

    class Extension(ComfyExtension):
        """`Extension` lists the nodes for ComfyUI."""

        async def get_node_list(self):
            """The classes of all nodes."""
            return [v3_class(node, io) for node in NODES]

    async def comfy_entrypoint():
        """Gives ComfyUI the extension."""
        return Extension()

    __all__ += ["comfy_entrypoint"]
