"""Stand-in for comfy_api.latest: what V3 packs import."""

from abc import ABC, abstractmethod

from . import _io as io
from . import _ui as ui

__all__ = ["ComfyExtension", "io", "ui"]


class ComfyExtension(ABC):
    """What a pack's comfy_entrypoint returns."""

    async def on_load(self):
        """Is never called by the version that is imitated."""

    @abstractmethod
    async def get_node_list(self):
        """The pack's node classes."""
