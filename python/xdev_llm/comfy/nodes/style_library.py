"""Style Library: a named style, built in or of the user's own, put around a prompt.

Not here: how files of styles are read and searched (the engine), the list in the node (`web/style_browser.js`).
"""

import json

import xdev_llm

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import building, shared, styles

INPUTS = (
    Input(
        "prompt",
        "STRING",
        "The prompt that is put into the style.",
        default="",
        options=shared.TEXT,
    ),
    Input(
        "style",
        "COMBO",
        "The style. The list below shows and finds them by words; your own go as JSON files into the folder prompt/library "
        "beside your xdev-llm config.",
        default="Cinematic Still",
        choices=styles.names,
        options={"xdev_llm_styles": True},
    ),
    Input(
        "search",
        "STRING",
        "Not empty: the style that fits these words best is taken instead, for a style that another node chooses.",
        default="",
        optional=True,
        options={"dynamicPrompts": False},
    ),
    Input(
        "negative_prompt",
        "STRING",
        "What you do not want anyway; that of the style goes behind it.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
)


def _apply(values):
    from xdev_llm import prompt

    words, name = values.get("search", ""), values["style"]
    if words.strip():
        found = prompt.search_styles(words)
        if not found:
            raise xdev_llm.InvalidInput(f'search: no style has all the words of "{words.strip()[:200]}".')
        name = found[0]["name"]
    return prompt.apply_style(name, values.get("prompt", ""), negative=values.get("negative_prompt", ""))


def run(node_id, **values):
    """Gives the prompt in the style, and what is not wanted."""
    from xdev_llm import prompt

    styled = _apply(values)
    report = [styled["name"], styled["positive"]]
    if styled["negative"]:
        report.append(f"negative: {styled['negative']}")
    report += prompt.library_notes()
    return Outcome((styled["positive"], styled["negative"], styled["name"]), {"report": "\n\n".join(report)})


def check(**values):
    """Every bad field, in words."""
    wrong = shared.in_words(shared.keys_in(values))
    # With words the style is not looked at, and words that are linked are not known yet.
    if "search" in values and (values["search"] is None or values["search"].strip()):
        return wrong
    name = values.get("style")
    return "\n".join(part for part in (wrong, "" if name is None else styles.missing("style", name)) if part)


def fingerprint(node_id, **values):
    """Changes with the style in the user's own files."""
    known = {name: value for name, value in values.items() if value is not None}
    if "style" not in known:
        return ""
    try:
        return json.dumps(_apply(known))
    except xdev_llm.Error as error:
        return str(error)


STYLE_LIBRARY = Node(
    node_id="XDEV_StyleLibrary",
    name="Style Library (XDev)",
    description="Puts a prompt into a style with a name: fifty are built in, and libraries for sdxl_prompt_styler work as they "
    "are.",
    inputs=INPUTS,
    outputs=(
        Output("positive", "STRING", "The prompt in the style."),
        Output("negative", "STRING", "What is not wanted: yours, then that of the style."),
        Output("style_name", "STRING", "The name of the style that was taken."),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
    category=PROMPT_CATEGORY,
)
