"""The prompt toolkit for diffusion models: weights, dialects, and what is done with prompts. It asks nobody.

Not here: the work itself (the native module), ComfyUI's nodes (`xdev_llm.comfy`).
"""

from ._native import PromptIterator, Wildcards
from ._native import prompt_convert as convert
from ._native import prompt_expand as expand
from ._native import prompt_iterate as iterate
from ._native import prompt_matrix as matrix
from ._native import prompt_matrix_size as matrix_size
from ._native import prompt_parse as parse

__all__ = [
    "PromptIterator",
    "Wildcards",
    "convert",
    "expand",
    "iterate",
    "matrix",
    "matrix_size",
    "parse",
    "wildcards",
]


def wildcards(template, *, folders=(), seed=0, count=1, combinatorial=False):
    """The prompts of a template with wildcards of folders: `count` drawn ones, or the first of all in turn."""
    return expand(template, limit=count, seed=None if combinatorial else seed, wildcards=Wildcards(list(folders)))
