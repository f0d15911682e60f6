"""What the prompt toolkit is measured beside: the standard library, ComfyUI's own parser, CLIP's usual tokenizer.

Nothing of ComfyUI is kept here: its functions are read out of the user's own checkout when the bench runs. Not here:
what is measured (`main`).
"""

import ast
import itertools
import os
import re
from pathlib import Path


def comfyui():
    """The folder of ComfyUI, or None."""
    return Path(os.environ["COMFYUI_DIR"]) if os.environ.get("COMFYUI_DIR") else None


def product_list(options, separator):
    """All prompts as a list, as one writes it in Python."""
    return [separator.join(words) for words in itertools.product(*options)]


def product_lazily(options, separator):
    """All prompts one after another."""
    return map(separator.join, itertools.product(*options))


def weights_parser():
    """ComfyUI's own parser of weights: text -> pieces; None without a ComfyUI."""
    folder = comfyui()
    if folder is None:
        return None
    wanted = ("parse_parentheses", "token_weights", "escape_important", "unescape_important")
    source = (folder / "comfy" / "sd1_clip.py").read_text(encoding="utf-8")
    found = [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef) and each.name in wanted]
    names = {"re": re}
    exec(compile(ast.Module(found, []), "sd1_clip.py", "exec"), names)

    def parse(text):
        pieces = names["token_weights"](names["escape_important"](text), 1.0)
        return [(names["unescape_important"](piece), weight) for piece, weight in pieces]

    return parse


def clip_tokenizer():
    """CLIP's fast tokenizer of `transformers`; None without it or without a ComfyUI, which has its files."""
    folder = comfyui()
    if folder is None:
        return None
    try:
        from transformers import CLIPTokenizerFast
    except ImportError:
        return None
    return CLIPTokenizerFast.from_pretrained(str(folder / "comfy" / "sd1_tokenizer"))
