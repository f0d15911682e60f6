"""The contract host: runs node packs as ComfyUI does, as far as a pack can tell. Written from observed behaviour."""
