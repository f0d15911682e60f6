"""What nodes made of servers' memory, so that ComfyUI runs them again once it is no longer so.

ComfyUI uses a node's last result again while its fingerprint stays the same, and others change a server's memory, too.
Not here: what is made (`llm_load`, `llm_unload`).
"""

from collections import OrderedDict

import xdev_llm

from .. import bridge
from . import shared


class Made:
    """`Made` remembers the runs of one kind of node; `is_so(loaded, what)` tells whether one still holds."""

    def __init__(self, is_so):
        self._is_so = is_so
        self._runs = OrderedDict()
        self._times = OrderedDict()

    def note(self, node_id, values, server, what):
        """Remembers a run: of a list there are several, each with values of its own."""
        runs = self._runs.get(node_id, {})
        bridge.remember(self._runs, node_id, {**runs, _given(values): (server, what)})

    async def fingerprint(self, node_id, values):
        """Changes when what the node made is no longer so; linked values are None and stand for all there were."""
        runs = self._runs.get(node_id, {})
        for given, (server, what) in list(runs.items()):
            if any(now not in (None, then) for now, then in zip(_given(values), given)):
                continue
            try:
                loaded = await bridge.look(bridge.client().loaded(server), shared.PATIENCE)
            except (xdev_llm.Error, TimeoutError):
                # Running tells what is wrong.
                return float("nan")
            if not self._is_so(loaded, what):
                self._runs.pop(node_id, None)
                bridge.remember(self._times, node_id, self._times.get(node_id, 0) + 1)
                break
        return f"{self._times.get(node_id, 0)} {bridge.times_replaced(node_id)}"


def _given(values):
    return values.get("server_url"), values.get("model")
