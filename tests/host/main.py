"""Starts the contract host: python tests/host/main.py --port N --base-directory DIR.

A stand-in for main.py of ComfyUI where none is at hand: it loads the packs in DIR/custom_nodes and serves
them over the same routes. --v1 is a ComfyUI without the V3 API, --sync one without async nodes too.
"""

import argparse
import asyncio
import logging
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent


def read_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="Runs ComfyUI node packs without ComfyUI.")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--base-directory", required=True)
    parser.add_argument("--front-end-root", help="the static folder of a front-end package")
    parser.add_argument("--v1", action="store_true", help="no V3 API")
    parser.add_argument("--sync", action="store_true", help="no V3 API, no async nodes")
    return parser.parse_args()


async def serve(server, port):
    """Loads the packs and answers until the process ends."""
    from aiohttp import web
    from comfy.utils import set_progress_bar_global_hook
    from contract_host import frontend, loading, routes
    from contract_host.execution import Executor
    from contract_host.progress import make_hook
    from contract_host.queue import PromptQueue, prompt_worker

    server.prompt_queue = PromptQueue(server)
    await loading.load_packs()
    routes.add_routes(server)
    frontend.add_frontend_routes(server)
    app = server.app = web.Application(
        client_max_size=100 * 1024 * 1024, middlewares=[routes.refuse_other_origins]
    )
    for route in server.routes:
        if isinstance(route, web.RouteDef):
            app.router.add_route(route.method, "/api" + route.path, route.handler, **route.kwargs)
    app.add_routes(server.routes)
    frontend.add_static_routes(server, app)
    set_progress_bar_global_hook(make_hook(server))

    arguments = (server.prompt_queue, server, Executor(server))
    threading.Thread(target=prompt_worker, args=arguments, name="prompt_worker", daemon=True).start()
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    logging.info("To see the GUI go to: http://127.0.0.1:%s", port)
    await server.publish_loop()


def main():
    """Sets up what packs can import, then serves."""
    arguments = read_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.path.insert(0, str(HERE / "modules"))
    if not (arguments.v1 or arguments.sync):
        sys.path.insert(0, str(HERE / "v3"))

    import folder_paths
    from contract_host import calls, loading

    folder_paths.set_base_directory(arguments.base_directory)
    if arguments.sync:
        calls.ASYNC_NODES = False
        # A None in sys.modules is what makes an import fail.
        sys.modules["comfy_execution.utils"] = sys.modules["comfy_execution.progress"] = None
    loading.run_prestartup_scripts()

    from server import PromptServer

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server = PromptServer(loop)
    server.web_root = arguments.front_end_root
    try:
        loop.run_until_complete(serve(server, arguments.port))
    except KeyboardInterrupt:
        logging.info("Stopped server")


if __name__ == "__main__":
    main()
