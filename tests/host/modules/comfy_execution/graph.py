"""Stand-in for comfy_execution.graph: the nodes of a prompt, and the blocker, which packs import from here."""

from comfy_execution.graph_utils import ExecutionBlocker, is_link

__all__ = ["DynamicPrompt", "ExecutionBlocker", "is_link"]


class DynamicPrompt:
    """The nodes of a prompt. This host adds none while it runs."""

    def __init__(self, original_prompt):
        self.original_prompt = original_prompt

    def all_node_ids(self):
        """The ids of all nodes."""
        return set(self.original_prompt)

    def get_node(self, node_id):
        """A node: its class_type and inputs."""
        return self.original_prompt[node_id]

    def get_parent_node_id(self, node_id):
        """The id of the node that put it into the graph."""

    def get_display_node_id(self, node_id):
        """The id of the node that it is shown as."""
        return node_id
