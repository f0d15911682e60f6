"""OutputDev: shows up to three values of any type in the node, compares them, and saves them.

Not here: what is said of a value (`inspection`), how it is drawn (`web/inspection.js`).
"""

from itertools import combinations

from .. import bridge
from ..inspection import LEVELS, compare, describe, save, trees
from ..schema import ANYTHING, DEVELOPMENT_CATEGORY, Input, Node, Outcome
from . import shared

_NAMES = ("input_1", "input_2", "input_3")

INPUTS = (
    Input(_NAMES[0], ANYTHING, "What is shown: text, numbers, pictures, latents, models, anything."),
    Input(_NAMES[1], ANYTHING, "A second value, shown below the first and compared with it.", optional=True),
    Input(_NAMES[2], ANYTHING, "A third value, shown below the others and compared with them.", optional=True),
    Input(
        "display_level",
        "COMBO",
        "summary: a line or two. detailed: text, trees, histograms. full: far longer texts and trees, four pictures of a "
        "batch, the attributes of objects.",
        default="detailed",
        choices=list(LEVELS),
        optional=True,
    ),
    Input(
        "save_to_file",
        "BOOLEAN",
        "Also writes the values into ComfyUI's output folder, under new names each time: text, JSON, pictures as PNG. What "
        "is unchanged is not run again, and so not written again.",
        default=False,
        optional=True,
    ),
    Input(
        "compare_inputs",
        "BOOLEAN",
        "Says of each two values whether they are equal, and shows where they differ.",
        default=False,
        optional=True,
    ),
)


def run(node_id, **values):
    """Looks at the values, and shows what there is to say."""
    given = [(name, values[name]) for name in _NAMES if name in values]
    level = values.get("display_level", "detailed")
    described = [describe(name, value, level) for name, value in given]
    compared = []
    if values.get("compare_inputs"):
        compared = [compare(*one, *other) for one, other in combinations(given, 2)]
    saved = save(given) if values.get("save_to_file") else []
    summary = in_words(described, compared, saved)
    bridge.show_plain(node_id, summary)
    return Outcome((), {"inspection": {"summary": summary, "values": described, "compared": compared, "saved": saved}})


def in_words(described, compared, saved):
    """All that is shown as plain text: for the clipboard, and where our JavaScript is not."""
    found = []
    for told in described:
        found.append(f"{told['name']}: {told['headline']}")
        found += [f"  {name}: {fact}" for name, fact in told["facts"] if name != "class"]
        if told.get("problem"):
            found.append(f"  {told['problem']}")
        if "tree" in told:
            found += [f"  {line}" for line in trees.lines(told["tree"])]
        elif "text" in told:
            found += [f"  {line}" for line in told["text"].splitlines()]
        if told.get("cut"):
            found.append(f"  … {told['cut']} more characters")
    for pair in compared:
        found.append(f"{' and '.join(pair['names'])}: {pair['told']}")
        marks = {"same": "  ", "gone": "- ", "new": "+ ", "skipped": "… "}
        for kind, part in pair.get("diff", []):
            found += [f"  {marks[kind]}{line}" for line in part.splitlines()]
    return "\n".join([*found, *(f"Saved: {path}" for path in saved)])


def check(**values):
    """Every bad field, in words."""
    given = {name: value for name, value in values.items() if value is not None}
    return shared.in_words(shared.unknown_choices(INPUTS, given))


OUTPUT_DEV = Node(
    node_id="XDEV_OutputDev",
    name="OutputDev (XDev)",
    description="Shows values of any type in the node, compares up to three, and saves them if asked.",
    inputs=INPUTS,
    outputs=(),
    run=run,
    check=check,
    category=DEVELOPMENT_CATEGORY,
)
