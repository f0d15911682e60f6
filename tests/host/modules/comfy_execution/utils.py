"""Stand-in for comfy_execution.utils: which node runs here, as a context variable."""

import contextlib
import contextvars
from typing import NamedTuple


class ExecutionContext(NamedTuple):
    """The prompt, the node and the item of a mapped list."""

    prompt_id: str
    node_id: str
    list_index: int | None


current_executing_context = contextvars.ContextVar("current_executing_context", default=None)


def get_executing_context():
    """The context of the node that runs here, or None, as in foreign threads."""
    return current_executing_context.get()


@contextlib.contextmanager
def current_node(prompt_id, node_id, list_index=None):
    """Marks the code inside as that node's."""
    token = current_executing_context.set(ExecutionContext(prompt_id, node_id, list_index))
    try:
        yield
    finally:
        current_executing_context.reset(token)
