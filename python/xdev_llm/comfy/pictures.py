"""What a run writes into the workflow that its pictures are saved with, so that such a picture replays.

ComfyUI hands the workflow as it was queued to every node that asks, and to those that save pictures. Not here: what is
written (`nodes`).
"""


def keep(node, node_id, values, extra_pnginfo):
    """Sets widgets of a node in that workflow. One inside a subgraph stays as it is: other copies share its values."""
    workflow = extra_pnginfo.get("workflow") if isinstance(extra_pnginfo, dict) else None
    saved_nodes = workflow.get("nodes") if isinstance(workflow, dict) else None
    for saved in saved_nodes if isinstance(saved_nodes, list) else []:
        if not isinstance(saved, dict) or str(saved.get("id")) != str(node_id):
            continue
        places = saved.get("widgets_values")
        if saved.get("type") == node.node_id and isinstance(places, list):
            for name, place in _places(node).items():
                if name in values and place < len(places):
                    places[place] = values[name]


def _places(node):
    """Where the value of each widget stands: in their order, and what a seed does after a run has one of its own."""
    places, place = {}, 0
    for given in node.inputs:
        places[given.name] = place
        place += 2 if given.all_options().get("control_after_generate") else 1
    return places
