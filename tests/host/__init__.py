"""The contract host, which stands in for ComfyUI in tests, and the tests that it does what ComfyUI does."""
