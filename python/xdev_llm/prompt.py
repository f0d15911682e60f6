"""The prompt toolkit for diffusion models: weights, dialects, and what is done with prompts. It asks nobody.

Not here: the work itself (the native module), ComfyUI's nodes (`xdev_llm.comfy`).
"""

from ._native import prompt_analyze as analyze
from ._native import prompt_clip_tokens as clip_tokens
from ._native import prompt_convert as convert
from ._native import prompt_count_clip_tokens as count_clip_tokens
from ._native import prompt_parse as parse

__all__ = ["analyze", "clip_tokens", "convert", "count_clip_tokens", "parse"]
