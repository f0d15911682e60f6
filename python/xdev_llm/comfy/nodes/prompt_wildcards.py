"""Prompt Wildcards: prompts of a template with choices, variables and wildcards from the user's folders.

Here stands which folders those are in ComfyUI. Not here: how templates are read and drawn from (the engine).
"""

import itertools
import os

import xdev_llm

from .. import running
from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import shared

RANDOM = "random"
POPULATE = "populate"
FIXED = "fixed"
# More lines than this are not read in a node.
_SHOWN = 50

INPUTS = (
    Input(
        "template",
        "STRING",
        "The prompt: choices in curly brackets with upright bars between them, and __name__ for a line of the file name.txt in "
        "the folder wildcards of ComfyUI. The help page tells all of it.",
        default="a {red|blue|green} {cat|dog}",
        options=shared.TEXT,
    ),
    Input(
        "seed",
        "INT",
        "Decides what is drawn, the same on every machine. combinatorial begins at the prompt of this number.",
        default=0,
        options={"min": 0, "max": 2_147_483_647, "control_after_generate": True},
    ),
    Input(
        "mode",
        "COMBO",
        "random: drawn by the weights of the options. combinatorial: all prompts in turn.",
        default=RANDOM,
        choices=[RANDOM, "combinatorial"],
    ),
    Input(
        "count",
        "INT",
        "How many prompts are made. In combinatorial there may be fewer.",
        default=1,
        options={"min": 1, "max": 1000},
    ),
    Input(
        "source",
        "COMBO",
        "populate: prompts are made of the template. fixed: fixed_text is the prompt as it stands, whatever the files hold now; so "
        "it is in the workflow of a saved picture.",
        default=POPULATE,
        optional=True,
        choices=[POPULATE, FIXED],
    ),
    Input(
        "fixed_text",
        "STRING",
        "The prompt where source is fixed; with a count above 1, one a line. Saved pictures hold what was made: load one, and "
        "it is here.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
)

# The wildcards of the folders that were last asked for: they remember what they read.
_known = {}


def wildcards():
    """The wildcards of ComfyUI's folders."""
    from xdev_llm import prompt

    folders = tuple(folder for folder in _folders() if os.path.isdir(folder))
    if folders not in _known:
        _known.clear()
        _known[folders] = prompt.Wildcards(list(folders))
    return _known[folders]


def _folders():
    import folder_paths

    # extra_model_paths.yaml may name more.
    named, _ = folder_paths.folder_names_and_paths.get("wildcards", ([], None))
    bases = (folder_paths.base_path, folder_paths.get_user_directory())
    return dict.fromkeys([*(os.path.join(base, "wildcards") for base in bases), *named])


def run(node_id, **values):
    """Gives the prompts; the first of them also alone."""
    if values.get("source") == FIXED:
        text = values.get("fixed_text", "")
        lines = text.splitlines() if values["count"] > 1 else []
        prompts = lines or [text]
        return Outcome((prompts[0], prompts, "fixed_text as it stands"), {"report": text})
    from xdev_llm import prompt

    template, seed, count, known = values["template"], values["seed"], values["count"], wildcards()
    total = prompt.iterate(template, wildcards=known).left
    if values["mode"] == RANDOM:
        prompts = prompt.expand(template, limit=count, seed=seed, wildcards=known)
        info = f"{len(prompts)} drawn of {total} prompts (seed {seed})"
    else:
        start = seed % total
        following = prompt.iterate(template, start=start, wildcards=known)
        prompts = list(itertools.islice(following, count))
        info = f"{len(prompts)} of {total} prompts in turn, from number {start + 1} on"
    shown = "\n".join(prompts[:_SHOWN])
    if len(prompts) > _SHOWN:
        shown += f"\n… and {len(prompts) - _SHOWN} more"
    return Outcome((prompts[0], prompts, info), {"report": shown}, _kept(prompts, count))


def _kept(prompts, count):
    """What makes a saved picture replay: the prompts in place of the template they were made of."""
    is_one_of_several = bool(running.list_index())
    has_lines_of_its_own = count > 1 and any("\n" in prompt for prompt in prompts)
    if is_one_of_several or has_lines_of_its_own:
        # Then template and seed have to do.
        return {"source": POPULATE}
    return {"source": FIXED, "fixed_text": "\n".join(prompts)}


def check(**values):
    """Every bad field, in words."""
    from xdev_llm import prompt

    given = {name: value for name, value in values.items() if value is not None}
    problems = shared.keys_in(given) + shared.unknown_choices(INPUTS, given) + shared.out_of_range(INPUTS, given)
    if "template" in given and values.get("source", POPULATE) == POPULATE:
        try:
            prompt.iterate(given["template"], wildcards=wildcards())
        except xdev_llm.InvalidInput as error:
            problems.append(("template", error.message))
    return shared.in_words(problems)


def fingerprint(node_id, **values):
    """Changes with the files; the seed and the text are inputs, which ComfyUI compares by itself."""
    return "" if values.get("source") == FIXED else str(wildcards().fingerprint())


PROMPT_WILDCARDS = Node(
    node_id="XDEV_PromptWildcards",
    name="Prompt Wildcards (XDev)",
    description="Makes prompts of a template with choices, variables and wildcards from your own files.",
    inputs=INPUTS,
    outputs=(
        Output("prompt", "STRING", "The first prompt."),
        Output("prompts", "STRING", "All of them as a list: what hangs on it runs once for each.", is_list=True),
        Output("info", "STRING", "How many prompts the template stands for, and which these are."),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
    category=PROMPT_CATEGORY,
    keeps=True,
)
