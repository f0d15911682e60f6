"""Example workflows, read as a front end reads them: what they show, and what they queue.

Not here: any test.
"""

import json
from dataclasses import dataclass

WIDGETS = {"STRING", "INT", "FLOAT", "BOOLEAN", "COMBO"}


def core(inputs, outputs=()):
    """A node of ComfyUI's own in the form of scripts/locales: inputs as (name, kind, value)."""
    return {
        "inputs": [
            {"name": name, "kind": kind, "default": value, "optional": False, "choices": None, "options": {}}
            for name, kind, value in inputs
        ],
        "outputs": [{"name": kind, "kind": kind} for kind in outputs],
    }


_ENCODE = [("clip", "CLIP", None), ("text", "STRING", "")]
_SAMPLE = [
    *[("model", "MODEL", None), ("positive", "CONDITIONING", None), ("negative", "CONDITIONING", None)],
    *[("latent_image", "LATENT", None), ("seed", "INT", 0), ("steps", "INT", 20), ("cfg", "FLOAT", 8.0)],
    *[("sampler_name", "COMBO", None), ("scheduler", "COMBO", None), ("denoise", "FLOAT", 1.0)],
]
# ComfyUI's own nodes that take part. The oldest ComfyUI that was run has them.
CORE = {
    "PreviewAny": core([("source", "*", None)]),
    "CheckpointLoaderSimple": core([("ckpt_name", "COMBO", None)], ["MODEL", "CLIP", "VAE"]),
    "CLIPTextEncode": core(_ENCODE, ["CONDITIONING"]),
    "EmptyLatentImage": core([(name, "INT", 1) for name in ("width", "height", "batch_size")], ["LATENT"]),
    "KSampler": core(_SAMPLE, ["LATENT"]),
    "VAEDecode": core([("samples", "LATENT", None), ("vae", "VAE", None)], ["IMAGE"]),
    "PreviewImage": core([("images", "IMAGE", None)]),
}
# Nodes of the front end, which are not queued.
NOTES = {"MarkdownNote"}


def read_workflows(root, nodes):
    """Every example workflow by its name, for our nodes as scripts/locales describes them."""
    files = sorted((root / "example_workflows").glob("*.json"))
    known = {**nodes, **CORE}
    return {path.stem: Workflow(json.loads(path.read_text(encoding="utf-8")), known) for path in files}


@dataclass
class Workflow:
    """`Workflow` is a saved graph, read as a front end reads it."""

    graph: dict
    nodes: dict

    def api(self):
        """What the front end queues: each node's class and the values or links of its inputs."""
        links = {link[0]: [str(link[1]), link[2]] for link in self.graph["links"]}
        queued = {}
        for node in self.graph["nodes"]:
            if node["type"] in NOTES:
                continue
            inputs = self._widgets(node) if node["type"] in self.nodes else {}
            for given in node["inputs"]:
                if given["link"] is not None:
                    inputs[given["name"]] = links[given["link"]]
            queued[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
        return queued

    def _widgets(self, node):
        """The values by their inputs' names: they are saved in the order of the widgets, and what a seed does
        after a run has a place of its own behind the seed."""
        values = iter(node["widgets_values"])
        found = {}
        for given in self.nodes[node["type"]]["inputs"]:
            if given["kind"] in WIDGETS:
                found[given["name"]] = next(values)
                # Front ends put one behind everything that is called a seed, unless it says that it wants none.
                if given["options"].get("control_after_generate", given["name"] == "seed"):
                    assert next(values) in ("fixed", "increment", "decrement", "randomize")
        assert list(values) == [], f"more values than widgets in {node['type']}"
        return found

    def output_name(self, link):
        """The name of the output that a link of the queued form comes from."""
        node = next(node for node in self.graph["nodes"] if str(node["id"]) == link[0])
        return node["type"], self.nodes[node["type"]]["outputs"][link[1]]["name"]
