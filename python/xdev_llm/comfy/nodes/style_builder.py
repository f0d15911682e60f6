"""Style Builder: a style out of categories, added to a prompt.

Not here: which words there are and what goes with what (the engine), a style by its name alone (`style_library`).
"""

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import building, shared, styles

CATEGORIES = ("primary_style", "medium", "color_palette", "lighting", "composition", "texture")


def _category(name, tooltip, default="auto"):
    return building.category(name, tooltip, "style_categories", default)


INPUTS = (
    _category(
        "primary_style",
        "The movement or digital style. Its weight is style_weight. auto: one is drawn if randomize_auto is on.",
        "impressionism",
    ),
    _category("medium", "What it is made with. auto: what suits the style, or drawn."),
    _category("color_palette", "The colors. auto: what suits the style, or drawn."),
    _category("lighting", "The light. auto: what suits the style, or drawn."),
    _category("composition", "How the picture is arranged. auto: what suits the style, or drawn."),
    _category("texture", "The surface. auto: what suits the style, or drawn."),
    Input(
        "custom_style",
        "STRING",
        "Words of your own, right behind the primary style. With the word prompt in curly brackets in it, it is the frame into "
        "which the prompt is put.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    Input(
        "add_technical",
        "BOOLEAN",
        "Add three terms of quality, such as highly detailed, that fit the rest.",
        default=False,
        optional=True,
    ),
    Input(
        "style_weight",
        "FLOAT",
        "The weight of the primary style. 1: written without a weight.",
        default=1.0,
        optional=True,
        options={"min": 0.1, "max": 2.0, "step": 0.05, "round": 0.001},
    ),
    Input(
        "randomize_auto",
        "BOOLEAN",
        "Draw what is auto with the seed. Off: auto takes what suits the primary style, or nothing.",
        default=False,
        optional=True,
    ),
    building.seed(),
    shared.VALIDATE_INPUT,
    Input(
        "prompt",
        "STRING",
        "The prompt that the style is added to. Nothing is added to it by auto that contradicts what it says.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    building.position("style"),
    Input(
        "library_style",
        "COMBO",
        "A style of the library that is put around the prompt first. none: no style of the library.",
        default=styles.NO_STYLE,
        optional=True,
        choices=lambda: [styles.NO_STYLE, *styles.names()],
    ),
)


def _build(values):
    """What was built, and what the style of the library does not want."""
    from xdev_llm import prompt

    text, negative = values.get("prompt", ""), ""
    name = values.get("library_style", styles.NO_STYLE)
    if name != styles.NO_STYLE:
        styled = prompt.apply_style(name, text)
        text, negative = styled["positive"], styled["negative"]
    built = prompt.style(
        building.chosen(CATEGORIES, values),
        prompt=text,
        position=values.get("position", "after"),
        custom=values.get("custom_style", ""),
        weight=values.get("style_weight", 1.0),
        quality=values.get("add_technical", False),
        randomize=values.get("randomize_auto", False),
        seed=building.seed_of(values),
    )
    return built, negative


def run(node_id, **values):
    """Gives the prompt in its style, and says what was taken."""
    built, negative = _build(values)
    info, breakdown = building.summary(built), building.breakdown(built)
    report = "\n\n".join(part for part in (built["prompt"], info) if part)
    return Outcome((built["prompt"], info, breakdown, negative), {"report": report})


def check(**values):
    """Every bad field, in words."""
    wrong = building.check(INPUTS, CATEGORIES, "style_categories", values)
    if values.get("validate_input", True) is False:
        return wrong
    name = values.get("library_style") or styles.NO_STYLE
    return "\n".join(part for part in (wrong, "" if name == styles.NO_STYLE else styles.missing("library_style", name)) if part)


def fingerprint(node_id, **values):
    """Changes with the user's own files, and always for the seed -1."""
    return building.fingerprint(_build, values)


STYLE_BUILDER = Node(
    node_id="XDEV_StyleBuilder",
    name="Style Builder (XDev)",
    description="Builds a style of movements, media, colors and light whose parts never contradict each other, and adds it to a "
    "prompt.",
    inputs=INPUTS,
    outputs=(
        Output("style_prompt", "STRING", "The prompt in its style; without a prompt the style alone."),
        Output("style_info", "STRING", "What was chosen, the seed, and what was left out because it contradicts something."),
        Output("style_breakdown", "STRING", "Each category with the words that were taken, a line each."),
        Output("negative_prompt", "STRING", "What the style of the library does not want; else empty."),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
    category=PROMPT_CATEGORY,
)
