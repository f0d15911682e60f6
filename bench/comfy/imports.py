"""What an import takes and brings, in fresh processes: in bare Python, and in a host after its own imports.

Not here: the import itself (`ours`).
"""

import os
import subprocess
import sys

from places import OURS, OUR_PACK, read_import
from report import Part, Row

PEERS = ("requests", "openai")
# None of these may come with us.
HEAVY = {
    "aiohttp", "anyio", "h11", "http", "httpcore", "httpx", "numpy", "openai", "PIL", "pydantic", "requests",
    "ssl", "torch", "urllib3",
}  # fmt: skip


def heavy(brought):
    """Those of HEAVY among modules, each once."""
    return sorted({module.partition(".")[0] for module in brought} & HEAVY)


def others(told):
    """Which modules came besides our own, in words."""
    brought = [name for name in told["brought"] if name.partition(".")[0] != "xdev_llm"]
    return f"it brought {', '.join(brought) or 'nothing'} besides its own modules"


def _name(module):
    return OURS if module.startswith("xdev_llm") else f"`{module}`"


class Imports(Part):
    """`Imports` imports ours and the peers in turn."""

    def __init__(self, places):
        self.places = places
        self.bare = Row("`import xdev_llm` in bare Python, ms", goal=5.0)
        self.pack = Row("`import xdev_llm.comfy` in the contract host, ms", goal=20.0)
        self.brought = Row("modules of HTTP, numpy or PIL that it brings", goal=0.0)
        self.rows = [self.bare, self.pack, self.brought]
        self.told = {}

    def go(self, round_number, is_measured=True):
        brought = {}
        for module in ("xdev_llm", *PEERS):
            told = self._import_bare(module)
            self._add(self.bare, module, told, is_measured)
            brought[_name(module)] = told["brought"]
        for module in ("xdev_llm.comfy", *PEERS):
            host, told = self.places.start_host("contract", module)
            host.stop()
            self._add(self.pack, module, told, is_measured)
            if is_measured:
                name = _name(module)
                self.brought.add(name, len(heavy(brought[name] + told["brought"])))

    def _import_bare(self, module):
        environment = {**os.environ, "XDEV_LLM_BENCH_IMPORT": module}
        command = [sys.executable, str(OUR_PACK / "__init__.py")]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return read_import(done.stdout)

    def _add(self, row, module, told, is_measured):
        self.told[(row.title, module)] = told
        if is_measured:
            row.add(_name(module), 1000 * told["seconds"])

    def notes(self):
        """What ours brought, in words."""
        ours = [(title, told) for (title, module), told in self.told.items() if _name(module) == OURS]
        return [f"{title}: {others(told)}." for title, told in ours]
