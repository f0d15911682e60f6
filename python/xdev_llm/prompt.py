"""The prompt toolkit for diffusion models: weights, dialects, and what is done with prompts. It asks nobody.

Not here: the work itself (the native module), ComfyUI's nodes (`xdev_llm.comfy`).
"""

from ._native import prompt_apply_style as apply_style
from ._native import prompt_convert as convert
from ._native import prompt_library_notes as library_notes
from ._native import prompt_parse as parse
from ._native import prompt_person as person
from ._native import prompt_person_categories as person_categories
from ._native import prompt_search_styles as search_styles
from ._native import prompt_style as style
from ._native import prompt_style_categories as style_categories

__all__ = [
    "apply_style",
    "convert",
    "library_notes",
    "parse",
    "person",
    "person_categories",
    "search_styles",
    "style",
    "style_categories",
]
