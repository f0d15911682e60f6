"""Fetches ComfyUI's front ends, as they are on PyPI, into .cache/front-ends/<version>.

    python tests/browser/front_ends.py

The versions the pack is tested with stand here and nowhere else: the one of ComfyUI 0.3.64, and the newest.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSIONS = ("1.27.10", "1.58.1")
FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "front-ends"


def static_folder(version):
    """Where the files of a front end lie, once it is fetched."""
    return FOLDER / version / "comfyui_frontend_package" / "static"


def fetch(version):
    """Downloads one front end with pip and unpacks it; nothing to do where it lies already."""
    if static_folder(version).is_dir():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        requirement = f"comfyui-frontend-package=={version}"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            folder,
            requirement,
        ]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        unpacked = Path(folder) / "unpacked"
        zipfile.ZipFile(wheel).extractall(unpacked)
        # Moved in one step, so that a folder that is there is whole.
        unpacked.rename(FOLDER / version)


if __name__ == "__main__":
    for wanted in VERSIONS:
        fetch(wanted)
