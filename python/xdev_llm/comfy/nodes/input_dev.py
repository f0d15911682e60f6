"""InputDev: a value of any type that ComfyUI knows, to try a workflow with.

Not here: how the values are made (`samples`).
"""

import xdev_llm

from .. import samples
from ..inspection import describe
from ..samples import plain
from ..schema import ANYTHING, DEVELOPMENT_CATEGORY, Input, Node, Outcome, Output
from . import shared

KINDS = (
    "STRING", "INT", "FLOAT", "BOOLEAN", "IMAGE", "LATENT", "MASK", "MODEL", "CONDITIONING", "LIST", "DICT", "JSON",
    "AUDIO", "VIDEO", "SIGMAS", "NOISE", "SAMPLER",
)  # fmt: skip

INPUTS = (
    Input("output_type", "COMBO", "The type of the value.", default="STRING", choices=list(KINDS)),
    Input(
        "output_mode",
        "COMBO",
        "simple: the same plain value each time. realistic: a plausible one, drawn by the seed. stress_test: one that "
        "broken programs stumble over, such as odd characters, NaN or infinity.",
        default="realistic",
        choices=list(samples.MODES),
    ),
    Input(
        "custom_value",
        "STRING",
        "A value of your own in place of a made one, for STRING, INT, FLOAT, BOOLEAN, LIST, DICT and JSON; the last three "
        "as JSON. Empty: one is made.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    Input(
        "size_parameter",
        "INT",
        "How large: the edge of IMAGE, MASK, VIDEO and (eight times) LATENT in pixels, the characters of STRING, the items of LIST, "
        "DICT and JSON, the tokens of CONDITIONING, the hundredths of a second of AUDIO, the steps of SIGMAS, and the most "
        "that a realistic INT or FLOAT can be.",
        default=256,
        optional=True,
        options={"min": 1, "max": 4096},
    ),
    Input(
        "seed",
        "INT",
        "Decides what is drawn: the same seed gives the same value on every machine.",
        default=0,
        optional=True,
        options={"min": 0, "max": 2_147_483_647, "control_after_generate": True},
    ),
    Input(
        "batch_size",
        "INT",
        "How many pictures, masks, latents, conditionings or sounds are in one value; the frames of VIDEO, eight a second.",
        default=1,
        optional=True,
        options={"min": 1, "max": 64},
    ),
    Input(
        "quality_factor",
        "FLOAT",
        "1 is clean. Less adds noise to pictures, masks, latents, sound and schedules, typing errors to text, and gaps to lists and "
        "dicts.",
        default=1.0,
        optional=True,
        options={"min": 0.0, "max": 1.0, "step": 0.05, "round": 0.001},
    ),
    Input(
        "include_metadata",
        "BOOLEAN",
        "Whether metadata tells what was made; off, it is an empty text.",
        default=True,
        optional=True,
    ),
)
_DEFAULTS = {given.name: given.default for given in INPUTS}


def run(node_id, **values):
    """Makes the value, or reads the one that was typed, and says what it is."""
    given = {**_DEFAULTS, **values}
    kind = given["output_type"]
    problem = check(**given)
    if problem:
        # What is linked is known only now.
        raise xdev_llm.InvalidInput(problem)
    is_typed = bool(given["custom_value"].strip())
    value = plain.read(kind, given["custom_value"]) if is_typed else _make(given)
    told = describe("data", value, "summary")
    metadata = {
        "type": kind,
        "source": "custom_value" if is_typed else given["output_mode"],
        "value": told["headline"],
    }
    if not is_typed:
        metadata.update({name: given[name] for name in ("seed", "size_parameter", "batch_size", "quality_factor")})
    text = shared.as_json(metadata)
    return Outcome((value, text if given["include_metadata"] else ""), {"report": text})


def _make(given):
    request = samples.Request(
        kind=given["output_type"],
        mode=given["output_mode"],
        size=given["size_parameter"],
        seed=given["seed"],
        batch=given["batch_size"],
        quality=given["quality_factor"],
    )
    try:
        return samples.make(request)
    except ImportError as error:
        raise xdev_llm.InvalidInput(
            f"output_type: {request.kind} needs {error.name or 'a module'}, which cannot be imported here ({error}).",
            hint="Choose another type, or run it in a full ComfyUI.",
        ) from error


def check(**values):
    """Every bad field, in words."""
    given = {name: value for name, value in values.items() if value is not None}
    problems = shared.unknown_choices(INPUTS, given) + shared.out_of_range(INPUTS, given)
    kind, typed = given.get("output_type"), given.get("custom_value")
    if kind in KINDS and typed and typed.strip():
        try:
            plain.read(kind, typed)
        except ValueError as error:
            problems.append(("custom_value", str(error)))
    return shared.in_words(problems)


INPUT_DEV = Node(
    node_id="XDEV_InputDev",
    name="InputDev (XDev)",
    description="Makes a value of any type, plain, plausible or nasty, to try a workflow with.",
    inputs=INPUTS,
    outputs=(
        Output("data", ANYTHING, "The value. It fits every input; whether it is what that input wants is up to output_type."),
        Output("metadata", "STRING", "What was made, as JSON."),
    ),
    run=run,
    check=check,
    category=DEVELOPMENT_CATEGORY,
)
