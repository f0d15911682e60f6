"""Stand-in for comfy_execution.graph, for nodes that import the blocker from here."""

from comfy_execution.graph_utils import ExecutionBlocker, is_link

__all__ = ["ExecutionBlocker", "is_link"]
