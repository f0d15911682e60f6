"""Stand-in for ComfyUI's comfy package: the interrupt flag and progress bars."""
