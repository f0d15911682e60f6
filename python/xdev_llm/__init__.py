"""Talks to local language model servers: LM Studio, Ollama, llama.cpp, vLLM and any OpenAI-compatible server.

`Client` is the way in; every failure is a class of `xdev_llm.errors`, which is imported with the first one.
All else is in the native module. Not here: ComfyUI's nodes (`xdev_llm.comfy`).
"""

from ._native import (
    Call,
    ChatEvent,
    ChatReply,
    ChatRun,
    Client,
    ModelInfo,
    ServerInfo,
    __version__,
    append_history,
    builtin_presets,
    count_tokens,
    discover,
    looks_like_key,
    models,
    parse_history,
    trim_history,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import Error

__all__ = [
    "Call",
    "ChatEvent",
    "ChatReply",
    "ChatRun",
    "Client",
    "Error",
    "ModelInfo",
    "ServerInfo",
    "__version__",
    "append_history",
    "builtin_presets",
    "count_tokens",
    "discover",
    "looks_like_key",
    "models",
    "parse_history",
    "trim_history",
]


def __getattr__(name):
    """Imports the errors when one is asked for: `xdev_llm.Unreachable` is `xdev_llm.errors.Unreachable`."""
    from importlib import import_module

    errors = import_module(".errors", __name__)
    if name in errors.__all__:
        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
