"""What the host asks of a node class, of either API: its inputs, its call, its overrides.

Not here: running, checking or caching.
"""

import importlib.util
import inspect

from comfy_execution.graph_utils import is_link

HAS_V3 = importlib.util.find_spec("comfy_api") is not None
if HAS_V3:
    from comfy_api.latest import _io


def is_v3(node_class):
    """Whether a class was written for the V3 API."""
    return HAS_V3 and isinstance(node_class, type) and issubclass(node_class, _io.ComfyNode)


def method_name(node_class, v1, v3):
    """The name of an optional method where the class has its own, else None."""
    if not is_v3(node_class):
        return v1 if hasattr(node_class, v1) else None
    own = getattr(node_class, v3).__func__ is not getattr(_io.ComfyNode, v3).__func__
    return v3 if own else None


def is_async(node_class):
    """Whether the node's main method is a coroutine function."""
    return inspect.iscoroutinefunction(getattr(node_class, node_class.FUNCTION))


def is_output(node_class):
    """Whether a prompt may end in this node."""
    return getattr(node_class, "OUTPUT_NODE", False) is True


def has_own_identity(node_class):
    """Whether two nodes alike still are two: V1 nodes that ask for their id, and those that say so."""
    if getattr(node_class, "NOT_IDEMPOTENT", False):
        return True
    # A V3 class lists hidden inputs as tuples, which ComfyUI's comparison does not find.
    return "UNIQUE_ID" in node_class.INPUT_TYPES().get("hidden", {}).values()


def find_input(declared, name):
    """The type, the category and the options of an input, or None."""
    for category in ("required", "optional", "hidden"):
        if name in declared.get(category, {}):
            entry = declared[category][name]
            return entry[0], category, entry[1] if len(entry) > 1 else {}
    return None


def gather_inputs(node, node_id, node_class, outputs=None, prompt=None, extra_data=None):
    """The inputs of a call, each a list of items, and the hidden values a V3 class asks for.

    `outputs` is a function from a node's id to its outputs; without it every link is None.
    """
    declared = node_class.INPUT_TYPES()
    values = {}
    for name, value in node["inputs"].items():
        found = find_input(declared, name)
        if is_link(value) and not (found and found[2].get("rawLink")):
            source = outputs(value[0]) if outputs else None
            linked = source is not None and value[1] < len(source)
            values[name] = source[value[1]] if linked else (None,)
        elif found:
            values[name] = [value]
    known = {
        "PROMPT": prompt if prompt is not None else {},
        "DYNPROMPT": None,
        "EXTRA_PNGINFO": (extra_data or {}).get("extra_pnginfo"),
        "UNIQUE_ID": node_id,
        "AUTH_TOKEN_COMFY_ORG": None,
        "API_KEY_COMFY_ORG": None,
    }
    if is_v3(node_class):
        asked = node_class.FINALIZE_SCHEMA().hidden or []
        return values, {hidden: known[hidden.value] for hidden in asked}
    for name, kind in declared.get("hidden", {}).items():
        if kind in known:
            values[name] = [known[kind]]
    return values, {}


def bind(target, name, hidden):
    """The function to call: a method of a V1 object, or of a locked clone of a V3 class."""
    node_class = target if isinstance(target, type) else type(target)
    if not is_v3(node_class):
        return getattr(target, name)
    node_class.VALIDATE_CLASS()
    return getattr(_io.clone_and_lock(node_class, hidden), name)


def describe(name, node_class, display_names):
    """A class's entry in /object_info."""
    if is_v3(node_class):
        return node_class.GET_NODE_INFO_V1()
    inputs = node_class.INPUT_TYPES()
    outputs = node_class.RETURN_TYPES
    entry = {
        "input": inputs,
        "input_order": {category: list(entries) for category, entries in node_class.INPUT_TYPES().items()},
        "output": outputs,
        "output_is_list": getattr(node_class, "OUTPUT_IS_LIST", [False] * len(outputs)),
        "output_name": getattr(node_class, "RETURN_NAMES", outputs),
        "name": name,
        "display_name": display_names.get(name, name),
        "description": getattr(node_class, "DESCRIPTION", ""),
        "python_module": getattr(node_class, "RELATIVE_PYTHON_MODULE", "nodes"),
        "category": getattr(node_class, "CATEGORY", "sd"),
        "output_node": is_output(node_class),
    }
    if hasattr(node_class, "OUTPUT_TOOLTIPS"):
        entry["output_tooltips"] = node_class.OUTPUT_TOOLTIPS
    for attribute in ("DEPRECATED", "EXPERIMENTAL"):
        if getattr(node_class, attribute, False):
            entry[attribute.lower()] = True
    if hasattr(node_class, "API_NODE"):
        entry["api_node"] = node_class.API_NODE
    return entry
