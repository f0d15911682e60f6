"""Stand-in for ComfyUI's comfy_execution: what nodes import of the machinery that runs them.

With --sync the host takes utils and progress away: versions without async nodes did not have them.
"""
