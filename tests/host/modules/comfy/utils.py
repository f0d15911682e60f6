"""Stand-in for comfy.utils: the progress bar a sync node moves."""

PROGRESS_BAR_HOOK = None


def set_progress_bar_global_hook(function):
    """Sets what every bar made from now on calls."""
    global PROGRESS_BAR_HOOK
    PROGRESS_BAR_HOOK = function


class ProgressBar:
    """Progress of the node that is running, or of the one named."""

    def __init__(self, total, node_id=None):
        self.total = total
        self.current = 0
        self.node_id = node_id
        self.hook = PROGRESS_BAR_HOOK

    def update_absolute(self, value, total=None, preview=None):
        """Moves the bar to a value, the total at most."""
        self.total = self.total if total is None else total
        self.current = min(value, self.total)
        if self.hook is not None:
            self.hook(self.current, self.total, preview, node_id=self.node_id)

    def update(self, value):
        """Moves the bar on by a value."""
        self.update_absolute(self.current + value)
