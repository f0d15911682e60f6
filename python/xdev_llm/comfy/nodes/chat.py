"""LM Studio Chat: a prompt in, an answer out, which grows in the node while it arrives.

Not here: how a run is watched and cancelled (`bridge`), which servers there are and what they take (the engine).
"""

import xdev_llm

from .. import bridge, memory
from ..schema import Input, Node, Outcome, Output
from . import shared

STOP_ON_ERROR = "stop"
BLOCK_ON_ERROR = "block downstream"
FALLBACK_ON_ERROR = "use fallback text"

WHEN_CHANGED = "when something changed"
ALWAYS = "always"


INPUTS = (
    Input("prompt", "STRING", "What you ask the model.", default="", options=shared.TEXT),
    shared.server_url("http://localhost:1234"),
    shared.MODEL,
    shared.PRESET,
    Input(
        "system_prompt",
        "STRING",
        "How the model shall behave. It takes the place of a system message in message_history.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    Input(
        "message_history",
        "STRING",
        "The conversation so far, as JSON: a list of messages, each with a role and its content. Link full_conversation of "
        "another chat here to go on from it.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    shared.TEMPERATURE,
    shared.MAX_TOKENS,
    shared.TOP_P,
    Input("stream", "BOOLEAN", "Show the answer in the node while it arrives.", default=True, optional=True),
    shared.AUTO_DETECT_SERVER,
    Input(
        "timeout",
        "INT",
        "Seconds to wait for the first word, and for each next one. It does not limit the whole answer.",
        default=120,
        optional=True,
        options={"min": 5, "max": 300},
    ),
    shared.VALIDATE_INPUT,
    Input(
        "seed",
        "INT",
        "The same seed, input and model give the same answer on most servers, and ComfyUI then uses the last answer again "
        "without asking.",
        default=0,
        optional=True,
        # Every server takes numbers up to here.
        options={"min": 0, "max": 2**31 - 1, "control_after_generate": True},
    ),
    shared.TOP_K,
    shared.MIN_P,
    shared.STOP,
    Input(
        "reasoning",
        "COMBO",
        "How much the model thinks before it answers, where server and model can be told. Thinking is never in the response.",
        default="default",
        optional=True,
        choices=["default", "off", "low", "medium", "high"],
    ),
    Input(
        "on_error",
        "COMBO",
        "When no answer comes. stop: the workflow ends with the reason. block downstream: only what hangs on this node is "
        "left out. use fallback text: go on with the text below.",
        default=STOP_ON_ERROR,
        optional=True,
        choices=[STOP_ON_ERROR, BLOCK_ON_ERROR, FALLBACK_ON_ERROR],
    ),
    Input(
        "fallback_text",
        "STRING",
        "The response when on_error says so. The next run asks the model again.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    Input(
        "run_again",
        "COMBO",
        "when something changed: with a fixed seed, or temperature 0, ComfyUI uses the last answer again until an input or the "
        "model behind \"auto\" changes. always: the model is asked each time.",
        default=WHEN_CHANGED,
        optional=True,
        choices=[WHEN_CHANGED, ALWAYS],
    ),
    Input(
        "sampling",
        shared.SAMPLING_KIND,
        "From an LLM Sampling node. What it sets takes the place of this node's preset and numbers.",
        optional=True,
    ),
    Input(
        "memory",
        "COMBO",
        "Who has the GPU's memory. keep: the server decides how long the model stays. unload after: it leaves when this node is "
        "done. unload after the last LLM node: it stays for the other items and nodes of this run that use it and leaves before "
        "the pictures are made; one such node is enough. free ComfyUI's models first: ComfyUI gives its own memory back before "
        "the model is loaded. What follows waits until the server has really unloaded; a cancelled run unloads too. A node whose "
        "last answer is used again loads and unloads nothing; changing this asks the model again.",
        default=memory.KEEP,
        optional=True,
        choices=list(memory.MODES),
    ),
)

OUTPUTS = (
    Output("response", "STRING", "The answer, without any thinking."),
    Output("full_conversation", "STRING", "The whole conversation with this answer, as JSON for message_history."),
    Output("server_info", "STRING", "Which server answered, by which route of an alias, its state and its models, as JSON."),
    Output("generation_stats", "STRING", "Tokens, times, every parameter that was sent, and those the server does not take, as JSON."),
    Output("reasoning", "STRING", "The model's thinking, where it shows any."),
)


def _request(values):
    """The keywords of `Client.chat` that the widgets ask for."""
    chosen = values.get("sampling") or {}
    own = shared.sampling_from(values)
    if chosen:
        own = {**{key: value for key, value in own.items() if key == "stop"}, **chosen}
    preset = own.pop("preset", None) or values.get("preset")
    reasoning = values.get("reasoning")
    return {
        **own,
        "prompt": values.get("prompt"),
        "messages": values.get("message_history") or None,
        "system_prompt": values.get("system_prompt") or None,
        "server": shared.server_of(values),
        "model": values.get("model") or None,
        "preset": preset,
        "seed": values.get("seed"),
        "reasoning": None if reasoning == "default" else reasoning,
        "timeout": values.get("timeout"),
        "auto_detect_server": values.get("auto_detect_server", True),
    }


async def run(node_id, **values):
    """Asks, and gives the five outputs."""
    feed = bridge.Feed(node_id, is_live=values.get("stream", True))
    request, instead = _request(values), None
    mode, detects = values.get("memory", memory.KEEP), request["auto_detect_server"]
    async with memory.Use(feed, node_id, mode, request["server"], request["model"], detects) as use:
        try:
            await use.begin()
            reply = await bridge.ask(feed, **{**request, "model": use.model})
        except xdev_llm.Error as error:
            # Raises where the workflow ends with it.
            instead = _instead(error, node_id, values)
    if instead:
        return instead
    told = bridge.told(reply)
    told["done"]["notes"] = [*reply.notes, *memory.in_words(use.told)]
    return Outcome(
        (
            reply.text,
            reply.conversation,
            shared.as_json(await _server_info(reply)),
            shared.as_json({**reply.stats, "memory": use.told}),
            reply.reasoning,
        ),
        {"text": reply.text, "reasoning": reply.reasoning, **told},
    )


def _instead(error, node_id, values):
    """What the user chose in place of an answer; ComfyUI must not take it for one next time."""
    choice = values.get("on_error", STOP_ON_ERROR)
    if choice == STOP_ON_ERROR:
        raise error
    fallback = values.get("fallback_text", "")
    if choice == FALLBACK_ON_ERROR and not fallback.strip():
        # An empty prompt would look like an answer.
        raise error
    bridge.forget_result(node_id)
    failure = shared.as_json({"error": {"code": error.code, "message": str(error)}})
    if choice == BLOCK_ON_ERROR:
        from comfy_execution.graph import ExecutionBlocker

        return Outcome((ExecutionBlocker(str(error)),) * len(OUTPUTS), {"error": str(error)})
    history = xdev_llm.append_history(
        values.get("message_history") or "[]",
        [{"role": "user", "content": values["prompt"]}, {"role": "assistant", "content": fallback}],
    )
    return Outcome((fallback, history, failure, failure, ""), {"error": str(error), "text": fallback})


async def _server_info(reply):
    """Which server answered, and what it has; an answer is not spoilt by a list that fails."""
    server = reply.server
    route = server.pop("route", None)
    info = {"server": server, "model": reply.model, "notes": reply.notes, **({"route": route} if route else {})}
    try:
        found = await bridge.look(bridge.client().server(server["url"]), shared.PATIENCE)
    except (xdev_llm.Error, TimeoutError) as error:
        info["notes"] = [*reply.notes, f"The server's state could not be read: {error}"]
        return info
    info["server"] = {**server, "version": found.version, "health": found.health}
    info["models"] = [model.as_dict() for model in found.models]
    return info


def check(**values):
    """Every bad field, in words. A linked input is None here, and is looked at when the node runs."""
    given = {name: value for name, value in values.items() if value is not None}
    # A key must not get into a history or a picture, whatever else is not looked at.
    problems = shared.keys_in(given)
    if given.get("validate_input", True):
        request = {name: value for name, value in _request(given).items() if value is not None}
        if "prompt" in values and values["prompt"] is None:
            request["prompt"] = "(linked)"
        problems += shared.unknown_choices(INPUTS, given)
        named = {name for name, _ in problems}
        for field, message in bridge.client().check(**request):
            field = {"messages": "message_history", "server": "server_url"}.get(field, field)
            if field not in named:
                problems.append((field, message))
    return shared.in_words(problems)


async def fingerprint(node_id, **values):
    """Stays the same while the last answer may be used again. Inputs that are linked are None: ComfyUI looks at what
    they are linked to by itself."""
    if values.get("run_again") == ALWAYS or not _is_repeatable(values):
        return float("nan")
    model = values.get("model", "auto")
    marks = [bridge.times_replaced(node_id)]
    if values.get("server_url") is not None and (model in ("", "auto") or model in bridge.aliases()):
        detects = values.get("auto_detect_server", True) is not False
        try:
            target = bridge.client().resolve(shared.server_of(values), model, auto_detect_server=detects)
            target = await bridge.look(target, shared.PATIENCE)
        except (xdev_llm.Error, TimeoutError):
            # Asking decides: it names what is wrong, or takes another server.
            return float("nan")
        marks += [target["url"], target["model"]]
    return repr(marks)


def _is_repeatable(values):
    """Whether asking again would give the same: a seed (a linked one counts), or no randomness at all."""
    if "seed" in values:
        return True
    if "temperature" in values:
        return values["temperature"] == 0
    preset = bridge.presets().get(values.get("preset"), {})
    return preset.get("temperature") == 0


CHAT = Node(
    node_id="XDEV_LMStudioChat",
    name="LM Studio Chat (XDev)",
    description="Asks a language model on your own machine (LM Studio, Ollama, llama.cpp, vLLM, any OpenAI-compatible "
    "server) and shows the answer while it arrives.",
    inputs=INPUTS,
    outputs=OUTPUTS,
    run=run,
    check=check,
    fingerprint=fingerprint,
)
