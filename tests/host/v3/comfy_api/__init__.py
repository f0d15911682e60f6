"""Stand-in for ComfyUI's comfy_api, the V3 API for nodes; absent where the host runs with --v1."""
