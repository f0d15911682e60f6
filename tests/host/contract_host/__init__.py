"""The contract host: runs node packs as ComfyUI does, as far as a pack can tell.

Written from behaviour that was observed, and held to it by tests/host/test_conformance.py.
"""
