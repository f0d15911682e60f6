"""The nodes as the code describes them, for tests of what a ComfyUI user reads.

Nothing here runs ComfyUI or needs the native module. Not here: any test.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def locales(what):
    """What scripts/locales prints."""
    command = [sys.executable, str(ROOT / "scripts" / "locales"), what]
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout


@pytest.fixture(scope="session")
def english():
    """The English texts as they follow from the code: the content of locales/en/nodeDefs.json."""
    return locales("print")


@pytest.fixture(scope="session")
def nodes():
    """Every node's description by its id."""
    return json.loads(locales("describe"))


@pytest.fixture(scope="session")
def root():
    """The repository's root."""
    return ROOT
