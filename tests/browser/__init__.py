"""The pack in the real front ends, in a headless Chromium: what a user sees and clicks.

A package of its own, so that its conftest.py does not stand in for that of the folder above.
"""
