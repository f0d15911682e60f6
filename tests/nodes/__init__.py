"""Scenarios of the ComfyUI pack over HTTP, on the contract host and on a real ComfyUI."""
