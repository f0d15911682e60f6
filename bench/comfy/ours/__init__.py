"""Imports one module and prints what that took and brought.

A script in bare Python, a pack inside a ComfyUI. XDEV_LLM_BENCH_IMPORT names the module. Where that is the
pack of XDev LLM, its nodes are registered too. Not here: the node that comes with them (`same_shape`).
"""

import json
import os
import sys
import time
from importlib import import_module

_name = os.environ["XDEV_LLM_BENCH_IMPORT"]
_before = set(sys.modules)
_begun = time.perf_counter()
_module = import_module(_name)
_seconds = time.perf_counter() - _begun
_brought = sorted(set(sys.modules) - _before)
print("imported " + json.dumps({"module": _name, "seconds": _seconds, "brought": _brought}), flush=True)

if _name == "xdev_llm.comfy":
    from .exact_times import write_exact_times
    from .same_shape import comfy_entrypoint  # noqa: F401

    write_exact_times()
else:
    NODE_CLASS_MAPPINGS = {}
