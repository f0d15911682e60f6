"""What the parts share: the folders, the environment of children, and the hosts with their packs.

Not here: what is measured (the parts).
"""

import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "host"))

from hosts import Client, Host, wait_until  # noqa: E402

OURS = "xdev-llm"
OUR_PACK = HERE / "ours"
PEERS = HERE / "peers"


class Places:
    """`Places` is where children run: empty folders and nobody's settings."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="xdev-llm-bench-")
        folder = self.folder = Path(self._folder.name)
        (folder / "config.toml").write_text("")
        self.environment = {
            **os.environ,
            "XDEV_LLM_CONFIG": str(folder / "config.toml"),
            "XDEV_LLM_STATE_DIR": str(folder / "state"),
            "XDEV_LLM_DATA_DIR": str(folder / "data"),
        }
        self._count = 0

    def start_host(self, kind, module, packs=()):
        """Starts a host that imports a module, and returns it with what the import took and brought."""
        self._count += 1
        environment = {**self.environment, "XDEV_LLM_BENCH_IMPORT": module}
        if kind == "real":
            environment["PYTHONPATH"] = os.environ.get("XDEV_LLM_BENCH_COMFYUI_SITE", "")
        folder = self.folder / f"host-{self._count}"
        host = Host(kind, folder, {"ours": OUR_PACK, **dict(packs)}, environment)
        return host, read_import(host.log())

    def end(self):
        self._folder.cleanup()


def read_import(text):
    """What `ours` printed."""
    lines = [line for line in text.splitlines() if line.startswith("imported ")]
    if not lines:
        raise SystemExit(f"a module could not be imported:\n{text[-3000:]}")
    return json.loads(lines[0].removeprefix("imported "))


class Browser(Client):
    """`Browser` is a browser with our JavaScript, which queues one prompt after the other."""

    def __init__(self, host, greets=True):
        super().__init__(host)
        if greets:
            self.post("/xdev_llm/hello", {"client_id": self.id})

    def start(self, node_class, inputs):
        """Queues a prompt of one node."""
        self.messages.clear()
        return self.queue({"1": {"class_type": node_class, "inputs": inputs}})

    def end(self, prompt_id):
        """Waits until the host is free again; the host's own seconds from its start to its success."""
        self.wait_for("executing", lambda data: data["node"] is None and data["prompt_id"] == prompt_id)
        told = {message.kind: message.data for message in list(self.messages)}
        if "execution_success" not in told:
            raise SystemExit(f"a prompt failed: {told.get('execution_error')}\n{self.host.log()[-3000:]}")
        return told["execution_success"]["exact"] - told["execution_start"]["exact"]

    def widgets(self, node_class):
        """What the front end sends of a node that was just put on the canvas: every widget's default."""
        described = self.get(f"/object_info/{node_class}")[node_class]["input"]
        sent = {}
        for name, (kind, *options) in {**described["required"], **described.get("optional", {})}.items():
            options = options[0] if options else {}
            if "default" in options:
                sent[name] = options["default"]
            elif isinstance(kind, list) or kind == "COMBO":
                sent[name] = (kind if isinstance(kind, list) else options["options"])[0]
        return sent


__all__ = ["OURS", "OUR_PACK", "PEERS", "ROOT", "Browser", "Places", "read_import", "wait_until"]
