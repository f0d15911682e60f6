"""Person Builder: a person out of categories, as a prompt or added to one.

Not here: which words there are and what goes with what (the engine).
"""

from ..schema import PROMPT_CATEGORY, Input, Node, Outcome, Output
from . import building, shared

CATEGORIES = (
    "age",
    "gender",
    "expression",
    "hair_color",
    "hair_style",
    "eye_color",
    "pose",
    "clothing",
    "archetype",
)


def _category(name, tooltip, default="auto"):
    return building.category(name, tooltip, "person_categories", default)


INPUTS = (
    _category("age", "How old. auto: drawn if randomize_traits is on, else nothing is said.", "young_adult"),
    _category("gender", "Woman, man or androgynous. auto: drawn, or nothing is said."),
    _category("expression", "The face. auto: what suits the archetype, or drawn."),
    _category("hair_color", "The color of the hair. auto: drawn, or nothing is said."),
    _category("hair_style", "How the hair is worn. auto: drawn, or nothing is said."),
    _category("eye_color", "The color of the eyes. auto: drawn, or nothing is said."),
    _category("pose", "What the body does. auto: what suits the archetype, or drawn."),
    _category("clothing", "What is worn. auto: what suits the archetype, or drawn."),
    _category("archetype", "The kind of character. auto: drawn, or nothing is said.", "explorer"),
    Input(
        "custom_traits",
        "STRING",
        "Words of your own, at the end of the person.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    Input(
        "add_quality",
        "BOOLEAN",
        "Add three terms of quality, such as natural proportions.",
        default=False,
        optional=True,
    ),
    Input(
        "randomize_traits",
        "BOOLEAN",
        "Draw what is auto with the seed. Off: auto takes what suits the archetype, or nothing.",
        default=False,
        optional=True,
    ),
    building.seed(),
    shared.VALIDATE_INPUT,
    Input(
        "prompt",
        "STRING",
        "The prompt that the person is added to. Nothing is added to it by auto that contradicts what it says.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    building.position("person"),
)


def _build(values):
    from xdev_llm import prompt

    return prompt.person(
        building.chosen(CATEGORIES, values),
        prompt=values.get("prompt", ""),
        position=values.get("position", "after"),
        custom=values.get("custom_traits", ""),
        quality=values.get("add_quality", False),
        randomize=values.get("randomize_traits", False),
        seed=building.seed_of(values),
    )


def run(node_id, **values):
    """Gives the person, and says what was taken."""
    built = _build(values)
    info = building.summary(built)
    report = "\n\n".join(part for part in (built["prompt"], info) if part)
    return Outcome((built["prompt"], info, building.breakdown(built)), {"report": report})


def check(**values):
    """Every bad field, in words."""
    return building.check(INPUTS, CATEGORIES, "person_categories", values)


def fingerprint(node_id, **values):
    """Changes with the user's own files, and always for the seed -1."""
    return building.fingerprint(_build, values)


PERSON_BUILDER = Node(
    node_id="XDEV_PersonBuilder",
    name="Person Builder (XDev)",
    description="Describes a person of age, face, hair, clothes and pose whose parts never contradict each other.",
    inputs=INPUTS,
    outputs=(
        Output("person_prompt", "STRING", "The person; with a prompt, the prompt with the person in it."),
        Output("template_info", "STRING", "What was chosen, the seed, and what was left out because it contradicts something."),
        Output("trait_summary", "STRING", "Each category with the words that were taken, a line each."),
    ),
    run=run,
    check=check,
    fingerprint=fingerprint,
    category=PROMPT_CATEGORY,
)
