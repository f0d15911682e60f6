"""What a value is, in words, numbers and pictures: any value, however hostile its class.

`describe` tells of one value, `compare` of two, `save` writes one into ComfyUI's output folder. A value's own code runs only
where `ask` guards it, and everything shown has a limit. Not here: the node, and how it is drawn (`web`).
"""

from .compare import compare
from .files import save
from .values import LEVELS, describe

__all__ = ["LEVELS", "compare", "describe", "save"]
