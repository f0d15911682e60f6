"""`Node` describes a ComfyUI node once; `v3_class` and `v1_class` draw it for the API that ComfyUI has.

Here lives what ComfyUI's two node APIs want to be told. Not here: what any node does (`nodes`), talking to servers and
browsers (`bridge`).
"""

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import pictures, running

CATEGORY = "XDev/LLM/Integration"
PROMPT_CATEGORY = "XDev/Prompt"
DEVELOPMENT_CATEGORY = "XDev/Development"

# The kind of a socket that takes or gives anything.
ANYTHING = "*"


class _Anything(str):
    """`_Anything` is the kind `*` for the V1 API: ComfyUI compares kinds with `!=`, and this one differs from none."""

    def __ne__(self, other):
        return False


@dataclass(frozen=True)
class Input:
    """`Input` is one socket or widget; `options` go to the front end as they are, under the names ComfyUI has for them.

    `choices` makes it a COMBO; it may be a function, because a user's own presets are read when they are asked for.
    """

    name: str
    kind: str
    tooltip: str
    default: Any = None
    optional: bool = False
    choices: Callable[[], list[str]] | list[str] | None = None
    options: dict[str, Any] | Callable[[], dict[str, Any]] = field(default_factory=dict)

    @property
    def is_asked_for(self):
        """Whether something of it is known only when it is asked for."""
        return callable(self.choices) or callable(self.options)

    def all_options(self):
        """Every option but `choices`, as ComfyUI's /object_info shows them."""
        options = self.options() if callable(self.options) else self.options
        default = {} if self.default is None else {"default": self.default}
        return {"tooltip": self.tooltip, **default, **options}

    def all_choices(self):
        """The values of a COMBO."""
        return list(self.choices() if callable(self.choices) else self.choices)


@dataclass(frozen=True)
class Output:
    """`Output` is one socket on the right."""

    name: str
    kind: str
    tooltip: str
    # What hangs on it runs once for each item.
    is_list: bool = False


@dataclass(frozen=True)
class Outcome:
    """`Outcome` is what a run gives: a value for each output, and what the node's own panel shows.

    `kept` are values of widgets for the workflow that pictures of this run are saved with; see `Node.keeps`.
    """

    values: tuple
    shown: dict[str, Any] | None = None
    kept: dict[str, Any] | None = None

    @property
    def ui(self):
        """The panel's content, as ComfyUI keeps it with the cached result."""
        return None if self.shown is None else {"xdev_llm": [self.shown]}


@dataclass(frozen=True)
class Node:
    """`Node` is a node: what it looks like, and the functions behind it.

    `run(node_id, **values)` gives an `Outcome`, or is a coroutine function that does. `check(**values)` says in words
    what is wrong before anything runs, or "". `fingerprint(node_id, **values)` may be a coroutine function; while its
    value stays the same, ComfyUI uses the last result again. In both, an input that is linked is None, and an optional
    input that is absent is missing.
    """

    node_id: str
    name: str
    description: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    run: Callable
    check: Callable[..., str] | None = None
    fingerprint: Callable | None = None
    category: str = CATEGORY
    # Whether its outcomes have `kept`. All its inputs are widgets then.
    keeps: bool = False


def v3_class(node, io):
    """Draws a node with ComfyUI's V3 API, `comfy_api.latest.io`."""
    # ComfyUI asks for the schema several times in each run of a node: what never changes is drawn once.
    drawn = {given.name: _v3_input(given, io) for given in node.inputs if not given.is_asked_for}

    def define_schema(cls):
        return io.Schema(
            node_id=node.node_id,
            display_name=node.name,
            category=node.category,
            description=node.description,
            inputs=[drawn.get(given.name) or _v3_input(given, io) for given in node.inputs],
            outputs=[_v3_output(given, io) for given in node.outputs],
            # So that a node works alone, without one that shows its text.
            is_output_node=True,
            hidden=[io.Hidden.extra_pnginfo] if node.keeps else [],
        )

    def finish(cls, outcome):
        if outcome.kept:
            pictures.keep(node, _node_id(), outcome.kept, cls.hidden.extra_pnginfo)
        return io.NodeOutput(*outcome.values, ui=outcome.ui)

    # In V3 a hidden unique_id does not reach every method, and ComfyUI's own context does.
    if inspect.iscoroutinefunction(node.run):

        async def execute(cls, **values):
            return finish(cls, await node.run(_node_id(), **values))
    else:

        def execute(cls, **values):
            return finish(cls, node.run(_node_id(), **values))

    body = {"define_schema": classmethod(define_schema), "execute": classmethod(execute)}
    if node.check:
        body["validate_inputs"] = classmethod(lambda cls, **values: _checked(node, values))
    if node.fingerprint:
        if inspect.iscoroutinefunction(node.fingerprint):

            async def fingerprint(cls, **values):
                return await node.fingerprint(_node_id(), **values)
        else:

            def fingerprint(cls, **values):
                return node.fingerprint(_node_id(), **values)

        body["fingerprint_inputs"] = classmethod(fingerprint)
    return type(node.node_id, (io.ComfyNode,), body)


def v1_class(node):
    """Draws a node for a ComfyUI without the V3 API: its coroutines are run to their end where they are called."""

    def input_types(cls):
        types = {"required": {}, "optional": {}, "hidden": {"unique_id": "UNIQUE_ID"}}
        if node.keeps:
            types["hidden"]["extra_pnginfo"] = "EXTRA_PNGINFO"
        for given in node.inputs:
            kind = given.all_choices() if given.choices is not None else _v1_kind(given)
            types["optional" if given.optional else "required"][given.name] = (kind, given.all_options())
        return types

    def execute(self, unique_id=None, extra_pnginfo=None, **values):
        with running.called():
            outcome = _to_its_end(node.run(unique_id, **values))
        if outcome.kept:
            pictures.keep(node, unique_id, outcome.kept, extra_pnginfo)
        if outcome.ui is None:
            return outcome.values
        return {"ui": outcome.ui, "result": outcome.values}

    body = {
        "INPUT_TYPES": classmethod(input_types),
        "RETURN_TYPES": tuple(_v1_kind(given) for given in node.outputs),
        "RETURN_NAMES": tuple(given.name for given in node.outputs),
        "OUTPUT_IS_LIST": tuple(given.is_list for given in node.outputs),
        "OUTPUT_TOOLTIPS": tuple(given.tooltip for given in node.outputs),
        "FUNCTION": "execute",
        "CATEGORY": node.category,
        "DESCRIPTION": node.description,
        "OUTPUT_NODE": True,
        "execute": execute,
    }
    if node.check:
        body["VALIDATE_INPUTS"] = classmethod(
            lambda cls, unique_id=None, extra_pnginfo=None, **values: _checked(node, values)
        )
    if node.fingerprint:
        body["IS_CHANGED"] = classmethod(
            lambda cls, unique_id=None, extra_pnginfo=None, **values: _to_its_end(
                node.fingerprint(unique_id, **values)
            )
        )
    return type(node.node_id, (), body)


def _v1_kind(given):
    return _Anything(given.kind) if given.kind == ANYTHING else given.kind


def _v3_input(given, io):
    if given.choices is not None:
        drawn = io.Combo.Input(given.name, options=given.all_choices(), optional=given.optional)
    else:
        kinds = {"STRING": io.String, "INT": io.Int, "FLOAT": io.Float, "BOOLEAN": io.Boolean}
        kind = kinds.get(given.kind) or io.Custom(given.kind)
        drawn = kind.Input(given.name, optional=given.optional)
    # Which options a class takes by name differs between ComfyUI's versions; the rest is passed on as it is.
    for option, value in given.all_options().items():
        name = {"dynamicPrompts": "dynamic_prompts"}.get(option, option)
        if hasattr(drawn, name):
            setattr(drawn, name, value)
        else:
            drawn.extra_dict[option] = value
    return drawn


def _v3_output(given, io):
    kind = io.String if given.kind == "STRING" else io.Custom(given.kind)
    return kind.Output(display_name=given.name, tooltip=given.tooltip, is_output_list=given.is_list)


def _checked(node, values):
    """Says yes, or raises: ComfyUI repeats a text that is returned once for each input of the node."""
    wrong = node.check(**values)
    if wrong:
        raise ValueError(wrong)
    return True


def _node_id():
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    return context.node_id if context else None


def _to_its_end(result):
    """Waits for a coroutine's value. Versions of ComfyUI with async nodes call this from a thread with a loop of its
    own, where a second loop must have a thread of its own."""
    if not inspect.iscoroutine(result):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(result)
    from concurrent.futures import ThreadPoolExecutor

    # The context goes along: in it stands which node and which item of a list this is.
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(context.run, asyncio.run, result).result()
