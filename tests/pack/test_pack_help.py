"""The help pages: every node has one in English and in Chinese, and they speak of inputs and outputs that exist."""

import json
import re

import pytest

LANGUAGES = ["en", "zh"]
# What fits on a screen beside the graph.
LONGEST = 45


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


def first_column(page):
    """The cells of a page's table that name inputs; a cell may name several."""
    rows = [line.strip("| ").split("|")[0].strip() for line in page.splitlines() if line.startswith("|")]
    return rows[0], [name for cell in rows[2:] for name in re.split(r"[,、] ?", cell)]


def test_only_nodes_have_pages(folder, nodes):
    expected = {f"{name}.md" for name in nodes} | {f"{name}/zh.md" for name in nodes}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.md")} == expected


def test_each_page_is_titled_as_its_node_and_fits_a_screen(pages):
    for name, (page, node) in pages.items():
        lines = page.splitlines()
        assert lines[0] == f"# {node['display_name']}", name
        assert len(lines) <= LONGEST, name


def test_tables_name_inputs_that_exist(pages):
    for name, (page, node) in pages.items():
        names = {given["name"] for given in node["inputs"].values()}
        heading, cells = first_column(page)
        if heading in names:
            # A table of what one input takes.
            continue
        # The penalties are told together. A text box shows its English name in any language, which may stand behind.
        told = [re.sub(r"（.*）$", "", cell) for cell in cells if cell not in ("penalties", "各种惩罚")]
        assert told and set(told) <= names, name


def test_each_page_tells_of_every_output(pages):
    for name, (page, node) in pages.items():
        missing = [given["name"] for given in node["outputs"].values() if f"**{given['name']}**" not in page]
        assert missing == [], name
