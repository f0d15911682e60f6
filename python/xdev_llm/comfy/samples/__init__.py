"""Test data for every type that ComfyUI knows: `make` gives a value and says what it is.

Plain values are in `plain`, made with the standard library alone; what needs PyTorch is in `tensors`, and what needs
ComfyUI's own classes in `models`: both are imported only when such a value is asked for. Not here: the node.
"""

from dataclasses import dataclass

from .draw import Draw

PLAIN = ("STRING", "INT", "FLOAT", "BOOLEAN")
COLLECTIONS = ("LIST", "DICT", "JSON")
TENSORS = ("IMAGE", "LATENT", "MASK", "CONDITIONING", "AUDIO", "SIGMAS", "NOISE")
MODELS = ("MODEL", "VIDEO", "SAMPLER")

MODES = ("simple", "realistic", "stress_test")


@dataclass(frozen=True)
class Request:
    """`Request` says what is wanted: a type, how wild it may be, and how large."""

    kind: str
    mode: str
    size: int
    seed: int
    batch: int
    quality: float

    def draw(self):
        """A source of random numbers that depends on what is asked for and on nothing else."""
        return Draw(self.seed)


def make(request):
    """A value of the type that is asked for. Raises ImportError where that type needs what is not installed."""
    if request.kind in PLAIN + COLLECTIONS:
        from . import plain

        return plain.make(request)
    if request.kind in TENSORS:
        from . import tensors

        return tensors.make(request)
    from . import models

    return models.make(request)
