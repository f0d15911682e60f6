"""Stand-in for comfy_execution.progress: the progress of the prompt's nodes, sent whole at each change."""

from enum import Enum

from comfy_execution.graph import DynamicPrompt


class NodeState(Enum):
    """How far a node is. One that was in the cache is finished as soon as it is its turn."""

    Pending = "pending"
    Running = "running"
    Finished = "finished"
    Error = "error"


class Progress:
    """Value and state of each node of one prompt that has begun."""

    def __init__(self, prompt_id, dynprompt, server=None):
        self.prompt_id = prompt_id
        self.dynprompt = dynprompt
        self.server = server
        self.nodes = {}

    def start_progress(self, node_id):
        """A node begins."""
        self._set(node_id, 0.0, 1.0, NodeState.Running)

    def update_progress(self, node_id, value, max_value, image=None):
        """A node gets on."""
        self._set(node_id, value, max_value, NodeState.Running)

    def finish_progress(self, node_id):
        """A node ends."""
        total = self.nodes.get(node_id, {"max": 1})["max"]
        self._set(node_id, total, total, NodeState.Finished)

    def _set(self, node_id, value, max_value, state):
        self.nodes[node_id] = {
            "value": value,
            "max": max_value,
            "state": state,
            "node_id": node_id,
            "prompt_id": self.prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        if self.server is not None:
            nodes = {key: {**value, "state": value["state"].value} for key, value in self.nodes.items()}
            data = {"prompt_id": self.prompt_id, "nodes": nodes}
            self.server.send_sync("progress_state", data, self.server.client_id)


_progress = Progress("", DynamicPrompt({}))


def reset_progress_state(prompt_id, dynprompt, server):
    """Begins a prompt."""
    global _progress
    _progress = Progress(prompt_id, dynprompt, server)


def get_progress_state():
    """The progress of the prompt that runs, or ran last."""
    return _progress
