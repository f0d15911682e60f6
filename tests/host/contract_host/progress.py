"""What a sync node's progress bar does: looks for an interrupt, then tells the browser."""

import comfy.model_management

from contract_host import calls


def make_hook(server):
    """The hook of all progress bars; it clears the interrupt flag when it raises."""

    def hook(value, total, preview, node_id=None):
        comfy.model_management.throw_exception_if_processing_interrupted()
        prompt_id = server.last_prompt_id
        if calls.ASYNC_NODES:
            from comfy_execution.progress import get_progress_state
            from comfy_execution.utils import get_executing_context

            context = get_executing_context()
            if context is not None:
                prompt_id, node_id = context.prompt_id, node_id or context.node_id
            get_progress_state().update_progress(node_id or server.last_node_id, value, total)
        node_id = node_id or server.last_node_id
        progress = {"value": value, "max": total, "prompt_id": prompt_id, "node": node_id}
        server.send_sync("progress", progress, server.client_id)

    return hook
