"""Stand-in for comfy_execution.graph_utils: links and the value that blocks what comes after it."""


def is_link(value):
    """Whether an input of a prompt names another node's output."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
    )


class ExecutionBlocker:
    """An output that keeps the nodes behind it from running; a message is shown, None says nothing."""

    def __init__(self, message):
        self.message = message
