"""What the host remembers of earlier prompts: outputs and shown values, by what a node and all before it are.

The key is the class, the fingerprint and the inputs of a node and of its ancestors. A NaN is equal to itself
only where it is the same object, so that a fingerprint of math.nan is remembered and float("nan") is not.
"""

import logging

import nodes
from comfy_execution.graph_utils import ExecutionBlocker, is_link

from contract_host import classes
from contract_host.calls import call_mapped, settle


class Cache:
    """Outputs and shown values of the nodes of the last prompt."""

    def __init__(self):
        self.keys = {}
        self.outputs = {}
        self.shown = {}
        self.objects = {}

    async def begin(self, prompt_id, prompt):
        """Computes the keys of a prompt's nodes and forgets what none of them names."""
        fingerprints = {
            node_id: await fingerprint(prompt_id, node_id, node) for node_id, node in prompt.items()
        }
        self.keys = {node_id: signature(prompt, node_id, fingerprints) for node_id in prompt}
        named = set(self.keys.values())
        self.outputs = {key: value for key, value in self.outputs.items() if key in named}
        self.shown = {key: value for key, value in self.shown.items() if key in named}
        here = {(node_id, node["class_type"]) for node_id, node in prompt.items()}
        self.objects = {key: value for key, value in self.objects.items() if key in here}

    def output(self, node_id):
        """A node's outputs, or None."""
        return self.outputs.get(self.keys.get(node_id))

    def object(self, node_id, class_type):
        """The object of a node, kept as long as the node stays in the prompt."""
        key = (node_id, class_type)
        if key not in self.objects:
            self.objects[key] = nodes.NODE_CLASS_MAPPINGS[class_type]()
        return self.objects[key]


async def fingerprint(prompt_id, node_id, node):
    """What the class says of the node's constant inputs; False where it says nothing, NaN where it fails."""
    node_class = nodes.NODE_CLASS_MAPPINGS[node["class_type"]]
    method = classes.method_name(node_class, "IS_CHANGED", "fingerprint_inputs")
    if method is None:
        return False
    inputs, _ = classes.gather_inputs(node, node_id, node_class)
    try:
        answers = await settle(await call_mapped(prompt_id, node_id, node_class, inputs, method))
    except Exception as error:
        logging.warning("%s of node %s failed: %s", method, node_id, error)
        return float("nan")
    return [None if isinstance(answer, ExecutionBlocker) else answer for answer in answers]


def signature(prompt, node_id, fingerprints):
    """The key of a node: its own part, then those of its ancestors in the order they are found."""
    order = {}

    def walk(current):
        for name in sorted(prompt[current]["inputs"]):
            value = prompt[current]["inputs"][name]
            if is_link(value) and value[0] not in order and value[0] in prompt:
                order[value[0]] = len(order)
                walk(value[0])

    walk(node_id)
    return tuple(own_part(prompt, current, order, fingerprints) for current in [node_id, *order])


def own_part(prompt, node_id, order, fingerprints):
    """A node's part of a key."""
    node = prompt[node_id]
    parts = [node["class_type"], hashable(fingerprints[node_id])]
    if classes.has_own_identity(nodes.NODE_CLASS_MAPPINGS[node["class_type"]]):
        parts.append(node_id)
    for name in sorted(node["inputs"]):
        value = node["inputs"][name]
        if is_link(value):
            parts.append((name, "link", order.get(value[0]), value[1]))
        else:
            parts.append((name, hashable(value)))
    return tuple(parts)


def hashable(value):
    """The value as something a key can hold; what cannot be compared is equal to nothing."""
    if value is None or isinstance(value, (int, float, str, bool)):
        return value
    if isinstance(value, dict):
        return tuple((name, hashable(item)) for name, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(hashable(item) for item in value)
    return object()
