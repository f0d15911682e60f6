"""The host's routes for prompts: node definitions, queue, history, interrupt and the websocket.

What only the front end asks for is in frontend.py.
"""

import logging
import urllib.parse
import uuid
from contextlib import suppress

import nodes
from aiohttp import web

from contract_host import classes
from contract_host.validation import problem, validate_prompt


@web.middleware
async def refuse_other_origins(request, handler):
    """Answers 403 to pages of other sites that reach for a server on this machine."""
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    name = urllib.parse.urlsplit(f"//{host}").hostname
    if origin and name in ("localhost", "127.0.0.1", "::1"):
        if urllib.parse.urlsplit(origin).netloc.lower() != host.lower():
            logging.warning("request with non matching host and origin %s != %s, returning 403", host, origin)
            return web.Response(status=403)
    return await handler(request)


def add_routes(server):
    """Adds all of them to the server's table."""
    server.routes.get("/ws")(server.serve_socket)
    add_definition_routes(server.routes)
    add_prompt_routes(server)
    add_queue_routes(server)
    add_history_routes(server)


def add_definition_routes(routes):
    """What nodes there are."""

    @routes.get("/object_info")
    async def all_nodes(request):
        found = {}
        for name, node_class in nodes.NODE_CLASS_MAPPINGS.items():
            try:
                found[name] = classes.describe(name, node_class, nodes.NODE_DISPLAY_NAME_MAPPINGS)
            except Exception:
                logging.exception("no information for the node %s", name)
        return web.json_response(found)

    @routes.get("/object_info/{name}")
    async def one_node(request):
        name = request.match_info["name"]
        known = nodes.NODE_CLASS_MAPPINGS.get(name)
        display_names = nodes.NODE_DISPLAY_NAME_MAPPINGS
        return web.json_response({name: classes.describe(name, known, display_names)} if known else {})


def add_prompt_routes(server):
    """Queueing a prompt."""
    routes, queue = server.routes, server.prompt_queue

    @routes.get("/prompt")
    async def queue_length(request):
        return web.json_response(server.get_queue_info())

    @routes.post("/prompt")
    async def post_prompt(request):
        posted = server.trigger_on_prompt(await request.json())
        if "prompt" not in posted:
            error = problem("no_prompt", "No prompt provided", "No prompt provided")
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        number = float(posted["number"]) if "number" in posted else server.number
        if "number" not in posted:
            number = -number if posted.get("front") else number
            server.number += 1
        prompt_id = str(posted.get("prompt_id", uuid.uuid4()))
        fine, error, outputs, node_errors = await validate_prompt(
            prompt_id, posted["prompt"], posted.get("partial_execution_targets")
        )
        if not fine:
            logging.warning("invalid prompt: %s", error)
            return web.json_response({"error": error, "node_errors": node_errors}, status=400)
        extra_data = posted.get("extra_data", {})
        if "client_id" in posted:
            extra_data["client_id"] = posted["client_id"]
        queue.put((number, prompt_id, posted["prompt"], extra_data, outputs))
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": node_errors})


def add_queue_routes(server):
    """What runs and what waits."""
    routes, queue = server.routes, server.prompt_queue

    @routes.get("/queue")
    async def get_queue(request):
        running, waiting = queue.get_current_queue()
        return web.json_response({"queue_running": running, "queue_pending": waiting})

    @routes.post("/queue")
    async def post_queue(request):
        posted = await request.json()
        if posted.get("clear"):
            queue.delete(None)
        queue.delete(posted.get("delete", []))
        return web.Response()

    @routes.post("/interrupt")
    async def interrupt(request):
        posted = {}
        with suppress(ValueError):
            posted = await request.json()
        running = [item[1] for item in queue.get_current_queue()[0]]
        if not posted.get("prompt_id") or posted["prompt_id"] in running:
            nodes.interrupt_processing()
        return web.Response()

    @routes.post("/free")
    async def free(request):
        for name, value in (await request.json()).items():
            if value:
                queue.set_flag(name, value)
        return web.Response()


def add_history_routes(server):
    """What has ended."""
    routes, queue = server.routes, server.prompt_queue

    @routes.get("/history")
    async def get_history(request):
        entries = list(queue.history.items())
        limit = int(request.rel_url.query.get("max_items", len(entries)))
        offset = int(request.rel_url.query.get("offset", -1))
        offset = max(0, len(entries) - limit) if offset < 0 else offset
        return web.json_response(dict(entries[offset : offset + limit]))

    @routes.get("/history/{prompt_id}")
    async def get_history_entry(request):
        prompt_id = request.match_info["prompt_id"]
        return web.json_response({id: entry for id, entry in queue.history.items() if id == prompt_id})

    @routes.post("/history")
    async def post_history(request):
        posted = await request.json()
        if posted.get("clear"):
            queue.delete_history(None)
        queue.delete_history(posted.get("delete", []))
        return web.Response()
