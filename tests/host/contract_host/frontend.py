"""What the real front ends ask for besides prompts: extensions, settings, files, translations, templates.

Enough for them to load and work; models, uploads and accounts are answered as empty.
"""

import glob
import json
import os
import platform
import sys
import urllib.parse

import folder_paths
import nodes
from aiohttp import web

VERSION = "0.3.64"  # the ComfyUI whose behaviour is imitated
EMPTY_LISTS = (
    "/embeddings",
    "/models",
    "/experiment/models",
    "/models/{folder}",
    "/experiment/models/{folder}",
)
EMPTY_OBJECTS = ("/global_subgraphs", "/node_replacements")


def add_frontend_routes(server):
    """Adds them to the server's table."""
    routes = server.routes

    async def empty_list(request):
        return web.json_response([])

    async def empty_object(request):
        return web.json_response({})

    for path in EMPTY_LISTS:
        routes.get(path)(empty_list)
    for path in EMPTY_OBJECTS:
        routes.get(path)(empty_object)

    @routes.get("/features")
    async def features(request):
        return web.json_response(server.features)

    @routes.get("/system_stats")
    async def system_stats(request):
        memory = {"vram_total": 0, "vram_free": 0, "torch_vram_total": 0, "torch_vram_free": 0}
        return web.json_response(
            {
                "system": {
                    "os": os.name,
                    "ram_total": 0,
                    "ram_free": 0,
                    "comfyui_version": VERSION,
                    "required_frontend_version": None,
                    "installed_templates_version": None,
                    "required_templates_version": None,
                    "python_version": sys.version,
                    "pytorch_version": "none",
                    "embedded_python": False,
                    "argv": sys.argv,
                },
                "devices": [{"name": platform.machine(), "type": "cpu", "index": None, **memory}],
            }
        )

    add_jobs_routes(server)
    add_settings_routes(routes)
    add_file_routes(routes)
    add_pack_routes(server)


def add_pack_routes(server):
    """Routes for the files of packs."""
    routes = server.routes

    @routes.get("/extensions")
    async def extensions(request):
        root = server.web_root
        own = glob.glob(os.path.join(glob.escape(root), "extensions/**/*.js"), recursive=True) if root else []
        found = ["/" + os.path.relpath(file, root).replace(os.sep, "/") for file in own]
        for name, folder in nodes.EXTENSION_WEB_DIRS.items():
            files = glob.glob(os.path.join(glob.escape(folder), "**/*.js"), recursive=True)
            prefix = f"/extensions/{urllib.parse.quote(name)}/"
            found += [prefix + os.path.relpath(file, folder).replace(os.sep, "/") for file in files]
        return web.json_response(found)

    @routes.get("/i18n")
    async def translations(request):
        return web.json_response(read_translations())

    @routes.get("/workflow_templates")
    async def templates(request):
        found = {}
        for folder in folder_paths.get_folder_paths("custom_nodes"):
            for file in sorted(glob.glob(os.path.join(folder, "*", "example_workflows", "*.json"))):
                pack = os.path.basename(os.path.dirname(os.path.dirname(file)))
                found.setdefault(pack, []).append(os.path.splitext(os.path.basename(file))[0])
        return web.json_response(found)


def add_static_routes(server, app):
    """Serves the files of packs and, last, of the front end."""
    for name, folder in nodes.LOADED_MODULE_DIRS.items():
        if os.path.isdir(os.path.join(folder, "example_workflows")):
            workflows = os.path.join(folder, "example_workflows")
            app.add_routes([web.static(f"/api/workflow_templates/{name}", workflows)])
    for name, folder in nodes.EXTENSION_WEB_DIRS.items():
        app.add_routes([web.static(f"/extensions/{name}", folder)])

    async def index(request):
        if server.web_root is None:
            return web.Response(text="The contract host runs without a front end.\n")
        return web.FileResponse(
            os.path.join(server.web_root, "index.html"), headers={"Cache-Control": "no-cache"}
        )

    async def logs(request):
        return web.json_response({"entries": [], "size": {"cols": 80, "rows": 24}})

    async def folders(request):
        return web.json_response({})

    async def no_templates(request):
        return web.json_response([])

    app.add_routes(
        [
            web.get("/", index),
            web.get("/templates/index.json", no_templates),
            web.get("/internal/logs/raw", logs),
            web.patch("/internal/logs/subscribe", folders),
            web.get("/internal/folder_paths", folders),
        ]
    )
    if server.web_root is not None:
        app.add_routes([web.static("/", server.web_root)])


def read_translations():
    """The locales of all packs, by language."""
    found = {}
    for folder in folder_paths.get_folder_paths("custom_nodes"):
        for file in sorted(glob.glob(os.path.join(folder, "*", "locales", "*", "*.json"))):
            language = os.path.basename(os.path.dirname(file))
            name = os.path.splitext(os.path.basename(file))[0]
            with open(file, encoding="utf-8") as stream:
                content = json.load(stream)
            if name == "main":
                merge(found.setdefault(language, {}), content)
            elif name in ("nodeDefs", "commands", "settings"):
                merge(found.setdefault(language, {}).setdefault(name, {}), content)
    return found


def merge(target, source):
    """Lays one tree of dictionaries over another."""
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def read_settings():
    """The user's settings."""
    file = user_path("comfy.settings.json")
    if not os.path.exists(file):
        return {}
    with open(file, encoding="utf-8") as stream:
        return json.load(stream)


def write_settings(settings):
    """Keeps the user's settings."""
    os.makedirs(user_path(""), exist_ok=True)
    with open(user_path("comfy.settings.json"), "w", encoding="utf-8") as stream:
        json.dump(settings, stream, indent=4)


def add_settings_routes(routes):
    """Routes for the one user and for settings."""

    @routes.get("/users")
    async def users(request):
        return web.json_response({"storage": "server", "migrated": os.path.exists(user_path(""))})

    @routes.get("/settings")
    async def get_settings(request):
        return web.json_response(read_settings())

    @routes.get("/settings/{name}")
    async def get_setting(request):
        return web.json_response(read_settings().get(request.match_info["name"]))

    @routes.post("/settings")
    async def post_settings(request):
        write_settings({**read_settings(), **await request.json()})
        return web.Response()

    @routes.post("/settings/{name}")
    async def post_setting(request):
        write_settings({**read_settings(), request.match_info["name"]: await request.json()})
        return web.Response()


def add_file_routes(routes):
    """Routes for the user's files, workflows among them."""

    @routes.get("/userdata")
    async def list_files(request):
        query = request.rel_url.query
        folder = user_path(query.get("dir", ""))
        if not os.path.isdir(folder):
            return web.Response(status=404, text="Directory not found")
        pattern = "**/*" if query.get("recurse") == "true" else "*"
        files = glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True)
        files = [file for file in files if os.path.isfile(file)]
        full = query.get("full_info") == "true"
        return web.json_response(
            [file_info(file, folder) if full else relative(file, folder) for file in files]
        )

    @routes.get("/userdata/{file}")
    async def get_file(request):
        file = user_path(request.match_info["file"])
        return web.FileResponse(file) if os.path.isfile(file) else web.Response(status=404)

    @routes.post("/userdata/{file}")
    async def post_file(request):
        file = user_path(request.match_info["file"])
        if request.query.get("overwrite") == "false" and os.path.exists(file):
            return web.Response(status=409, text="File already exists")
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(await request.read())
        full = request.query.get("full_info") == "true"
        return web.json_response(file_info(file, user_path("")) if full else relative(file, user_path("")))

    @routes.delete("/userdata/{file}")
    async def delete_file(request):
        file = user_path(request.match_info["file"])
        if not os.path.exists(file):
            return web.Response(status=404)
        os.remove(file)
        return web.Response(status=204)

    @routes.post("/userdata/{file}/move/{to}")
    async def move_file(request):
        source, target = user_path(request.match_info["file"]), user_path(request.match_info["to"])
        if not os.path.exists(source):
            return web.Response(status=404)
        if request.query.get("overwrite") == "false" and os.path.exists(target):
            return web.Response(status=409, text="File already exists")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(source, target)
        return web.json_response(file_info(target, user_path("")))


def user_path(name):
    """A file of the user's; refuses what lies elsewhere."""
    root = os.path.join(folder_paths.get_user_directory(), "default")
    path = os.path.abspath(os.path.join(root, urllib.parse.unquote(name)))
    if os.path.commonpath((root, path)) != root:
        raise web.HTTPForbidden()
    return path


def relative(file, folder):
    """A file's path below a folder, with slashes."""
    return os.path.relpath(file, folder).replace(os.sep, "/")


def file_info(file, folder):
    """A file as the front end lists it."""
    status = os.stat(file)
    return {
        "path": relative(file, folder),
        "size": status.st_size,
        "modified": status.st_mtime,
        "created": status.st_ctime,
    }


def add_jobs_routes(server):
    """The queue and the history as the 2026 front end asks for them."""
    routes, queue = server.routes, server.prompt_queue

    def all_jobs():
        running, waiting = queue.get_current_queue()
        entries = [(item, "in_progress", {}) for item in running] + [
            (item, "pending", {}) for item in waiting
        ]
        for entry in queue.history.values():
            status = "completed" if entry["status"]["completed"] else "failed"
            entries.append((entry["prompt"], status, entry))
        return [job(*entry) for entry in entries]

    @routes.get("/jobs")
    async def jobs(request):
        query = request.rel_url.query
        wanted = query.get("status", "").split(",")
        found = [entry for entry in all_jobs() if entry["status"] in wanted or wanted == [""]]
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 200))
        page = {
            "offset": offset,
            "limit": limit,
            "total": len(found),
            "has_more": offset + limit < len(found),
        }
        return web.json_response({"jobs": found[offset : offset + limit], "pagination": page})

    @routes.get("/jobs/{id}")
    async def one_job(request):
        found = [entry for entry in all_jobs() if entry["id"] == request.match_info["id"]]
        return web.json_response(found[0]) if found else web.Response(status=404)

    @routes.get("/jobs/{id}/assets")
    async def job_assets(request):
        return web.json_response(
            {"assets": [], "pagination": {"offset": 0, "limit": 0, "total": 0, "has_more": False}}
        )

    def cancel(ids):
        queue.delete(ids)
        if any(item[1] in ids for item in queue.get_current_queue()[0]):
            nodes.interrupt_processing()
        return web.json_response({})

    @routes.post("/jobs/{id}/cancel")
    async def cancel_job(request):
        return cancel([request.match_info["id"]])

    @routes.post("/jobs/cancel")
    async def cancel_jobs(request):
        return cancel((await request.json())["job_ids"])


def job(item, status, entry):
    """A prompt as the 2026 front end lists it."""
    times = {event: data["timestamp"] for event, data in entry.get("status", {}).get("messages", [])}
    ends = [
        time for event, time in times.items() if event.split("_")[-1] in ("success", "error", "interrupted")
    ]
    begun = times.get("execution_start")
    outputs = entry.get("outputs", {})
    return {
        "id": item[1],
        "status": status,
        "create_time": begun or 0,
        "execution_start_time": begun,
        "execution_end_time": max(ends, default=None),
        "preview_output": None,
        "outputs_count": len(outputs),
        "previewable_outputs_count": 0,
        "priority": item[0],
        "workflow": {"prompt": item[2], "extra_data": item[3]},
        "outputs": outputs,
        "execution_status": entry.get("status"),
    }
