"""The HTTP routes our JavaScript asks: models, servers, styles.

They run on ComfyUI's event loop, so they only await. They take a server's name or a URL that the trust rules allow, and
never give a key. Anyone who reaches ComfyUI's port can ask them. Not here: what is shown (`web`).
"""

import asyncio

import xdev_llm

from . import bridge


def register():
    """Adds the routes to ComfyUI's server."""
    from aiohttp import web
    from server import PromptServer

    routes = PromptServer.instance.routes

    @routes.get("/xdev_llm/models")
    async def models(request):
        server, aliases = request.query.get("server") or None, []
        try:
            # They are there even where the server is not: that is what they are for.
            aliases = _aliases()
            info = await bridge.client().server(server, fresh=True)
        except xdev_llm.Error as error:
            return _failed(web, error, aliases=aliases)
        server = {"url": info.url, "kind": info.kind, "name": info.name, "version": info.version}
        listed = [model.as_dict() for model in info.models]
        told = {"server": server, "models": listed, "auto": info.auto, "notes": info.notes, "aliases": aliases}
        return web.json_response(told)

    @routes.get("/xdev_llm/servers")
    async def servers(request):
        try:
            configured = bridge.client().servers
            found = await bridge.client().discover(fresh=True)
        except xdev_llm.Error as error:
            return _failed(web, error)
        listed = [
            {"name": name, "url": url, "kind": None, "source": "configured"} for name, url in configured.items()
        ]
        listed += [
            {"name": None, "url": server.url, "kind": server.kind, "source": "discovered"} for server in found
        ]
        return web.json_response({"servers": listed})

    @routes.get("/xdev_llm/styles")
    async def styles(request):
        from xdev_llm import prompt

        # Files are read, which may take a while on a slow disk.
        words = request.query.get("search", "")[:1000]
        try:
            found = await asyncio.to_thread(prompt.search_styles, words)
            notes = await asyncio.to_thread(prompt.library_notes)
        except xdev_llm.Error as error:
            return _failed(web, error)
        return web.json_response({"styles": found, "notes": notes})

    @routes.post("/xdev_llm/hello")
    async def hello(request):
        try:
            client_id = (await request.json())["client_id"]
        except (ValueError, KeyError, TypeError):
            client_id = None
        if not isinstance(client_id, str) or not 0 < len(client_id) <= 100:
            return web.json_response({"error": {"message": "client_id is no short text"}}, status=400)
        bridge.greet(client_id)
        return web.json_response({"version": xdev_llm.__version__})


def _aliases():
    """The aliases of the config, each with its routes."""
    return [{"name": name, "routes": routes} for name, routes in bridge.client().aliases.items()]


def _failed(web, error, **more):
    told = {"code": error.code, "message": error.message, "hint": error.hint}
    status = 400 if isinstance(error, ValueError) else 502
    return web.json_response({"error": told, **more}, status=status)
