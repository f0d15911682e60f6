"""The wheel as users get it: complete, for every Python from 3.10 on, and with types that are true.

scripts/test builds it into .cache/wheel and installs it. Not here: what the package does.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import FunctionType

import pytest

from conftest import PATIENCE, ROOT

PACKAGE = ROOT / "python" / "xdev_llm"
# Asked for now: the tests have a home of their own.
HOME = Path.home()
BUILD_ENVIRONMENT = dict(os.environ)
MINORS = range(10, 16)


@pytest.fixture(scope="module")
def wheel():
    """The wheel that was built last."""
    wheels = [*(ROOT / ".cache" / "wheel").glob("*.whl")]
    assert len(wheels) == 1, "no wheel in .cache/wheel: scripts/test builds it"
    return wheels[0]


def is_source(path):
    """Whether a file belongs into the wheel; a module built in place does not."""
    return path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("_native.abi3")


def test_it_is_one_wheel_for_every_python_and_needs_nothing(wheel):
    assert re.fullmatch(r"xdev_llm-[\d.]+-cp310-abi3-\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    assert "Requires-Python: >=3.10\n" in text and "Requires-Dist" not in text
    assert "License-Expression: MIT OR Apache-2.0" in text


def test_it_carries_every_file_of_the_package_as_it_stands(wheel):
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if name.startswith("xdev_llm/")}
        native = {name for name in carried if name.startswith("xdev_llm/_native.abi3.")}
        sources = filter(is_source, PACKAGE.rglob("*"))
        expected = {path.relative_to(PACKAGE.parent).as_posix() for path in sources}
        assert len(native) == 1 and carried - native == expected
        for name in expected:
            assert archive.read(name) == (PACKAGE.parent / name).read_bytes(), f"{name} is newer"


def test_no_text_in_it_names_the_machine_that_built_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            assert name.endswith(".so") or str(ROOT).encode() not in archive.read(name), name


def other_pythons():
    """The interpreters of this machine, one of each minor version, on PATH or in pyenv's folder."""
    found = {}
    for minor in MINORS:
        name = f"python3.{minor}"
        candidates = [*HOME.glob(f".pyenv/versions/3.{minor}.*/bin/{name}"), shutil.which(name)]
        for candidate in filter(None, candidates):
            # One of pyenv's own commands is there and fails where its version is not chosen.
            told = subprocess.run([candidate, "--version"], capture_output=True, text=True)
            if told.returncode == 0 and told.stdout.startswith(f"Python 3.{minor}."):
                found.setdefault(minor, (str(candidate), told.stdout.split()[1]))
    return found


def test_it_works_on_every_python_of_this_machine(wheel, server, tmp_path, capsys):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    code = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import xdev_llm
async def ask():
    return (await xdev_llm.Client().chat("Hello", server=sys.argv[2])).text
assert xdev_llm.Client().chat("Hello", server=sys.argv[2]).wait().text == asyncio.run(ask())
try:
    xdev_llm.Client().chat("Hello", server="http://127.0.0.1:9").wait()
except xdev_llm.Unreachable as error:
    print(asyncio.run(ask()), isinstance(error, ConnectionError))
"""
    pythons = other_pythons()
    for path, _ in pythons.values():
        arguments = [path, "-I", "-c", code, str(tmp_path / "unpacked"), server.url]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Hello there, friend. True\n", ""), path
    with capsys.disabled():
        print("\nthe wheel ran on Python", ", ".join(version for _, version in pythons.values()))
    assert sys.version_info.minor in pythons


def test_the_types_are_those_of_the_native_module(tmp_path):
    """`make docs` writes them anew."""
    command = [Path(sys.executable).parent / "maturin", "generate-stubs", "--quiet", "--profile", "dev"]
    command += ["--interpreter", sys.executable, "--out", tmp_path]
    ended = subprocess.run(command, cwd=ROOT, env=BUILD_ENVIRONMENT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    written = (tmp_path / "xdev_llm" / "_native.pyi").read_text()
    assert written == (PACKAGE / "_native.pyi").read_text(), "the types have drifted: run make docs"


def test_the_types_name_what_the_package_exports():
    import xdev_llm
    import xdev_llm.prompt

    types = (PACKAGE / "_native.pyi").read_text()
    listed = re.search(r"__all__ = \[(.*?)\]", types)[1].replace('"', "").split(", ")
    # Functions have `prompt_` before their names there; what is written in Python is not in the native module.
    prompt = [getattr(xdev_llm.prompt, name) for name in xdev_llm.prompt.__all__]
    native = {each.__name__ for each in prompt if not isinstance(each, FunctionType)}
    assert {*listed} | {"Error"} == {*xdev_llm.__all__} | native
