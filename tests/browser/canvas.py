"""The graph of the front end as a user has it before them: nodes, widgets, panels, the Run button.

Works the real objects of the page (`app`, `LiteGraph`) where a click would only measure the front end itself,
and real clicks where the pack's own elements are meant. Not here: any test.
"""

import uuid
from pathlib import Path

ARTEFACTS = Path(__file__).resolve().parents[2] / ".cache" / "test-artefacts"

EMPTY = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}

# Ends only what hangs, in milliseconds.
PATIENCE = 60_000

READY = """() => window.comfyAPI?.app?.app?.extensionManager?.workflow?.activeWorkflow
    && !!window.LiteGraph?.registered_node_types?.XDEV_LMStudioChat && window.comfyAPI.api.api.clientId"""

CREATE = """([kind, position, values]) => {
    const node = LiteGraph.createNode(kind);
    node.pos = position;
    window.comfyAPI.app.app.graph.add(node);
    for (const [name, value] of Object.entries(values)) {
        const widget = node.widgets.find((widget) => widget.name === name);
        widget.value = value;
        widget.callback?.(value);
    }
    return node.id;
}"""


class Canvas:
    """The page with an empty graph."""

    def __init__(self, page, host):
        self.page = page
        self.host = host
        self.errors = []
        self.requests = []
        page.on("pageerror", self._failed)
        page.on("request", self._requested)
        if page.url == "about:blank":
            self.load()
        self.clear()

    def _failed(self, error):
        if "/extensions/xdev_llm/" in (error.stack or ""):
            self.errors.append(error.stack)

    def _requested(self, request):
        self.requests.append(request.url)

    def end(self):
        """Cancels what still runs, and checks that nothing of the pack failed."""
        self.page.remove_listener("pageerror", self._failed)
        self.page.remove_listener("request", self._requested)
        self.do("async () => { await window.comfyAPI.api.api.interrupt(); }")
        assert not self.errors

    def load(self):
        """Opens the front end, or reloads it."""
        if self.page.url == "about:blank":
            self.page.goto(self.host.url)
        else:
            self.page.reload()
        self.page.wait_for_function(READY, timeout=PATIENCE)

    def do(self, script, argument=None):
        """Runs JavaScript in the page."""
        return self.page.evaluate(script, argument)

    def app(self, expression, argument=None):
        """The value of an expression over `app` and `given`."""
        script = f"(given) => {{ const app = window.comfyAPI.app.app; return {expression}; }}"
        return self.page.evaluate(script, argument)

    def until(self, expression, argument=None):
        """Waits until an expression over `app` and `given` is true."""
        script = f"(given) => {{ const app = window.comfyAPI.app.app; return {expression}; }}"
        self.page.wait_for_function(script, arg=argument, timeout=PATIENCE)

    def clear(self):
        """Empties the graph in the present tab; each test has a workflow of its own."""
        self.open({**EMPTY, "id": str(uuid.uuid4())})
        self.look(40, 60)

    def open(self, workflow):
        """Opens a saved workflow in the present tab."""
        self.app(
            "app.loadGraphData(given, true, true, app.extensionManager.workflow.activeWorkflow)", workflow
        )

    def new_tab(self):
        """Opens an empty workflow in a tab of its own."""
        self.app("app.loadGraphData(given)", {**EMPTY, "id": str(uuid.uuid4())})
        self.look(40, 60)

    def previous_tab(self):
        """Goes to the tab before this one."""
        self.app("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")

    def next_tab(self):
        """Goes to the tab after this one."""
        self.app("app.extensionManager.command.execute('Workspace.NextOpenedWorkflow')")

    def set(self, name, value):
        """Changes a setting of ComfyUI."""
        self.app("app.extensionManager.setting.set(given[0], given[1])", [name, value])

    def save(self):
        """The workflow as it would be saved."""
        return self.app("JSON.parse(JSON.stringify(app.graph.serialize()))")

    def look(self, x, y, scale=1.0):
        """Moves the canvas: the graph's point (-x, -y) goes to the corner."""
        self.app(
            "(app.canvas.ds.offset[0] = given[0], app.canvas.ds.offset[1] = given[1],"
            " app.canvas.ds.scale = given[2], app.canvas.setDirty(true, true))",
            [x, y, scale],
        )

    def add(self, kind, position=(60, 40), **values):
        """Puts a node on the canvas, as a user does who then fills in its widgets."""
        return Node(self, self.do(CREATE, [kind, list(position), values]))

    def node(self, node_id):
        """A node that is there."""
        return Node(self, node_id)

    def link(self, source, output, target, name):
        """Draws a link to an input, also to one that has a widget."""
        self.app(
            "app.graph.getNodeById(given[0]).connect(given[1], app.graph.getNodeById(given[2]),"
            " app.graph.getNodeById(given[2]).inputs.findIndex((input) => input.name === given[3]))",
            [source.id, output, target.id, name],
        )

    def run(self):
        """Presses Run; does not wait."""
        self.do("() => { window.comfyAPI.app.app.queuePrompt(0, 1); }")

    def prompt(self):
        """What would be queued."""
        return self.do("async () => (await window.comfyAPI.app.app.graphToPrompt()).output")

    def picture(self, name, clip=None):
        """Keeps a picture for people to look at."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}-{self.host.version}.png"
        self.page.screenshot(path=path, **({"clip": clip} if clip else {}))
        return path


class Node:
    """A node on the canvas, and its panel."""

    def __init__(self, canvas, node_id):
        self.canvas = canvas
        self.id = node_id
        name = f"panel-{uuid.uuid4()}"
        self._get("named('xdev_llm_panel')?.element.setAttribute('data-test', given)", name)
        self.panel = canvas.page.locator(f"[data-test={name}]")

    def _get(self, expression, argument=None):
        script = (
            "([id, given]) => { const node = window.comfyAPI.app.app.graph.getNodeById(id);"
            " const named = (name) => node.widgets.find((widget) => widget.name === name);"
            f" return {expression}; }}"
        )
        return self.canvas.do(script, [self.id, argument])

    def widgets(self):
        """(name, type) of all widgets in their order."""
        return [tuple(pair) for pair in self._get("node.widgets.map((widget) => [widget.name, widget.type])")]

    def value(self, name):
        """The value of a widget."""
        return self._get("named(given).value", name)

    def values(self, name):
        """What a dropdown offers."""
        return self._get("named(given).options.values", name)

    def choose(self, name, value):
        """Chooses or types a value as a user does, so that the widget's callback is called."""
        self._get(
            "(named(given[0]).value = given[1], named(given[0]).callback?.(given[1]), null)", [name, value]
        )

    def is_disabled(self, name):
        """Whether a widget is shown as disabled."""
        return bool(self._get("named(given).disabled", name))

    def saved(self):
        """What the workflow keeps of the widgets."""
        return self._get("node.serialize().widgets_values")

    def resize(self, width, height):
        """Drags the node's corner."""
        self._get("(node.setSize(given), null)", [width, height])

    def wait_values(self, name, value):
        """Waits until a dropdown offers a value."""
        self.canvas.until(
            "app.graph.getNodeById(given[0]).widgets.find((widget) => widget.name === given[1])"
            ".options.values.includes(given[2])",
            [self.id, name, value],
        )

    def text(self, part, index=0):
        """The text of a part of the panel, by the class that follows `xdev-llm-`."""
        found = self.panel.locator(f".xdev-llm-{part}")
        return found.nth(index).text_content() if found.count() > index else ""

    def answer(self, index=0):
        """The text of an answer."""
        return self.text("section > .xdev-llm-text", index)

    def wait_state(self, state, count=1):
        """Waits until so many answers are in a state: waiting, streaming, done, stopped or error."""
        sections = self.panel.locator(f".xdev-llm-section[data-state={state}]")
        sections.nth(count - 1).wait_for(state="attached", timeout=PATIENCE)
