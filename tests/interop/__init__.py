"""Tests against real model servers; `make interop` runs them, `make test` does not."""
