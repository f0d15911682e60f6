"""The prompt toolkit for diffusion models: weights, dialects, and what is done with prompts. It asks nobody.

Not here: the work itself (the native module), ComfyUI's nodes (`xdev_llm.comfy`).
"""

from ._native import PromptIterator, Wildcards
from ._native import prompt_analyze as analyze
from ._native import prompt_apply_style as apply_style
from ._native import prompt_clean as clean
from ._native import prompt_clip_tokens as clip_tokens
from ._native import prompt_combine as combine
from ._native import prompt_convert as convert
from ._native import prompt_count_clip_tokens as count_clip_tokens
from ._native import prompt_expand as expand
from ._native import prompt_iterate as iterate
from ._native import prompt_library_notes as library_notes
from ._native import prompt_matrix as matrix
from ._native import prompt_matrix_size as matrix_size
from ._native import prompt_parse as parse
from ._native import prompt_person as person
from ._native import prompt_person_categories as person_categories
from ._native import prompt_search_styles as search_styles
from ._native import prompt_style as style
from ._native import prompt_style_categories as style_categories
from ._native import prompt_weight as weight

__all__ = [
    "PromptIterator",
    "Wildcards",
    "analyze",
    "apply_style",
    "clean",
    "clip_tokens",
    "combine",
    "convert",
    "count_clip_tokens",
    "expand",
    "iterate",
    "library_notes",
    "matrix",
    "matrix_size",
    "parse",
    "person",
    "person_categories",
    "search_styles",
    "style",
    "style_categories",
    "weight",
    "wildcards",
]


def wildcards(template, *, folders=(), seed=0, count=1, combinatorial=False):
    """The prompts of a template with wildcards of folders: `count` drawn ones, or the first of all in turn."""
    return expand(template, limit=count, seed=None if combinatorial else seed, wildcards=Wildcards(list(folders)))
