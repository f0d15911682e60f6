"""What a ComfyUI user reads: locales, help pages, example workflows."""
