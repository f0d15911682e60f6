"""Stand-in for comfy_api.latest.ui: results shown on a node."""


class PreviewText:
    """A text."""

    def __init__(self, value, **kwargs):
        self.value = value

    def as_dict(self):
        """The form that is sent."""
        return {"text": (self.value,)}
