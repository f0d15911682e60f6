"""Stand-in for ComfyUI's nodes: the tables of node classes, the check before each call, a few built-in nodes.

Loading of packs is in contract_host/loading.py.
"""

import json

import comfy.model_management

NODE_CLASS_MAPPINGS = {}
NODE_DISPLAY_NAME_MAPPINGS = {}
EXTENSION_WEB_DIRS = {}
LOADED_MODULE_DIRS = {}


def before_node_execution():
    """Ends the prompt when it was interrupted; clears the flag, as ComfyUI does."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def interrupt_processing(value=True):
    """Sets or clears the interrupt flag."""
    comfy.model_management.interrupt_current_processing(value)


class AnyType(str):
    """A type that fits every other."""

    def __ne__(self, other):
        return False


class PrimitiveString:
    """Gives the text that was typed."""

    CATEGORY = "utils/primitive"
    FUNCTION = "execute"
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("STRING", {"multiline": False})}}

    def execute(self, value):
        return (value,)


class PrimitiveStringMultiline(PrimitiveString):
    """Gives the text that was typed, several lines of it."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("STRING", {"multiline": True})}}


class PreviewAny:
    """Shows any value as text."""

    CATEGORY = "utils"
    FUNCTION = "main"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"source": (AnyType("*"), {})}}

    def main(self, source=None):
        is_plain = source is None or isinstance(source, (str, int, float))
        return {"ui": {"text": (str(source) if is_plain else json.dumps(source, default=str),)}}


NODE_CLASS_MAPPINGS.update(
    PrimitiveString=PrimitiveString,
    PrimitiveStringMultiline=PrimitiveStringMultiline,
    PreviewAny=PreviewAny,
)
NODE_DISPLAY_NAME_MAPPINGS.update(
    PrimitiveString="String",
    PrimitiveStringMultiline="String (Multiline)",
    PreviewAny="Preview Any",
)
