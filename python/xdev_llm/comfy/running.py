"""The prompt that ComfyUI runs, as far as a node can tell: its graph, and which of its nodes are still to run.

ComfyUI has no API for this. Read are the queue, the state behind its progress bars, and where there is none (versions
whose nodes run one after another) the local variables of the functions that call a node. Not here: what follows from
it (`memory`).
"""

import contextlib
import contextvars
import logging
import sys

import nodes
from server import PromptServer

# A node with one of these linked works on the GPU. Its own models come into memory then.
DIFFUSION_KINDS = frozenset((
    "MODEL", "CLIP", "VAE", "LATENT", "CONTROL_NET", "CLIP_VISION", "STYLE_MODEL", "UPSCALE_MODEL", "GUIDER",
))  # fmt: skip

# Where a node was called from, for nodes that ComfyUI calls and does not await.
_caller = contextvars.ContextVar("xdev_llm_caller", default=None)


@contextlib.contextmanager
def called():
    """Remembers what calls the node inside, whose coroutine may run in another thread."""
    token = _caller.set(sys._getframe(2))
    try:
        yield
    finally:
        _caller.reset(token)


def display_id(node_id):
    """The id the browser knows: a node that another one put into the graph is shown as that one."""
    try:
        from comfy_execution.progress import get_progress_state

        return str(get_progress_state().dynprompt.get_display_node_id(node_id))
    except (ImportError, AttributeError, KeyError):
        return str(node_id)


def list_index():
    """Which item of a list the running node works on, where it runs for each; None where ComfyUI does not say."""
    context = _context()
    return context.list_index if context else None


def is_running(prompt_id):
    """Whether a prompt has not ended yet."""
    try:
        return _queued(prompt_id) is not None
    except AttributeError:
        # A queue that is not as it was tells nothing, and what is asked for must not wait for ever.
        return False


class Place:
    """`Place` is where a node runs: in which prompt, as which node, and whether others run while it waits."""

    def __init__(self, node_id):
        context = _context()
        self.prompt_id = context.prompt_id if context else PromptServer.instance.last_prompt_id
        self.node_id = str(node_id)
        self._frame = _caller.get()
        self.is_awaited = self._frame is None

    def items_to_come(self):
        """The inputs of the items of a list for which this node runs after this one, where they run one by one."""
        given = self._local("input_data_all", "results")
        if given is None:
            return []
        inputs, done = given
        count = max((len(values) for values in inputs.values()), default=0)
        # A shorter list repeats its last item.
        return [
            {name: values[min(index, len(values) - 1)] for name, values in inputs.items()}
            for index in range(len(done) + 1, count)
        ]

    def prompt(self):
        """The prompt as it is now; None where ComfyUI does not tell."""
        try:
            return _by_progress(self) or _by_schedule(self)
        except (AttributeError, KeyError, TypeError) as changed:
            # None of this is promised. A version that has it otherwise must not end what only asks a model.
            logging.warning("XDev LLM: this ComfyUI does not tell which nodes are still to run: %r", changed)
            return None

    def _local(self, *names):
        """Local variables of the nearest caller that has all of them; no API tells what they hold."""
        frame = self._frame
        while frame is not None:
            found = frame.f_locals
            if all(name in found for name in names):
                return [found[name] for name in names]
            frame = frame.f_back
        return None


class Prompt:
    """`Prompt` is the graph of a prompt; `waiting` are the ids of nodes that are sure to run and have not begun, and
    `is_done` tells whether a node has ended."""

    def __init__(self, graph, waiting, is_done):
        self._graph = graph
        self.waiting = waiting
        self.is_done = is_done
        # What other nodes put into the graph, by those.
        self._added = {}
        for node_id in graph.all_node_ids():
            if node_id not in graph.original_prompt:
                self._added.setdefault(graph.get_parent_node_id(node_id), []).append(node_id)

    @property
    def node_ids(self):
        """The ids of all nodes."""
        return self._graph.all_node_ids()

    def class_of(self, node_id):
        """The node's class, by its name."""
        return self._graph.get_node(node_id)["class_type"]

    def inputs(self, node_id):
        """The node's inputs: values, or links as [node id, place]."""
        return self._graph.get_node(node_id)["inputs"]

    def waits_for(self, node_id):
        """The ids of all nodes that must end before this one begins."""
        found, todo = set(), [node_id]
        while todo:
            current = todo.pop()
            sources = [value[0] for value in self.inputs(current).values() if is_link(value)]
            # A node that puts others into the graph ends after them.
            sources += self._added.get(current, [])
            for source in sources:
                if source not in found and not self.is_done(source):
                    found.add(source)
                    todo.append(source)
        return found

    def is_diffusion(self, node_id):
        """Whether a node works with a diffusion model or with what belongs to one."""
        # Ours count tokens with what they are linked to, or pass it on.
        if self.class_of(node_id).startswith("XDEV_"):
            return False
        return any(
            _kind(self.class_of(node_id), name) in DIFFUSION_KINDS
            for name, value in self.inputs(node_id).items()
            if is_link(value)
        )


def is_link(value):
    """Whether an input is another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _context():
    try:
        from comfy_execution.utils import get_executing_context
    except ImportError:
        return None
    return get_executing_context()


def _queued(prompt_id):
    """The queue's entry of the prompt that runs."""
    running = list(PromptServer.instance.prompt_queue.currently_running.values())
    return next((item for item in running if item[1] == prompt_id), None)


def _by_progress(place):
    try:
        from comfy_execution.progress import get_progress_state
    except ImportError:
        return None
    state, item = get_progress_state(), _queued(place.prompt_id)
    if state.prompt_id != place.prompt_id or item is None:
        return None
    graph, begun = state.dynprompt, {key: _state(entry) for key, entry in state.nodes.items()}
    # Only these are sure to get an entry, from the cache too. Others run if something asks for them.
    added = [key for key in graph.all_node_ids() if key not in graph.original_prompt and _is_output(graph, key)]
    waiting = [key for key in [*item[4], *added] if begun.get(key, "pending") == "pending"]
    return Prompt(graph, waiting, lambda node_id: begun.get(node_id) == "finished")


def _state(entry):
    return getattr(entry["state"], "value", entry["state"])


def _by_schedule(place):
    found = place._local("execution_list")
    if found is None:
        return None
    (schedule,) = found
    still = {key for key in schedule.pendingNodes if not schedule.is_cached(key)}
    waiting = [key for key in schedule.pendingNodes if key in still and key != place.node_id]
    return Prompt(schedule.dynprompt, waiting, lambda node_id: node_id not in still)


def _is_output(graph, node_id):
    return getattr(nodes.NODE_CLASS_MAPPINGS.get(graph.get_node(node_id)["class_type"]), "OUTPUT_NODE", False) is True


def _kind(class_type, name):
    """The declared kind of an input."""
    try:
        declared = nodes.NODE_CLASS_MAPPINGS[class_type].INPUT_TYPES()
    except Exception:  # Another pack's code, of which nothing depends.
        return None
    for category in ("required", "optional"):
        if name in declared.get(category, {}):
            kind = declared[category][name][0]
            return kind if isinstance(kind, str) else None
    return None
