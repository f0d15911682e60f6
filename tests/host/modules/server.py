"""Stand-in for ComfyUI's server: PromptServer, which packs use to send messages and to add routes.

It owns the websockets and the queue of messages. The host's own routes are in contract_host/routes.py.
"""

import asyncio
import json
import logging
import struct
import uuid

import aiohttp
from aiohttp import web

TEXT = 3  # the kind of a binary message that carries a node's progress text


class PromptServer:
    """One server, reached as PromptServer.instance."""

    instance = None

    def __init__(self, loop):
        PromptServer.instance = self
        self.loop = loop
        self.messages = asyncio.Queue()
        self.routes = web.RouteTableDef()
        self.app = None
        self.prompt_queue = None
        self.sockets = {}
        self.sockets_metadata = {}
        self.supports = ["custom_nodes_from_web"]
        self.features = {"supports_preview_metadata": True, "max_upload_size": 100 * 1024 * 1024}
        self.on_prompt_handlers = []
        self.number = 0
        self.client_id = None
        self.last_node_id = None
        self.last_prompt_id = None

    # Messages out

    def send_sync(self, event, data, sid=None):
        """Sends a message to one browser, or to all, from any thread."""
        self.loop.call_soon_threadsafe(self.messages.put_nowait, (event, data, sid))

    def send_progress_text(self, text, node_id, sid=None):
        """Shows text on a node."""
        content = text.encode("utf-8") if isinstance(text, str) else bytes(text)
        name = str(node_id).encode("utf-8")
        self.send_sync(TEXT, struct.pack(">I", len(name)) + name + content, sid)

    async def send(self, event, data, sid=None):
        """Sends a message now; bytes go out as a binary frame that begins with the event's number."""
        targets = (
            list(self.sockets.values()) if sid is None else [self.sockets[sid]] if sid in self.sockets else []
        )
        for socket in targets:
            try:
                if isinstance(data, (bytes, bytearray)):
                    await socket.send_bytes(struct.pack(">I", event) + data)
                else:
                    await socket.send_json({"type": event, "data": data})
            except (aiohttp.ClientError, ConnectionError) as error:
                logging.warning("send error: %s", error)

    async def publish_loop(self):
        """Sends what was queued, in order."""
        while True:
            await self.send(*await self.messages.get())

    def get_queue_info(self):
        """How many prompts wait or run."""
        return {"exec_info": {"queue_remaining": self.prompt_queue.get_tasks_remaining()}}

    def queue_updated(self):
        """Tells every browser the length of the queue."""
        self.send_sync("status", {"status": self.get_queue_info()})

    # Hooks of packs

    def add_on_prompt_handler(self, handler):
        """Lets a pack change what was posted before it is checked."""
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, posted):
        """Asks every pack's handler; one that fails changes nothing."""
        for handler in self.on_prompt_handlers:
            try:
                posted = handler(posted)
            except Exception:
                logging.exception("an on_prompt handler failed")
        return posted

    # Sockets in

    async def serve_socket(self, request):
        """Keeps one browser's socket until it closes."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = request.rel_url.query.get("clientId", "") or uuid.uuid4().hex
        self.sockets[sid] = socket
        self.sockets_metadata[sid] = {"feature_flags": {}}
        try:
            await self.send("status", {"status": self.get_queue_info(), "sid": sid}, sid)
            if self.client_id == sid and self.last_node_id is not None:
                await self.send("executing", {"node": self.last_node_id}, sid)
            first = True
            async for message in socket:
                if message.type == aiohttp.WSMsgType.TEXT:
                    await self._read(sid, message.data, first)
                    first = False
        finally:
            if self.sockets.get(sid) is socket:
                self.sockets.pop(sid)
                self.sockets_metadata.pop(sid, None)
        return socket

    async def _read(self, sid, text, first):
        try:
            message = json.loads(text)
        except json.JSONDecodeError:
            logging.warning("not JSON from client %s", sid)
            return
        if first and message.get("type") == "feature_flags":
            self.sockets_metadata[sid]["feature_flags"] = message.get("data", {})
            await self.send("feature_flags", dict(self.features), sid)
