"""The prompt toolkit for diffusion models: weights, dialects, and what is done with prompts. It asks nobody.

Not here: the work itself (the native module), ComfyUI's nodes (`xdev_llm.comfy`).
"""

from ._native import prompt_clean as clean
from ._native import prompt_combine as combine
from ._native import prompt_convert as convert
from ._native import prompt_parse as parse
from ._native import prompt_weight as weight

__all__ = ["clean", "combine", "convert", "parse", "weight"]
