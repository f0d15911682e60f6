"""The inputs that several nodes have, so that a widget is called and explained alike everywhere.

Not here: inputs of one node alone.
"""

import json

import xdev_llm

from .. import bridge
from ..schema import Input

# The Sampling node's wire.
SAMPLING_KIND = "XDEV_LLM_SAMPLING"

# The options of a widget for text. ComfyUI's own dynamic prompts would cut URLs and the braces of JSON.
TEXT = {"multiline": True, "dynamicPrompts": False}

MODEL = Input(
    "model",
    "STRING",
    "The model's id, or an alias from your xdev-llm config, which goes to its own servers, whatever server_url says. \"auto\" takes the one that is loaded. A name that is not in the list is kept and tried.",
    default="auto",
    options={"xdev_llm_models": "server_url"},
)


def server_url(default, optional=False):
    """The widget that names a server."""
    return Input(
        "server_url",
        "STRING",
        "Where the model server is: a URL such as http://localhost:1234 (LM Studio) or http://localhost:11434 (Ollama), "
        "or a name from your xdev-llm config, which also holds the server's key. Empty: the one of your config, else the first found.",
        default=default,
        optional=optional,
    )


PRESET = Input(
    "preset",
    "COMBO",
    "How freely the model writes. Choosing one sets temperature, top_p and max_tokens below; numbers you then change win. "
    "\"custom\" leaves them as they are.",
    default="balanced",
    choices=lambda: list(bridge.presets()),
    options=lambda: {"xdev_llm_presets": numbers_of_presets()},
)
TEMPERATURE = Input(
    "temperature",
    "FLOAT",
    "Randomness: 0 always takes the likeliest word, 2 is very random.",
    default=0.7,
    optional=True,
    options={"min": 0.0, "max": 2.0, "step": 0.05, "round": 0.001},
)
MAX_TOKENS = Input(
    "max_tokens",
    "INT",
    "The longest answer, in tokens. Thinking counts too.",
    default=1024,
    optional=True,
    options={"min": 1, "max": 8192},
)
TOP_P = Input(
    "top_p",
    "FLOAT",
    "Nucleus sampling: only the likeliest words that together have this probability.",
    default=0.8,
    optional=True,
    options={"min": 0.0, "max": 1.0, "step": 0.05, "round": 0.001},
)
TOP_K = Input(
    "top_k",
    "INT",
    "Only this many of the likeliest words. 0: not sent, the server decides.",
    default=0,
    optional=True,
    options={"min": 0, "max": 1000},
)
MIN_P = Input(
    "min_p",
    "FLOAT",
    "Only words at least this likely, compared with the likeliest. 0: not sent, the server decides.",
    default=0.0,
    optional=True,
    options={"min": 0.0, "max": 1.0, "step": 0.01, "round": 0.001},
)
STOP = Input(
    "stop",
    "STRING",
    "Texts that end the answer, one a line; they are not part of it.",
    default="",
    optional=True,
    options=TEXT,
)

AUTO_DETECT_SERVER = Input(
    "auto_detect_server",
    "BOOLEAN",
    "If nothing at all answers at server_url, look for a model server on this machine and use it; the node says which. "
    "A server that answers is never replaced.",
    default=True,
    optional=True,
)
VALIDATE_INPUT = Input(
    "validate_input",
    "BOOLEAN",
    "Look at all fields when you press Queue, and name every wrong one. Off: they are looked at when the node runs.",
    default=True,
    optional=True,
)
DIALECT = Input(
    "dialect",
    "COMBO",
    "What brackets mean. comfyui: a weight that is written is absolute. a1111: brackets multiply, and square ones weaken.",
    default="comfyui",
    optional=True,
    choices=["comfyui", "a1111"],
)

# Seconds that an answer, or the choice between asking and not asking, waits for what a server tells of itself.
PATIENCE = 2

# Widgets whose 0 means that nothing is sent.
_ZERO_IS_NOT_SENT = ("top_k", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty")


def server_of(values):
    """The server that a node's widgets name. An alias names its own, whatever stands in the widget."""
    return None if values.get("model") in bridge.aliases() else values.get("server_url") or None


def numbers_of_presets():
    """What each preset writes into the widgets."""
    shown = ("temperature", "top_p", "max_tokens", "top_k", "min_p")
    return {
        name: {key: value for key, value in preset.items() if key in shown}
        for name, preset in bridge.presets().items()
    }


def sampling_from(values):
    """The sampling that widgets ask for, under the engine's names; what is not sent is left out."""
    names = (
        "temperature", "max_tokens", "top_p", "top_k", "min_p", "stop",
        "presence_penalty", "frequency_penalty", "repeat_penalty",
    )  # fmt: skip
    sampling = {name: values[name] for name in names if values.get(name) is not None}
    for name in _ZERO_IS_NOT_SENT:
        if sampling.get(name) == 0:
            del sampling[name]
    if "stop" in sampling:
        sampling["stop"] = [line for line in sampling["stop"].splitlines() if line.strip()]
        if not sampling["stop"]:
            del sampling["stop"]
    return sampling


def keys_in(values):
    """The fields that hold what looks like a key, each with what to do."""
    return [
        (name, "this looks like a key. Workflows and pictures keep what stands here: put the key into your xdev-llm config.")
        for name, value in values.items()
        if isinstance(value, str) and xdev_llm.looks_like_key(value)
    ]


def unknown_choices(inputs, values):
    """The fields whose value is none of their choices: ComfyUI leaves fields alone that a node checks itself."""
    return [
        (given.name, f'"{values[given.name]}" is none of: {", ".join(given.choices)}.')
        for given in inputs
        if isinstance(given.choices, list) and given.name in values and values[given.name] not in given.choices
    ]


def out_of_range(inputs, values):
    """The fields whose number is outside of their bounds, which ComfyUI does not check for the same reason."""
    problems = []
    for given in inputs:
        value = values.get(given.name)
        if given.kind not in ("INT", "FLOAT") or value is None or callable(given.options):
            continue
        lowest, highest = given.options.get("min", value), given.options.get("max", value)
        # The negation, because NaN compares with nothing.
        if not lowest <= value <= highest:
            problems.append((given.name, f"{value} is not between {lowest} and {highest}."))
    return problems


def in_words(problems):
    """All bad fields as one text, or ""."""
    return "\n".join(f"{field}: {message}" for field, message in problems)


def wrong_fields(inputs, values):
    """Every bad field of a node that has only widgets, in words; without validate_input only what must never be kept."""
    given = {name: value for name, value in values.items() if value is not None}
    problems = keys_in(given)
    if given.get("validate_input", True):
        problems += unknown_choices(inputs, given) + out_of_range(inputs, given)
    return in_words(problems)


def as_json(value):
    """JSON as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def listed(info, models=None):
    """A line for each model, the loaded ones marked."""
    states = {"loaded": "loaded", "loading": "loading"}
    models = info.models if models is None else models
    return [f"- {model.id}" + (f" ({states[model.state]})" if model.state in states else "") for model in models]


async def state_of(server):
    """What changes when a server, its health or its models do: the fingerprint of nodes that show them."""
    try:
        info = await bridge.look(bridge.client().server(server or None, fresh=True), PATIENCE)
    except (xdev_llm.Error, TimeoutError) as error:
        return str(error)
    return json.dumps([info.url, info.health, [model.as_dict() for model in info.models]], sort_keys=True)
