"""Loads the packs of the custom_nodes folder. One that fails is named in the log, and the others go on."""

import importlib.util
import inspect
import logging
import os
import sys
import time
import traceback

import folder_paths
import nodes

from contract_host import classes


def find_packs():
    """Folders and Python files in custom_nodes, but for those that end in .disabled."""
    for folder in folder_paths.get_folder_paths("custom_nodes"):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            is_python_file = os.path.isfile(path) and name.endswith(".py")
            if (
                name != "__pycache__"
                and not name.endswith(".disabled")
                and (os.path.isdir(path) or is_python_file)
            ):
                yield path


def run_prestartup_scripts():
    """Runs prestartup_script.py of each pack, before anything else is imported."""
    for path in find_packs():
        script = os.path.join(path, "prestartup_script.py")
        if os.path.exists(script):
            try:
                execute_module(os.path.splitext(script)[0], script)
            except Exception as error:
                logging.error("Failed to execute startup-script: %s / %s", script, error)


async def load_packs():
    """Loads all packs and prints how long each took."""
    built_in = set(nodes.NODE_CLASS_MAPPINGS)
    lines = []
    for path in find_packs():
        begun = time.perf_counter()
        try:
            loaded = await load_pack(path, built_in)
        except Exception as error:
            logging.warning(
                "%sCannot import %s module for custom nodes: %s", traceback.format_exc(), path, error
            )
            loaded = False
        failed = "" if loaded else " (IMPORT FAILED)"
        lines.append(f"{time.perf_counter() - begun:6.1f} seconds{failed}: {path}")
    logging.info("\nImport times for custom nodes:\n%s\n", "\n".join(lines))


def execute_module(name, file, known=False):
    """Executes a file as a module; where it is to be known, it stands in sys.modules first."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    if known:
        sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


async def load_pack(path, built_in):
    """Loads one pack; whether it gave nodes. The module's name is its absolute path."""
    is_file = os.path.isfile(path)
    folder = os.path.dirname(path) if is_file else path
    pack = os.path.splitext(os.path.basename(path))[0] if is_file else os.path.basename(path)
    module_name = os.path.splitext(path)[0] if is_file else path.replace(".", "_x_")
    module = execute_module(module_name, path if is_file else os.path.join(path, "__init__.py"), known=True)
    nodes.LOADED_MODULE_DIRS[pack] = os.path.abspath(folder)
    register_project_web(folder)
    web = getattr(module, "WEB_DIRECTORY", None)
    if web is not None and os.path.isdir(os.path.join(folder, web)):
        nodes.EXTENSION_WEB_DIRS[pack] = os.path.abspath(os.path.join(folder, web))

    mappings = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if mappings is not None:
        names = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {}
        register(
            {name: (node_class, names.get(name)) for name, node_class in mappings.items()}, pack, built_in
        )
        nodes.NODE_DISPLAY_NAME_MAPPINGS.update(names)
        return True
    if classes.HAS_V3 and hasattr(module, "comfy_entrypoint"):
        return await load_extension(module.comfy_entrypoint, path, pack, built_in)
    logging.warning("Skip %s module for custom nodes due to the lack of NODE_CLASS_MAPPINGS", path)
    return False


async def load_extension(entrypoint, path, pack, built_in):
    """Loads a V3 pack by its entry point, which may be async; whether it gave nodes."""
    from comfy_api.latest import ComfyExtension

    extension = await entrypoint() if inspect.iscoroutinefunction(entrypoint) else entrypoint()
    if not isinstance(extension, ComfyExtension):
        logging.warning("comfy_entrypoint in %s did not return a ComfyExtension, skipping.", path)
        return False
    found = {}
    for node_class in await extension.get_node_list():
        schema = node_class.GET_SCHEMA()
        found[schema.node_id] = (node_class, schema.display_name)
    register(found, pack, built_in)
    return True


def register(found, pack, built_in):
    """Enters node classes and their names; built-in nodes cannot be replaced."""
    for name, (node_class, display_name) in found.items():
        if name in built_in:
            continue
        node_class.RELATIVE_PYTHON_MODULE = f"custom_nodes.{pack}"
        nodes.NODE_CLASS_MAPPINGS[name] = node_class
        if display_name is not None:
            nodes.NODE_DISPLAY_NAME_MAPPINGS[name] = display_name


def register_project_web(folder):
    """Enters the web folder that pyproject.toml names, under the project's name."""
    file = os.path.join(folder, "pyproject.toml")
    if sys.version_info < (3, 11) or not os.path.exists(file):
        return
    import tomllib

    with open(file, "rb") as stream:
        project = tomllib.load(stream)
    web = project.get("tool", {}).get("comfy", {}).get("web")
    if web and os.path.isdir(os.path.join(folder, web)):
        nodes.EXTENSION_WEB_DIRS[project["project"]["name"]] = os.path.join(folder, web)
