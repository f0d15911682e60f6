"""A host with the pack, a real front end, and a page of Chromium that shows it.

One host and one page for each front end: a page takes seconds to load, a graph none. Not here: what is done
on the page (canvas.py), any test.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from .canvas import Canvas
from .front_ends import VERSIONS, static_folder

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "host"))

# Chromium of its own accord asks its maker for updates, lists and translations; nothing leaves this machine.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

# No tour at the first visit, no word about nodes of ComfyUI's own that the contract host has not, and room.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.ShowMissingNodesWarning": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.Locale": "en",
}


def chromium():
    """Where a Chromium of the system is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def what_is_missing():
    """Why these tests cannot run here, or None."""
    missing = []
    if not chromium():
        missing.append("chromium (apt install chromium)")
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        missing.append("playwright (pip install -r tests/requirements.txt)")
    if not all(static_folder(version).is_dir() for version in VERSIONS):
        missing.append("the front ends (python tests/browser/front_ends.py)")
    return f"no browser tests without {', '.join(missing)}" if missing else None


# Ends with this folder: playwright runs an event loop in the thread that other tests begin theirs in.
@pytest.fixture(scope="package")
def browser():
    """A headless Chromium; without one the tests skip, or fail with XDEV_LLM_REQUIRE_BROWSER=1."""
    reason = what_is_missing()
    if reason and os.environ.get("XDEV_LLM_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package", params=VERSIONS)
def host(request, browser, tmp_path_factory):
    """A host that serves the pack and one of the front ends: a real ComfyUI where COMFYUI_DIR names one."""
    from hosts import Host
    from hosts import request as ask

    folder = tmp_path_factory.mktemp("host")
    (folder / "config.toml").write_text(
        '[[aliases.swift]]\nserver = "http://127.0.0.1:1"\nmodel = "big"\n[[aliases.swift]]\nserver = "http://127.0.0.1:2"\n'
    )
    environment = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "XDEV_LLM_CONFIG": str(folder / "config.toml"),
        "XDEV_LLM_STATE_DIR": str(folder / "state"),
        "XDEV_LLM_DATA_DIR": str(folder / "data"),
    }
    packs = {"xdev_llm": ROOT, "listed": ROOT / "tests" / "browser" / "listed"}
    kind = "real" if os.environ.get("COMFYUI_DIR") else "contract"
    host = Host(kind, folder / "comfyui", packs, environment, static_folder(request.param))
    host.version = request.param
    ask(f"{host.url}/settings", SETTINGS)
    yield host
    host.stop()


@pytest.fixture(scope="package")
def page(browser, host):
    """One page for all tests of a front end."""
    context = browser.new_context(viewport={"width": 1500, "height": 1250})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


@pytest.fixture
def canvas(page, host):
    """An empty graph on the page. Fails when the pack's JavaScript threw something."""
    canvas = Canvas(page, host)
    yield canvas
    canvas.end()
