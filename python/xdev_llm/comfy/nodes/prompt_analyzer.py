"""Prompt Analyzer: what there is to say about a prompt, with its tokens as CLIP, or a connected encoder, counts them.

Not here: how a prompt is looked at (the engine).
"""

import xdev_llm

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import shared

LEVELS = ["basic", "detailed", "comprehensive"]
DIALECTS = ["comfyui", "a1111"]
# What a chunk of CLIP holds beside its begin and end.
CHUNK = 75

INPUTS = (
    Input(
        "prompt",
        "STRING",
        "The prompt to look at. It is not changed.",
        default="",
        options=shared.TEXT,
    ),
    Input(
        "analysis_level",
        "COMBO",
        "basic: counts, tokens and mistakes. detailed: also weights, tags, duplicates and what does not go together. "
        "comprehensive: also keywords by category and how easy prose is to read.",
        default="detailed",
        choices=LEVELS,
    ),
    Input(
        "include_weights",
        "BOOLEAN",
        "Tell the weights: how many, from where to where, and each piece. The basic report never does.",
        default=True,
        optional=True,
    ),
    Input(
        "word_frequency",
        "BOOLEAN",
        "Tell the words that come most often, without words like “the”.",
        default=False,
        optional=True,
    ),
    Input(
        "validate_input",
        "BOOLEAN",
        "Look for mistakes: brackets without a partner, weights that are no finite numbers, a language model's talk. "
        "They are told, not refused.",
        default=True,
        optional=True,
    ),
    Input(
        "clip",
        "CLIP",
        "Counts with this encoder's own tokenizer, and with its embeddings. Without it the bundled tokenizer of CLIP counts.",
        optional=True,
    ),
    Input(
        "token_limit",
        "INT",
        "How many tokens are wanted at most, for within_limit. A chunk of CLIP holds 75.",
        default=CHUNK,
        optional=True,
        options={"min": 1, "max": 1_000_000},
    ),
    Input(
        "dialect",
        "COMBO",
        "How brackets are read: comfyui takes a written weight as it is, a1111 multiplies nested ones, and BREAK begins a chunk.",
        default="comfyui",
        optional=True,
        choices=DIALECTS,
    ),
)


def run(node_id, **values):
    """Gives the report, the numbers as JSON, and the ones that a graph decides by."""
    # Here, because the texts of nodes are written without the native module.
    from xdev_llm import prompt

    has_problems, has_weights = values.get("validate_input", True), values.get("include_weights", True)
    has_frequency = values.get("word_frequency", False)
    limit = values.get("token_limit", CHUNK)
    statistics = prompt.analyze(
        values["prompt"],
        dialect=values.get("dialect", "comfyui"),
        level=values["analysis_level"],
        limit=limit,
        weights=has_weights,
        frequency=has_frequency,
        problems=has_problems,
    )
    report = statistics.pop("report")
    for name, is_wanted in (("problems", has_problems), ("weights", has_weights), ("frequency", has_frequency)):
        if not is_wanted:
            del statistics[name]
    tokens = statistics["clip"]["tokens"]
    if "clip" in values:
        encoders = count_with(values["clip"], values["prompt"])
        tokens = max((sum(chunks) for chunks in encoders.values()), default=0)
        statistics |= {"encoders": encoders, "within_limit": tokens <= limit}
        report = "\n".join([report, *(_in_words(name, chunks, limit) for name, chunks in encoders.items())])
    outputs = (report, shared.as_json(statistics), statistics["words"], statistics["complexity"])
    return Outcome((*outputs, tokens, statistics["within_limit"]), {"report": report})


def count_with(clip, text):
    """How many tokens each chunk has, by the name of the encoder, as the connected CLIP object makes them of a text."""
    if clip is None:
        raise xdev_llm.InvalidInput(
            "clip: there is no encoder in it; the checkpoint may have none. Load one with Load CLIP, or leave clip unlinked."
        )
    # What an empty text gives is begin, end and filling: all that is no token of the text.
    empty, chunks = clip.tokenize(""), clip.tokenize(text)
    return {name: _count(chunks[name], empty.get(name) or [[]]) for name in chunks}


def _count(chunks, empty):
    filling = _tokens(empty[0])[-1:]
    own = len(_unfilled(empty[0], filling))
    return [max(0, len(_unfilled(chunk, filling)) - own) for chunk in chunks]


def _tokens(chunk):
    return [entry[0] for entry in chunk]


def _unfilled(chunk, filling):
    """The tokens without the filling at the end. An embedding is a tensor, which has no plain yes or no to `==`."""
    tokens = _tokens(chunk)
    while tokens and isinstance(tokens[-1], int) and tokens[-1:] == filling:
        tokens.pop()
    return tokens


def _in_words(name, chunks, limit):
    total = sum(chunks)
    within = "within" if total <= limit else "over"
    listed = ", ".join(map(str, chunks))
    return f"Connected encoder {name}: {total} tokens, {within} the limit of {limit}, in chunks of {listed}"


def check(**values):
    """Every bad field, in words."""
    return shared.in_words(shared.keys_in(values) + shared.unknown_choices(INPUTS, values))


PROMPT_ANALYZER = Node(
    node_id="XDEV_PromptAnalyzer",
    name="Prompt Analyzer (XDev)",
    description="Counts a prompt's words, weights and tokens, and says what is repeated, opposed or probably a mistake.",
    inputs=INPUTS,
    outputs=(
        Output("analysis_report", "STRING", "All of it in words."),
        Output("statistics", "STRING", "All of it as JSON."),
        Output("word_count", "INT", "How many words it has, without tags and names."),
        Output("complexity_score", "FLOAT", "From 0 to 10, by words, phrases, weights and length."),
        Output("token_count", "INT", "How many tokens it has; with several encoders, the largest count."),
        Output("within_limit", "BOOLEAN", "Whether these are no more than token_limit."),
    ),
    run=run,
    check=check,
    category=PROMPT_CATEGORY,
)
