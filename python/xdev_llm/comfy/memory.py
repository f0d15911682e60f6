"""Who still needs a model in the prompt that runs, and the hand-over of memory between ComfyUI and the model server.

A node that uses a model does so inside a `Use`. The last one out unloads, when one of them was asked to, and what was
begun is looked after to its verified end, whatever becomes of the prompt. Not here: how a server is told and its list
looked at (the engine), what ComfyUI tells of the prompt (`running`).
"""

import asyncio
import logging
import threading
import time

import comfy.model_management
import xdev_llm

from . import bridge, running

KEEP = "keep"
UNLOAD_AFTER = "unload after"
UNLOAD_AFTER_LAST = "unload after the last LLM node"
FREE_FIRST = "free ComfyUI's models first"
FREE_FIRST_UNLOAD_AFTER_LAST = "free ComfyUI's models first, unload after the last"
MODES = (KEEP, UNLOAD_AFTER, UNLOAD_AFTER_LAST, FREE_FIRST, FREE_FIRST_UNLOAD_AFTER_LAST)

# The nodes that use a model, which their widgets server_url and model (or models) name.
USERS = ("XDEV_LMStudioChat", "XDEV_LLMLoad", "XDEV_LLMCompare")

# Seconds between two looks, for those who wait and for the watcher.
PAUSE = 0.02
WATCH_PAUSE = 0.1
# Seconds that a server may take to tell what "auto" is, where that only helps to compare.
PATIENCE = 2
# Turns of the loop until all items of a list have begun that ComfyUI is about to begin.
TURNS = 5

_lock = threading.RLock()
# What is used or is to be unloaded, by server and model.
_models = {}
# The unloads that go on.
_unloads = []
_watcher = None
# What the widgets mean, in the prompt that runs.
_meanings = {}


class _Model:
    """`_Model` is a model that nodes of this process use, at an address. `server` is how that is asked: a name of the
    user's config stands for more than an address."""

    def __init__(self, server, url, model):
        self.server = server
        self.url = url
        self.model = model
        self.uses = set()
        # The load that all who are going to unload it share.
        self.loading = None
        # The prompt in which a node was asked to unload it.
        self.owed_by = None

    @property
    def is_asked(self):
        """Whether an answer is on its way."""
        return any(use.is_asking for use in self.uses)


class Unloading:
    """`Unloading` is an unload that goes on, of a model or, with None, of all."""

    def __init__(self, server, url, model):
        self.url = url
        self.model = model
        self.free_before = free_bytes()
        what = {"all": True} if model is None else {"model": model}
        self.call = bridge.client().unload(server=server, **what)
        self._told = None

    def told(self):
        """What came of it, for people to read; raises what went wrong. The first who asks measures."""
        if self._told is None:
            self._told = self._measure()
        return self._told

    def _measure(self):
        unloaded, after = self.call.wait(), free_bytes()
        # Copies of one model count as one.
        told = {"models": list(dict.fromkeys(model["id"] for model in unloaded["models"]))}
        told["duration"] = unloaded["duration"]
        freed = unloaded.get("freed_bytes")
        if self.free_before is not None and after is not None:
            told.update(free_mb_before=megabytes(self.free_before), free_mb_after=megabytes(after))
            # Where models and server share a device, what it has more of now was the model's.
            freed = after - self.free_before if freed is None and _is_gpu() else freed
        if freed is not None and freed > 0:
            told["freed_mb"] = megabytes(freed)
        return told


class Use:
    """`Use` is one run of a node with a model, from before it is loaded until nothing is owed any more.

    `told` fills with what happened, and `model` is what is to be asked once it has begun. `load` are keywords of
    `Client.load`, for a node that wants the model loaded and to stay; a mode that unloads loads too, so that a server
    which cannot unload is known before anything is asked.
    """

    def __init__(self, feed, node_id, mode, server, model, detects=False, load=None):
        if mode not in MODES:
            raise xdev_llm.InvalidInput(f'memory: "{mode}" is none of: {", ".join(MODES)}.')
        self.told = {"mode": mode}
        self.model = model
        self.is_asking = True
        self.unloading = None
        self._feed = feed
        self._place = running.Place(node_id)
        self._given = (server, model)
        self._detects = detects
        self._load = load
        self._frees = mode in (FREE_FIRST, FREE_FIRST_UNLOAD_AFTER_LAST)
        self._unloads = mode in (UNLOAD_AFTER, UNLOAD_AFTER_LAST, FREE_FIRST_UNLOAD_AFTER_LAST)
        self._is_the_last_word = mode == UNLOAD_AFTER
        self._used = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        try:
            if error is None and self._used is not None:
                with bridge.ends_shown(self._feed):
                    await self._end()
        finally:
            self._leave()

    async def begin(self):
        """Makes room, and loads the model where it is to be unloaded again."""
        if self._frees:
            self.told["comfyui"] = free_comfyui()
        try:
            if self._unloads or self._load is not None:
                with bridge.ends_shown(self._feed):
                    await self._begin()
            elif _models or _unloads or self._unloaders()[1]:
                await self._begin_quietly()
        except BaseException:
            self._leave()
            raise

    async def _begin(self):
        """Loads the model, and speaks of it from now on by what it means."""
        await self._enter(*await self._meaning(*self._given, self._detects))
        if self.model not in bridge.aliases():
            # An alias goes on to be asked as one: its routes say more than this.
            self.model = self._used.model
        try:
            loaded = await self._load_now()
        except xdev_llm.Unsupported:
            # What cannot be unloaded is not owed.
            self._used.owed_by = None
            raise
        self.told["loaded"] = {
            key: loaded[key]
            for key in ("server", "id", "was_loaded", "duration", "context_length", "evicted", "not_sent")
            if key in loaded
        }

    async def _begin_quietly(self):
        """Lets others know of this use. What is wrong is the asking's to tell."""
        try:
            await self._enter(*await self._meaning(*self._given, False, PATIENCE))
            if self._used.owed_by is not None or await self._is_to_go():
                # Loads take turns. Asked without, the server might load a second copy while another node loads.
                await self._load_now()
        except (xdev_llm.Error, TimeoutError):
            return

    async def _load_now(self):
        used, load = self._used, bridge.client().load
        if self._load is not None:
            call = load(used.model, server=used.server, **self._wanted())
            return await bridge.follow(call, self._feed, gives_up=True)
        with _lock:
            if used.loading is None:
                used.loading = load(used.model, server=used.server, must_unload=True, **self._wanted())
            call = used.loading
        try:
            return await bridge.follow(call, self._feed, gives_up=True)
        except BaseException:
            # The next one tries anew.
            used.loading = None
            raise

    def _wanted(self):
        """How the model is to be loaded: as this node says, else as an alias of the user's config does."""
        for route in bridge.aliases().get(self._given[1], ()):
            if route.get("model") == self._used.model and route.get("context_length"):
                return {"context_length": route["context_length"], **(self._load or {})}
        return self._load or {}

    async def _enter(self, server, url, model):
        """Becomes a user of the model, once no unload of it goes on."""
        while True:
            with _lock:
                _settle()
                if not any(going.url == url and going.model in (None, "auto", model) for going in _unloads):
                    self._used = _models.setdefault((url, model), _Model(server, url, model))
                    self._used.uses.add(self)
                    if self._unloads:
                        self._used.owed_by = self._place.prompt_id
                        _watch()
                    return
            await _pause()

    async def _end(self):
        """Unloads if somebody asked for it and this is the last use; else says for whom the model stays."""
        self.is_asking = False
        if self._load is not None:
            # Whoever wants it loaded now wants it to stay.
            self._used.owed_by = None
            return
        if self._place.is_awaited:
            for _ in range(TURNS):
                await asyncio.sleep(0)
        unloading = await self._last_one_out()
        if unloading is not None:
            await bridge.follow(unloading.call, self._feed)
            self.told["unloaded"] = unloading.told()

    async def _last_one_out(self):
        """The unload of all that use the model, once none of them asks any more; None where it stays."""
        while self.unloading is None and (self._unloads or self._used.owed_by is not None):
            later, goes_on = await self._later()
            with _lock:
                if later and goes_on:
                    self.told["kept_for"] = later
                    # It may have been owed since a prompt that has ended.
                    self._used.owed_by = self._place.prompt_id
                    return None
                if self.unloading is None and not later and not self._used.is_asked:
                    _begin_unload(self._used)
                    break
            await _pause()
        return self.unloading

    def _leave(self):
        """Is no user any more. What is owed then, because nobody comes to do it, is done without waiting."""
        if self._used is None:
            return
        with _lock:
            used, self._used = self._used, None
            used.uses.discard(self)
            if used.owed_by is not None and not used.uses and "kept_for" not in self.told:
                _begin_unload(used)
            _settle()

    async def _later(self):
        """The nodes and items that will use the model, and whether this run must go on before they can."""
        if any(self._given == (item.get("server_url"), item.get("model")) for item in self._place.items_to_come()):
            return [self._place.node_id], True
        prompt = None if self._is_the_last_word else self._place.prompt()
        if prompt is None:
            return [], True
        later, goes_on = [], not self._place.is_awaited
        for node_id in prompt.waiting:
            if prompt.class_of(node_id) not in USERS or not await self._is_same(prompt, node_id):
                continue
            before = prompt.waits_for(node_id)
            # The model must be gone while such a node works, so it is not kept over it.
            if any(prompt.is_diffusion(other) for other in before):
                continue
            later.append(node_id)
            # What waits for a chat may wait for this very one.
            goes_on = goes_on or any(prompt.class_of(other) in USERS for other in before)
        return later, goes_on

    async def _is_same(self, prompt, node_id):
        """Whether another node's widgets mean the model of this one."""
        mine = _widgets(prompt.inputs(self._place.node_id))
        for theirs in _widgets(prompt.inputs(node_id)):
            # A node that compares is here for one of its models.
            if [theirs] == mine or await self._is_meant(theirs):
                return True
        return False

    async def _is_meant(self, theirs):
        if any(isinstance(value, list) for value in theirs):
            return False
        try:
            _, url, model = await self._meaning(*theirs, False, PATIENCE)
        except (xdev_llm.Error, TimeoutError):
            return False
        return (url, model) == (self._used.url, self._used.model)

    async def _meaning(self, server, model, detects, seconds=None):
        """(server to ask, its address, model) that widgets mean; it stays so for the length of a prompt."""
        key = (self._place.prompt_id, server or None, model or None, detects)
        if key not in _meanings:
            for old in [old for old in _meanings if old[0] != self._place.prompt_id]:
                _meanings.pop(old, None)
            client, server, model = bridge.client(), server or None, model or None
            is_alias = model in bridge.aliases()
            # An alias goes to its own servers.
            server = None if is_alias else server
            try:
                if detects and not is_alias:
                    # A model that is named is not asked for here: this tells whether anything answers.
                    await bridge.look(client.server(server, fresh=True), seconds)
                found = await bridge.look(client.resolve(server, model), seconds)
            except xdev_llm.Unreachable:
                if not detects or is_alias:
                    raise
                found = await bridge.look(client.resolve(server, None, auto_detect_server=True), seconds)
                server = found["url"]
                found = await bridge.look(client.resolve(server, model), seconds)
            _meanings[key] = (found["url"] if is_alias else server, found["url"], found["model"])
        return _meanings[key]

    def _unloaders(self):
        """The prompt, and those of its nodes that are asked to unload and have not ended."""
        prompt = self._place.prompt()
        return prompt, [
            node_id
            for node_id in (prompt.node_ids if prompt else ())
            if prompt.class_of(node_id) in USERS
            and prompt.inputs(node_id).get("memory", KEEP) not in (KEEP, FREE_FIRST)
            and not prompt.is_done(node_id)
        ]

    async def _is_to_go(self):
        """Whether another node is going to unload this one's model."""
        prompt, unloaders = self._unloaders()
        for node_id in unloaders:
            if await self._is_same(prompt, node_id):
                return True
        return False


async def unload(feed, server, url, model):
    """Unloads a model, or all with None, once no answer is on its way, and tells of it when it is verified."""
    with bridge.ends_shown(feed):
        while True:
            with _lock:
                _settle()
                used = [known for known in _models.values() if known.url == url]
                if not any(known.is_asked for known in used):
                    going = Unloading(server, url, model)
                    _unloads.append(going)
                    _watch()
                    break
            await _pause()
        await bridge.follow(going.call, feed)
    told = going.told()
    with _lock:
        for known in used:
            if model is None or known.model in told["models"]:
                known.owed_by = known.loading = None
        _settle()
    return told


def free_comfyui():
    """Asks ComfyUI to unload its own models; what its device had free before and after."""
    management = comfy.model_management
    before = free_bytes()
    management.unload_all_models()
    management.soft_empty_cache()
    after = free_bytes()
    if before is None or after is None:
        return {}
    return {"free_mb_before": megabytes(before), "free_mb_after": megabytes(after)}


def free_bytes():
    """What ComfyUI's device has free, or None where that cannot be told."""
    management = comfy.model_management
    try:
        return management.get_free_memory(management.get_torch_device())
    except Exception as error:  # A driver's fault, and no reason to end a workflow.
        logging.warning("XDev LLM: ComfyUI does not tell its free memory: %s", error)
        return None


def megabytes(count):
    """Bytes as ComfyUI and nvidia-smi count megabytes: 1024 × 1024 of them."""
    return round(count / 2**20)


def in_words(told):
    """What happened as lines for the node's panel."""
    lines = []
    freed = told.get("comfyui", {})
    if freed:
        more = freed["free_mb_after"] - freed["free_mb_before"]
        lines.append(f"ComfyUI's models were unloaded: {max(more, 0):,} MB more are free")
    unloaded = told.get("unloaded")
    if unloaded is not None:
        lines.append(unloaded_in_words(unloaded))
    if told.get("kept_for"):
        others = ", ".join(running.display_id(node_id) for node_id in told["kept_for"])
        lines.append(f"stays in memory for node {others}")
    return lines


def unloaded_in_words(unloaded):
    """An unload as one line."""
    if not unloaded["models"]:
        return "nothing was loaded"
    line = f"unloaded {', '.join(unloaded['models'])} in {unloaded['duration']:.1f} s"
    return line + (f", {unloaded['freed_mb']:,} MB given back" if "freed_mb" in unloaded else "")


def _widgets(inputs):
    models = inputs.get("models", inputs.get("model"))
    names = names_in(models) if "models" in inputs and isinstance(models, str) else [models]
    return [(inputs.get("server_url"), name) for name in names]


def names_in(models):
    """The models that a text names, one a line or separated by commas."""
    return [name.strip() for name in models.replace(",", "\n").splitlines() if name.strip()]


def _is_gpu():
    device = comfy.model_management.get_torch_device()
    return getattr(device, "type", "cpu") != "cpu"


async def _pause():
    """Waits a little; ends at once when the user cancels."""
    bridge.stop_if_interrupted()
    await asyncio.sleep(PAUSE)


def _begin_unload(known):
    going = Unloading(known.server, known.url, known.model)
    _unloads.append(going)
    known.owed_by = known.loading = None
    for use in known.uses:
        use.unloading = going
    _watch()


def _settle():
    """Forgets what has ended. What failed is in ComfyUI's log too, because nobody may have waited for it."""
    for going in [going for going in _unloads if going.call.done]:
        _unloads.remove(going)
        try:
            going.call.wait()
        except xdev_llm.Error as error:
            logging.warning("XDev LLM: unloading failed: %s", error)
    for key, known in list(_models.items()):
        if not known.uses and known.owed_by is None:
            del _models[key]


def _watch():
    """Sees to it that the watcher runs while something is owed or goes on."""
    global _watcher
    if _watcher is None:
        _watcher = threading.Thread(target=_look_after, name="xdev_llm memory", daemon=True)
        _watcher.start()


def _look_after():
    """Unloads what is owed in a prompt that has ended, however it ended."""
    global _watcher
    while True:
        time.sleep(WATCH_PAUSE)
        with _lock:
            for known in list(_models.values()):
                if known.owed_by is not None and not known.uses and not running.is_running(known.owed_by):
                    _begin_unload(known)
            _settle()
            if not _unloads and all(known.owed_by is None for known in _models.values()):
                _watcher = None
                return
