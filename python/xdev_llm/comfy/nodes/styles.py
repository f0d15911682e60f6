"""The library of named styles as nodes and routes see it.

Files are read when somebody asks, so that a new one counts at once. Not here: what a style does (the engine).
"""

import xdev_llm

# Stands in a list for no style.
NO_STYLE = "none"


def names():
    """The names of all styles, the built-in ones first; ComfyUI starts, whatever is in the user's folder."""
    from xdev_llm import prompt

    try:
        return [style["name"] for style in prompt.search_styles()]
    except xdev_llm.Error:
        return [style["name"] for style in prompt.search_styles(own=False)]


def missing(field, name):
    """What is wrong with a name, or ""."""
    from xdev_llm import prompt

    try:
        prompt.apply_style(name)
    except xdev_llm.Error as error:
        return f"{field}: {error.message}"
    return ""
