"""The help pages: each node has one in English and in Chinese, which speaks of inputs and outputs that exist.

Not here: whether a front end finds them.
"""

import json
import re

import pytest

LANGUAGES = ["en", "zh"]
# More than this is not read beside the graph.
LONGEST = 50


@pytest.fixture(scope="session")
def folder(root):
    """Where ComfyUI's front end finds them, below the pack's web folder."""
    return root / "python" / "xdev_llm" / "comfy" / "web" / "docs"


@pytest.fixture(params=LANGUAGES)
def pages(request, root, folder):
    """The pages of one language by the node's id, each with the node's texts in that language."""
    texts = json.loads((root / "locales" / request.param / "nodeDefs.json").read_text(encoding="utf-8"))
    found = {}
    for name, node in texts.items():
        path = folder / f"{name}.md" if request.param == "en" else folder / name / f"{request.param}.md"
        found[name] = (path.read_text(encoding="utf-8"), node)
    return found


def inputs_told(page):
    """The inputs that have a line in the section of inputs, the first of a page; bold, one or more a line."""
    section = page.split("\n## ")[1]
    lines = [re.split("[:：]", line)[0] for line in section.splitlines() if line.startswith("- ")]
    return {name for line in lines for name in re.findall(r"\*\*(.+?)\*\*", line)}


def test_only_nodes_have_pages(folder, nodes):
    expected = {f"{name}.md" for name in nodes} | {f"{name}/zh.md" for name in nodes}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.md")} == expected


def test_each_page_is_titled_as_its_node_and_fits_a_screen(pages):
    for name, (page, node) in pages.items():
        lines = page.splitlines()
        assert lines[0] == f"# {node['display_name']}", name
        assert len(lines) <= LONGEST, name


def test_inputs_told_of_exist(pages):
    for name, (page, node) in pages.items():
        names = {given["name"] for given in node["inputs"].values()}
        # The penalties are told of together.
        assert inputs_told(page) <= names | {"penalties", "各种惩罚"}, name


def test_most_pages_tell_of_inputs(pages):
    silent = [name for name, (page, _) in pages.items() if not inputs_told(page)]
    # Its one input is told of by what may stand in it.
    assert silent == ["XDEV_LLMServer"]


def test_there_are_no_tables(pages):
    """The front end shows a page in a narrow column, in which a table is cut off."""
    assert [name for name, (page, _) in pages.items() if "\n|" in page] == []


def test_each_page_tells_of_every_output(pages):
    for name, (page, node) in pages.items():
        missing = [given["name"] for given in node["outputs"].values() if f"**{given['name']}**" not in page]
        assert missing == [], name
