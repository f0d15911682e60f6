"""The door for ComfyUI: this folder works under any name in `custom_nodes`.

The nodes are in the package `xdev_llm`: the installed one, else the one built in this folder. Not here: any node.
"""

import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _find_package():
    """Makes `xdev_llm` importable, or says how to get it."""
    if importlib.util.find_spec("xdev_llm"):
        return
    built = os.path.join(_HERE, "python")
    folder = os.path.join(built, "xdev_llm")
    if any(name.startswith("_native.") and not name.endswith(".pyi") for name in os.listdir(folder)):
        sys.path.append(built)
        return
    raise ImportError(
        "XDev LLM: its Python package is not installed in ComfyUI's Python. Install the wheel for your system:\n"
        f'  "{sys.executable}" -m pip install FILE.whl\n'
        f'or, with Rust on this machine, build it from this folder:\n  "{sys.executable}" -m pip install "{_HERE}"\n'
        "and start ComfyUI again."
    )


_find_package()
import xdev_llm.comfy as _pack  # noqa: E402

globals().update({name: getattr(_pack, name) for name in _pack.__all__})
