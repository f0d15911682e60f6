"""Nodes of the V1 API that show what a host does with them. They load on every ComfyUI.

One node for each contract, named Probe...; the same prompts run on the contract host and on a real ComfyUI.
"""

import asyncio
import json
import math
import sys
import threading
import time
import urllib.error
import urllib.request

import comfy.model_management
import comfy.utils
from comfy_execution.graph import ExecutionBlocker

RUNS = {}


def count(name):
    """How often a name was counted."""
    RUNS[name] = RUNS.get(name, 0) + 1
    return RUNS[name]


class Node:
    """What most probes share."""

    CATEGORY = "probe"
    FUNCTION = "run"
    RETURN_TYPES = ("STRING",)
    OUTPUT_NODE = False
    INPUTS = {}

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": dict(cls.INPUTS)}


class ProbeList(Node):
    """Makes a list of texts, which is mapped over the nodes behind."""

    INPUTS = {"count": ("INT", {"default": 4, "min": 0, "max": 100}), "text": ("STRING", {"default": "item"})}
    OUTPUT_IS_LIST = (True,)

    def run(self, count, text):
        return ([f"{text} {index}" for index in range(count)],)


class ProbeSampler(Node):
    """Works for seconds without awaiting anything, as a sampler does; its steps end it on an interrupt."""

    INPUTS = {
        "seconds": ("FLOAT", {"default": 1.0}),
        "step": ("FLOAT", {"default": 0.02}),
        "seed": ("INT", {"default": 0}),
    }

    def run(self, seconds, step, seed):
        steps = max(1, int(seconds / step))
        bar = comfy.utils.ProgressBar(steps)
        for _ in range(steps):
            time.sleep(step)
            bar.update(1)
        return (f"sampled {seed}",)


class ProbeFail(Node):
    """Fails with this message."""

    INPUTS = {"message": ("STRING", {"default": "no"}), "source": ("STRING", {"forceInput": True})}

    def run(self, message, source):
        raise RuntimeError(message)


class ProbeBlock(Node):
    """Blocks what comes behind it, with a message or silently."""

    INPUTS = {"message": ("STRING", {"default": ""})}

    def run(self, message):
        return (ExecutionBlocker(message or None),)


class ProbeSink(Node):
    """Shows how often it ran, and with what."""

    INPUTS = {"source": ("STRING", {"forceInput": True})}
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    def run(self, source):
        return {"ui": {"text": [str(source)]}}


class ProbeChanged(Node):
    """Counts its runs under different fingerprints."""

    INPUTS = {
        "kind": (["constant", "new nan", "math.nan", "time", "raises"], {}),
        "name": ("STRING", {"default": "a"}),
    }

    @classmethod
    def IS_CHANGED(cls, kind, name):
        if kind == "raises":
            raise ValueError("no fingerprint")
        return {"constant": 1, "new nan": float("nan"), "math.nan": math.nan, "time": time.time()}[kind]

    def run(self, kind, name):
        return (f"{kind}: {count(kind + name)}",)


class ProbePlain(Node):
    """Counts its runs, without a fingerprint."""

    INPUTS = {"name": ("STRING", {"default": "a"})}

    def run(self, name):
        return (f"run {count('plain' + name)}",)


class ProbeValues(Node):
    """Gives values that are not text."""

    RETURN_TYPES = ("INT", "FLOAT", "BOOLEAN", "PROBE_LIST")

    def run(self):
        return (3, 0.5, True, ["a", 1])


class ProbeSeesLinks(Node):
    """Shows what its fingerprint was given for a linked input."""

    INPUTS = {"source": ("STRING", {})}
    seen = "nothing"

    @classmethod
    def IS_CHANGED(cls, source):
        ProbeSeesLinks.seen = repr(source)
        return float("nan")

    def run(self, source):
        return (ProbeSeesLinks.seen,)


class ProbeHidden(Node):
    """Shows the hidden id; two nodes alike are two."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {})}, "hidden": {"unique_id": "UNIQUE_ID"}}

    def run(self, name, unique_id):
        return (f"node {unique_id}, run {count('hidden' + name)}",)


class ProbeInputs(Node):
    """Has one input of each kind, and no checks of its own."""

    OUTPUT_NODE = True
    INPUTS = {
        "integer": ("INT", {"default": 3, "min": 1, "max": 5}),
        "number": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.1}),
        "choice": (["one", "two"], {"default": "one"}),
        "flag": ("BOOLEAN", {"default": True}),
        "text": ("STRING", {"multiline": True}),
    }
    DESCRIPTION = "Inputs of each kind."

    def run(self, **inputs):
        return {"ui": {"text": [repr(sorted(inputs.items()))]}, "result": ("done",)}


class ProbeChecks(ProbeInputs):
    """Checks some inputs itself, which takes the host's checks away from these."""

    @classmethod
    def VALIDATE_INPUTS(cls, integer, choice):
        if integer == 13:
            raise ValueError("unlucky")
        if integer == 12:
            return False
        return True if integer is None or integer < 10 else f"{integer} with {choice} is too many"


class ProbeChecksAll(ProbeInputs):
    """Takes all checks on itself."""

    @classmethod
    def VALIDATE_INPUTS(cls, **inputs):
        return "all of it" if inputs["text"] == "bad" else True


class ProbeThread(Node):
    """Shows in which thread and loop it runs."""

    def run(self):
        try:
            loop = asyncio.get_running_loop() is not None
        except RuntimeError:
            loop = False
        return (f"main thread: {threading.current_thread() is threading.main_thread()}, loop: {loop}",)


class ProbeText(Node):
    """Shows text on itself while it runs."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {})}, "hidden": {"unique_id": "UNIQUE_ID"}}

    def run(self, text, unique_id):
        from server import PromptServer

        server = PromptServer.instance
        server.send_progress_text(text, unique_id, sid=server.client_id)
        server.send_sync("probe", {"text": text}, server.client_id)
        return (text,)


class ProbeAsync(Node):
    """Sleeps without blocking, and looks for an interrupt in one of two ways."""

    INPUTS = {
        "text": ("STRING", {"default": ""}),
        "seconds": ("FLOAT", {"default": 0.2}),
        "ask": (["never", "clearing", "non-clearing"], {}),
    }

    async def run(self, text, seconds, ask):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.01)
            if ask == "clearing":
                comfy.model_management.throw_exception_if_processing_interrupted()
            if ask == "non-clearing" and comfy.model_management.processing_interrupted():
                raise comfy.model_management.InterruptProcessingException()
        return (f"{text} slept",)


class ProbeContext(Node):
    """Shows which node and item it is told to be."""

    INPUTS = {"text": ("STRING", {})}

    async def run(self, text):
        from comfy_execution.utils import get_executing_context

        await asyncio.sleep(0.01)
        context = get_executing_context()
        return (f"node {context.node_id}, item {context.list_index}",)


class ProbeAsyncFail(Node):
    """Fails after a time, as one of several async nodes."""

    INPUTS = {"seconds": ("FLOAT", {"default": 0.1}), "message": ("STRING", {"default": "no"})}

    async def run(self, seconds, message):
        await asyncio.sleep(seconds)
        raise RuntimeError(message)


class ProbeCancelled(Node):
    """Sleeps, and remembers whether it was cancelled."""

    INPUTS = {"seconds": ("FLOAT", {"default": 5.0}), "name": ("STRING", {})}

    async def run(self, seconds, name):
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            count("cancelled" + name)
            raise
        return ("not cancelled",)


class ProbeWasCancelled(Node):
    """How often a ProbeCancelled was cancelled."""

    INPUTS = {"name": ("STRING", {})}

    @classmethod
    def IS_CHANGED(cls, name):
        return float("nan")

    def run(self, name):
        return (str(RUNS.get("cancelled" + name, 0)),)


class ProbeLeak(Node):
    """Lets a CancelledError out, which no host survives."""

    INPUTS = {"source": ("STRING", {"forceInput": True})}

    async def run(self, source):
        await asyncio.sleep(0.01)
        raise asyncio.CancelledError()


class ProbeReads(Node):
    """Tells what a node can read of the prompt it runs in: the queue's entry, and what calls it."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {})}, "hidden": {"unique_id": "UNIQUE_ID"}}

    @classmethod
    def IS_CHANGED(cls, text, unique_id=None):
        return float("nan")

    def run(self, text, unique_id):
        from server import PromptServer

        server = PromptServer.instance
        (item,) = server.prompt_queue.currently_running.values()
        inputs, results = find_locals("input_data_all", "results")
        (todo,) = find_locals("execution_list")
        told = {
            "is this prompt": item[1] == server.last_prompt_id,
            "class": item[2][unique_id]["class_type"],
            "outputs": sorted(item[4]),
            "item": [len(results), max(len(values) for values in inputs.values())],
            "to do": sorted(todo.pendingNodes),
            "cached": sorted(node_id for node_id in item[2] if todo.is_cached(node_id)),
            "input": todo.dynprompt.get_node(unique_id)["inputs"]["text"],
        }
        return (json.dumps(told),)


def find_locals(*names):
    """Local variables of the nearest caller that has them all."""
    frame = sys._getframe()
    while not all(name in frame.f_locals for name in names):
        frame = frame.f_back
    return [frame.f_locals[name] for name in names]


class ProbeStates(Node):
    """Tells how far the prompt is, after the state behind the progress bars."""

    INPUTS = {"text": ("STRING", {})}

    @classmethod
    def IS_CHANGED(cls, text):
        return float("nan")

    def run(self, text):
        from comfy_execution.progress import get_progress_state
        from server import PromptServer

        state = get_progress_state()
        told = {
            "is this prompt": state.prompt_id == PromptServer.instance.last_prompt_id,
            "states": {key: entry["state"].value for key, entry in sorted(state.nodes.items())},
            "nodes": sorted(state.dynprompt.all_node_ids()),
            "of its own": sorted(state.dynprompt.original_prompt),
            "parents": [state.dynprompt.get_parent_node_id(key) for key in state.nodes],
        }
        return (json.dumps(told),)


class ProbeModel(Node):
    """Gives what stands for a diffusion model."""

    RETURN_TYPES = ("MODEL",)

    def run(self):
        return ("a model",)


class ProbeDiffusion(Node):
    """Works with a model, and leaves its mark in the request log of a server when it begins."""

    INPUTS = {
        "model": ("MODEL", {}),
        "text": ("STRING", {"forceInput": True}),
        "url": ("STRING", {}),
    }

    def run(self, model, text, url):
        mark(url, "sampling")
        return (f"picture of {text}",)


class ProbeExpand(Node):
    """Puts nodes into the graph: `graph` as JSON, in API format; the first output of the one named is its own."""

    @classmethod
    def INPUT_TYPES(cls):
        inputs = {"after": ("STRING", {"forceInput": True}), "graph": ("STRING", {}), "result": ("STRING", {})}
        return {"required": inputs, "hidden": {"unique_id": "UNIQUE_ID"}}

    def run(self, after, graph, result, unique_id):
        added = json.loads(graph)

        def renamed(value):
            is_link = isinstance(value, list) and value[0] in added
            return [f"{unique_id}.{value[0]}", value[1]] if is_link else value

        for entry in added.values():
            entry["inputs"] = {name: renamed(value) for name, value in entry["inputs"].items()}
        return {
            "expand": {f"{unique_id}.{name}": entry for name, entry in added.items()},
            "result": ([f"{unique_id}.{result}", 0],),
        }


class ProbeMark(Node):
    """Leaves a mark in the request log of a server and gives the text on."""

    INPUTS = {"text": ("STRING", {"forceInput": True}), "url": ("STRING", {}), "name": ("STRING", {})}

    def run(self, text, url, name):
        mark(url, name)
        return (text,)


def mark(url, name):
    """Asks a server for something that it does not have, so that it stands among what else it was asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"{url}/{name}", timeout=5).read()
    except urllib.error.HTTPError:
        pass


class ProbeMemory(Node):
    """Tells what ComfyUI was asked to free since it was told last, in order."""

    CALLS = []

    @classmethod
    def IS_CHANGED(cls):
        return float("nan")

    def run(self):
        told, ProbeMemory.CALLS[:] = " ".join(ProbeMemory.CALLS), []
        return (told,)


def remember_calls(*names):
    """Has calls of comfy.model_management remembered, by whatever pack."""

    def remembering(name, function):
        def call(*arguments, **keywords):
            # ComfyUI calls these itself, too.
            if "xdev_llm" in sys._getframe(1).f_code.co_filename:
                ProbeMemory.CALLS.append(name)
            return function(*arguments, **keywords)

        return call

    for name in names:
        function = getattr(comfy.model_management, name)
        setattr(comfy.model_management, name, remembering(name, function))


remember_calls("unload_all_models", "soft_empty_cache", "get_free_memory")


class Tokenizer:
    """Counts words as two encoders do: `l` fills with its end token, `g` with 0, in chunks of 4; `t5` fills nothing."""

    def tokenize(self, text):
        tokens = [len(word) for word in text.split()]
        chunks = [tokens[at : at + 4] for at in range(0, len(tokens), 4)] or [[]]
        ends = {"l": (900, 901, 901), "g": (900, 901, 0)}
        filled = {
            name: [[begin, *chunk, end, *[filling] * (4 - len(chunk))] for chunk in chunks]
            for name, (begin, end, filling) in ends.items()
        }
        filled["t5"] = [[*tokens, 1]]
        return {name: [[(token, 1.0) for token in chunk] for chunk in chunks] for name, chunks in filled.items()}


class ProbeClip(Node):
    """Gives something to tokenize with, or nothing, as a checkpoint without an encoder does."""

    RETURN_TYPES = ("CLIP",)
    INPUTS = {"is_there": ("BOOLEAN", {"default": True})}

    def run(self, is_there):
        return (Tokenizer() if is_there else None,)


class ProbePicture(Node):
    """Gives the workflow that a picture would be saved with after what is linked to it has run."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"after": ("STRING", {})}, "hidden": {"extra_pnginfo": "EXTRA_PNGINFO"}}

    def run(self, after, extra_pnginfo=None):
        return (json.dumps((extra_pnginfo or {}).get("workflow")),)


NODE_CLASS_MAPPINGS = {
    name: value
    for name, value in list(globals().items())
    if name.startswith("Probe") and isinstance(value, type)
}
NODE_DISPLAY_NAME_MAPPINGS = {"ProbeList": "Probe: list"}
