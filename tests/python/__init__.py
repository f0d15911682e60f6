"""Tests of the Python package `xdev_llm`, against the mock server."""
