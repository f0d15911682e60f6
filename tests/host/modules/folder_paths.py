"""Stand-in for ComfyUI's folder_paths: where the host keeps packs, outputs and the user's files.

Only folders that packs ask for; no model folders.
"""

import os
from pathlib import Path

base_path = os.getcwd()
folder_names_and_paths = {}


def set_base_directory(folder):
    """Puts all folders below this one."""
    global base_path
    base_path = str(Path(folder).absolute())
    folder_names_and_paths["custom_nodes"] = ([os.path.join(base_path, "custom_nodes")], set())
    for name in ("custom_nodes", "input", "output", "temp", "user"):
        os.makedirs(os.path.join(base_path, name), exist_ok=True)


def get_folder_paths(name):
    """The folders of a kind."""
    return list(folder_names_and_paths[name][0])


def get_filename_list(name):
    """The model files of a kind: none."""
    return []


def get_input_directory():
    """Where uploaded files lie."""
    return os.path.join(base_path, "input")


def get_output_directory():
    """Where results are saved."""
    return os.path.join(base_path, "output")


def get_temp_directory():
    """Where previews are saved."""
    return os.path.join(base_path, "temp")


def get_user_directory():
    """Where settings and workflows are saved."""
    return os.path.join(base_path, "user")
