"""Prompts in ComfyUI's API format, as small as a test needs them.

Not here: any test.
"""

CHAT = "XDEV_LMStudioChat"
# The nodes that show each output of the chat of `chat`.
RESPONSE, CONVERSATION, INFO, STATS, REASONING = SHOWN = (
    "response",
    "conversation",
    "info",
    "stats",
    "reasoning",
)


def node(kind, /, **inputs):
    """A node."""
    return {"class_type": kind, "inputs": inputs}


def chat(server, /, **widgets):
    """A chat, named `chat`, with a preview of each of its outputs; it has only the widgets that are given."""
    url = server if isinstance(server, str) else server.url
    inputs = {"prompt": "Hello", "server_url": url, "model": "auto", "preset": "balanced", **widgets}
    graph = {"chat": node(CHAT, **inputs)}
    for index, name in enumerate(SHOWN):
        graph[name] = node("PreviewAny", source=["chat", index])
    return graph


def defaults(client, kind, /, **changes):
    """A node with every widget as the front end would first show it."""
    inputs = {}
    entry = client.get(f"/object_info/{kind}")[kind]["input"]
    for category in ("required", "optional"):
        for name, (type_name, *rest) in entry.get(category, {}).items():
            options = rest[0] if rest else {}
            choices = type_name if isinstance(type_name, list) else options.get("options")
            if choices:
                inputs[name] = options.get("default", choices[0])
            elif type_name in ("STRING", "INT", "FLOAT", "BOOLEAN") and not options.get("forceInput"):
                inputs[name] = options["default"]
    return node(kind, **{**inputs, **changes})


def outputs_of(kind, count, entry):
    """A prompt of a node, named `node`, with a preview of each of its outputs, named 0, 1, ..."""
    return {
        "node": entry,
        **{str(index): node("PreviewAny", source=["node", index]) for index in range(count)},
    }


def events(client, node_id="chat"):
    """What the pack told the browser of a node, in order."""
    found = [message.data for message in client.messages if message.kind == "xdev_llm"]
    return [data for data in found if data["node"] == node_id]


def streamed(client, key="text", node_id="chat"):
    """The deltas of a node, joined."""
    return "".join(data.get(key, "") for data in events(client, node_id))
