"""The bridge between a node that runs and the browser, the model server and ComfyUI's Cancel button.

Here live the one `Client` of the process, the `Feed` that sends an answer to the browser while it arrives, and `ask`,
which ends at once when ComfyUI is interrupted. Not here: what nodes take and give (`nodes`), HTTP routes (`routes`).
"""

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict

import comfy.model_management
import xdev_llm
from server import PromptServer

from . import running

# How often the browser gets what arrived, and Cancel is looked at.
INTERVAL = 0.05
# How often a change of a server's memory is looked at.
LOOK = 0.02
# Without our JavaScript ComfyUI shows the end of the text, and less often: each such message holds it anew.
PLAIN_INTERVAL = 0.5
PLAIN_LENGTH = 1000
# Browsers and nodes that are remembered; the oldest are forgotten.
REMEMBERED = 256

_client = None
_client_lock = threading.Lock()
# The browsers that run our JavaScript.
_browsers = OrderedDict()
# How often a node's failure was replaced by something: see `forget_result`.
_replaced = OrderedDict()


def client():
    """The process's one client: connections, permits and what it remembers are shared by all nodes."""
    global _client
    with _client_lock:
        if _client is None:
            _client = xdev_llm.Client()
        return _client


def presets():
    """The presets by name; where the user's config is wrong, the built-in ones: running a node names the fault."""
    try:
        return client().presets
    except xdev_llm.Error:
        return xdev_llm.builtin_presets()


def aliases():
    """The names of the aliases; where the user's config is wrong, none: running a node names the fault."""
    try:
        return client().aliases
    except xdev_llm.Error:
        return {}


def greet(client_id):
    """Remembers that a browser runs our JavaScript."""
    remember(_browsers, client_id, True)


def forget_result(node_id):
    """Makes ComfyUI run this node again next time, though it keeps what the node returned in place of an answer."""
    remember(_replaced, node_id, _replaced.get(node_id, 0) + 1)


def times_replaced(node_id):
    """Goes into the node's fingerprint; see `forget_result`."""
    return _replaced.get(node_id, 0)


def remember(known, key, value):
    """Keeps a value, and forgets the oldest where there are too many."""
    known[key] = value
    known.move_to_end(key)
    while len(known) > REMEMBERED:
        known.popitem(last=False)


class Feed:
    """`Feed` sends what happens in one run of a node to the browser that queued it.

    Made in the node, then called from another thread, so that it goes on while a sampler blocks ComfyUI's own. A node with
    several answers has a feed for each: `part` is its place among them, and `title` what stands above it.
    """

    def __init__(self, node_id, is_live=True, part=0, title=None, **told):
        self._node_id = node_id
        self._part = part
        self._title = title
        self._shown_id = running.display_id(node_id)
        self._item = running.list_index()
        self._browser = PromptServer.instance.client_id
        # Where our JavaScript is not, ComfyUI's own text display takes its place.
        self._is_ours = self._browser in _browsers
        self._is_live = is_live
        self._plain = ""
        self._plain_sent = 0.0
        self.begin(**told)

    def begin(self, **told):
        """Empties what is shown, and says what is known before anything arrives."""
        title = {} if self._title is None else {"title": self._title}
        self.send(start=True, **title, **told)

    def send(self, **data):
        """Sends one message; nobody gets it when the prompt came without a browser."""
        if self._browser is None or not self._is_ours:
            return
        message = {"node": self._shown_id, **data}
        if self._item:
            message["item"] = self._item
        if self._part:
            message["part"] = self._part
        PromptServer.instance.send_sync("xdev_llm", message, self._browser)

    def take(self, events):
        """Takes what arrived since the last call. `False` cancels the run: the user pressed Cancel.

        The flag is only read: ComfyUI's own check clears it, and other items of a list would run on.
        """
        if comfy.model_management.processing_interrupted():
            return False
        message = _message(events)
        if message.get("progress"):
            self._move_bar(message["progress"])
        if not self._is_live:
            message.pop("text", None)
            message.pop("reasoning", None)
        if message:
            self.send(**message)
        if self._is_live and not self._is_ours and self._browser is not None:
            self._show_plain(message)
        return True

    def show_progress(self, progress):
        """Shows how far a change of a server's memory is."""
        self.send(progress={"phase": progress["phase"], "value": progress.get("value")})
        self._move_bar(progress)

    def _move_bar(self, progress):
        """Moves the node's own bar."""
        if progress.get("value") is None:
            return
        try:
            from comfy_execution.progress import get_progress_state
        except ImportError:
            return
        get_progress_state().update_progress(self._node_id, progress["value"], 1.0, None)

    def _show_plain(self, message):
        if message.get("reclassify"):
            self._plain = ""
        self._plain = (self._plain + message.get("text", ""))[-PLAIN_LENGTH:]
        now = time.monotonic()
        if not self._plain or now - self._plain_sent < PLAIN_INTERVAL:
            return
        self._plain_sent = now
        title = "" if self._title is None else f"{self._title}: "
        _send_plain(title + self._plain, self._shown_id, self._browser)


def show_plain(node_id, text):
    """Shows the beginning of a text in ComfyUI's own text display where our JavaScript is not."""
    browser = PromptServer.instance.client_id
    if browser is not None and browser not in _browsers:
        _send_plain(text[:PLAIN_LENGTH], running.display_id(node_id), browser)


def _send_plain(text, node_id, browser):
    # Old versions of ComfyUI have no such display.
    send = getattr(PromptServer.instance, "send_progress_text", None)
    if send:
        # Some front ends take this text as HTML: no tag begins with `<` and a space of no width.
        send(text.replace("<", "<\u200b"), node_id, sid=browser)


def _message(events):
    """Makes one message of the events of one interval."""
    message = {}
    for event in events:
        kind = event.kind
        if kind in ("text", "reasoning"):
            message[kind] = message.get(kind, "") + event.text
        elif kind == "text_was_reasoning":
            # What came as text in this very message goes the same way as what is shown already.
            message["reasoning"] = message.get("reasoning", "") + message.pop("text", "")
            message["reclassify"] = True
        elif kind in ("loading_model", "reading_prompt"):
            message["progress"] = {"phase": kind, "value": event.progress}
        elif kind == "started" and event.data and event.data.get("model"):
            message["model"] = event.data["model"]
    return message


def stop_if_interrupted():
    """Ends a node that waits, once the user has pressed Cancel.

    The flag is only read: ComfyUI's own check clears it, and other items of a list would run on.
    """
    if comfy.model_management.processing_interrupted():
        raise comfy.model_management.InterruptProcessingException()


@contextlib.contextmanager
def ends_shown(feed):
    """Shows the browser how a run ends early."""
    try:
        yield
    except xdev_llm.Interrupted as interrupted:
        feed.send(stopped=True)
        raise comfy.model_management.InterruptProcessingException() from interrupted
    except (asyncio.CancelledError, comfy.model_management.InterruptProcessingException):
        # In the first case another node failed or was interrupted, and ComfyUI takes this one down.
        feed.send(stopped=True)
        raise
    except Exception as error:
        feed.send(error=str(error))
        raise


async def ask(feed, **request):
    """Asks the model server, and gives its reply; ends within a tenth of a second when the user cancels."""
    with ends_shown(feed):
        # Awaiting cancels the run where the node is cancelled.
        reply = await client().chat(**request, on_events=feed.take, interval=INTERVAL)
    feed.send(**told(reply))
    return reply


async def follow(call, feed, gives_up=False):
    """Awaits a change of a server's memory and shows how far it is; ends at once when the user cancels.

    The change itself goes on then, unless it has not begun and the node `gives_up`.
    """
    shown = None
    try:
        # Not awaited: several nodes may wait for one change, and the first to be cancelled would end it for all.
        while not call.done:
            stop_if_interrupted()
            if call.progress != shown:
                shown = call.progress
                feed.show_progress(shown)
            await asyncio.sleep(LOOK)
        return call.wait()
    except (asyncio.CancelledError, comfy.model_management.InterruptProcessingException):
        if gives_up:
            call.cancel()
        raise


async def look(call, seconds=None):
    """Awaits what a server tells of itself; ends at once when the user cancels, and raises TimeoutError after `seconds`."""
    if call.done:
        return call.wait()
    task = asyncio.ensure_future(call)
    until = None if seconds is None else time.monotonic() + seconds
    try:
        while not (await asyncio.wait({task}, timeout=INTERVAL))[0]:
            stop_if_interrupted()
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"no answer in {seconds} s")
        return task.result()
    finally:
        task.cancel()


def told(reply):
    """What the panel says of a reply besides its text."""
    wanted = ("tokens_per_second", "time_to_first_token", "output_tokens", "duration", "finish_reason")
    # Each look at a reply's statistics makes them anew.
    stats = reply.stats
    done = {name: stats[name] for name in wanted if stats.get(name) is not None}
    if stats.get("tokens_estimated"):
        done["estimated"] = True
    done.update(warnings=reply.warnings, notes=reply.notes)
    server = {name: reply.server[name] for name in ("url", "kind", "name") if reply.server.get(name)}
    detected = {"detected": " ".join(reply.notes)} if reply.notes else {}
    return {"done": done, "server": server, "model": reply.model or stats.get("model_requested"), **detected}
