"""Tests of the Python package; a package themselves, so that their fixtures are not taken for those above."""
