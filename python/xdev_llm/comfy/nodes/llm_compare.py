"""LLM Compare: one prompt for several models, their answers as a list, and their figures as a table and a chart.

Not here: how the chart is drawn (`chart`), loading and unloading (`memory`), one model alone (`chat`).
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import xdev_llm

from .. import bridge, memory
from ..schema import Input, Node, Outcome, Output
from . import chat, shared

UNLOAD_EACH = "unload each after"

STOP_ON_ERROR = "stop"
LEAVE_OUT_ON_ERROR = "leave out"

# More than these are no comparison that anyone reads.
MOST_MODELS = 50
# The longest cell of the table, in characters.
LONGEST_CELL = 100

# Seconds between two looks of who waits for its turn.
PAUSE = 0.02

# Who asks one model after another, and who waits for that.
_turns = []

_OF_CHAT = {given.name: given for given in chat.INPUTS}

INPUTS = (
    Input("prompt", "STRING", "What you ask each of the models.", default="", options=shared.TEXT),
    shared.server_url("http://localhost:1234"),
    Input(
        "models",
        "STRING",
        "The models to compare, at least two: one a line, or separated by commas. An alias from your xdev-llm config goes to "
        "the servers that it names, whatever server_url says; \"auto\" is the one that is loaded.",
        default="",
        options=shared.TEXT,
    ),
    shared.PRESET,
    Input(
        "system_prompt",
        "STRING",
        "How the models shall behave.",
        default="",
        optional=True,
        options=shared.TEXT,
    ),
    shared.TEMPERATURE,
    shared.MAX_TOKENS,
    shared.TOP_P,
    _OF_CHAT["timeout"],
    shared.VALIDATE_INPUT,
    _OF_CHAT["seed"],
    _OF_CHAT["reasoning"],
    Input(
        "on_error",
        "COMBO",
        "When a model fails; the others are asked all the same. stop: the workflow ends then, with every reason. leave out: it "
        "goes on with the answers that came, and the table names who failed.",
        default=STOP_ON_ERROR,
        optional=True,
        choices=[STOP_ON_ERROR, LEAVE_OUT_ON_ERROR],
    ),
    _OF_CHAT["sampling"],
    Input(
        "parallel",
        "BOOLEAN",
        "Ask all models at the same time. On one graphics card they slow each other down, so the figures are fair only one after "
        "another.",
        default=False,
        optional=True,
    ),
    Input(
        "memory",
        "COMBO",
        "keep: the server decides how long a model stays. unload each after: each model is loaded, asked, and has really left "
        "the memory before the next one is loaded; not with parallel.",
        default=memory.KEEP,
        optional=True,
        choices=[memory.KEEP, UNLOAD_EACH],
    ),
)

OUTPUTS = (
    Output(
        "responses",
        "STRING",
        "The answers as a list, in the order of the models: what hangs on it runs once for each.",
        is_list=True,
    ),
    Output("table", "STRING", "A row for each model as a Markdown table: its times, its tokens, and how its answer begins."),
    Output("chart", "IMAGE", "The time to the first token, the speed and the tokens of each model as bars."),
    Output("stats", "STRING", "For each model its generation_stats with the server that answered, as a JSON list."),
)


@dataclass
class Asked:
    """`Asked` is a model of the comparison, and what came of it: a reply or a failure."""

    model: str
    memory: dict[str, Any]
    reply: Any = None
    failure: Any = None
    # Each look at a reply's statistics makes them anew.
    stats: dict[str, Any] | None = None

    @property
    def server(self):
        """The server that answered, in words."""
        server = self.reply.server or {} if self.reply else {}
        return " · ".join(server[name] for name in ("name", "url") if server.get(name))

    def as_dict(self):
        """Everything but the answer, for programs."""
        if self.failure is not None:
            error = {"code": self.failure.code, "message": str(self.failure)}
            return {"model_requested": self.model, "error": error, "memory": self.memory}
        return {**self.stats, "model_requested": self.model, "server": self.reply.server, "memory": self.memory}

    def shown(self):
        """What its part of the panel shows."""
        if self.failure is not None:
            return {"title": self.model, "error": str(self.failure)}
        told = bridge.told(self.reply)
        told["done"]["notes"] = [*self.reply.notes, *memory.in_words(self.memory)]
        return {**told, "title": self.model, "text": self.reply.text, "reasoning": self.reply.reasoning}


async def run(node_id, **values):
    """Asks every model, and gives what came."""
    wrong = _wrong_models(values)
    if wrong:
        raise xdev_llm.InvalidInput(shared.in_words(wrong))
    names, request = memory.names_in(values["models"]), _request(values)
    mode = memory.UNLOAD_AFTER if values.get("memory") == UNLOAD_EACH else memory.KEEP
    is_parallel = values.get("parallel", False)
    feeds = [bridge.Feed(node_id, part=part, title=name, queued=not is_parallel) for part, name in enumerate(names)]
    if is_parallel:
        turn = contextlib.nullcontext
        asked = await _side_by_side([_ask(*each, node_id, request, mode, turn) for each in zip(feeds, names)])
    else:
        asked = [await _ask(*each, node_id, request, mode, _turn) for each in zip(feeds, names)]
    failed = [one for one in asked if one.failure is not None]
    if failed and (len(failed) == len(asked) or values.get("on_error", STOP_ON_ERROR) == STOP_ON_ERROR):
        raise _joined(failed, len(asked))
    if failed:
        # A failure is no result to use again.
        bridge.forget_result(node_id)
    table = _table(asked)
    bridge.show_plain(node_id, table)
    return Outcome(
        (
            [one.reply.text for one in asked if one.failure is None],
            table,
            _chart(asked, is_parallel),
            shared.as_json([one.as_dict() for one in asked]),
        ),
        {"parts": [one.shown() for one in asked]},
    )


async def _ask(feed, model, node_id, request, mode, turn):
    """Asks one model when its turn comes, and gives what came of it, a failure too."""
    asked = Asked(model, {})
    request = {**request, "server": shared.server_of({"server_url": request["server"], "model": model})}
    try:
        async with memory.Use(feed, node_id, mode, request["server"], model) as use:
            asked.memory = use.told
            try:
                await use.begin()
                async with turn():
                    feed.begin()
                    asked.reply = await bridge.ask(feed, **{**request, "model": use.model})
                asked.stats = asked.reply.stats
            except xdev_llm.Error as error:
                # The model is unloaded all the same, before the next one is loaded.
                asked.failure = error
    except xdev_llm.Error as error:
        asked.failure = error
    return asked


@contextlib.asynccontextmanager
async def _turn():
    """Waits until no other comparison asks: the items of a list run at once, and each would spoil the others' figures."""
    mine = object()
    _turns.append(mine)
    try:
        while _turns[0] is not mine:
            bridge.stop_if_interrupted()
            await asyncio.sleep(PAUSE)
        yield
    finally:
        _turns.remove(mine)


async def _side_by_side(asks):
    """Awaits all of them; when one is cancelled, the others have ended too when this raises."""
    ended = await asyncio.gather(*asks, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return ended


def _joined(failed, count):
    """One failure for all that failed, with every reason."""
    reasons = "\n".join(f"{one.model}: {one.failure}" for one in failed)
    error = failed[0].failure
    joined = type(error)(f"{len(failed)} of {count} models failed.\n{reasons}")
    joined.__cause__ = error
    return joined


def _table(asked):
    """The Markdown table."""
    rows = [("Model", "First token", "Tokens/s", "Tokens", "Time", "Answer"), ("---", "---:", "---:", "---:", "---:", "---")]
    for one in asked:
        if one.failure is not None:
            rows.append((_cell(one.model), *["–"] * 4, _cell(f"Failed: {one.failure}")))
            continue
        about = "≈ " if one.stats.get("tokens_estimated") else ""
        figures = [
            (one.stats.get("time_to_first_token"), "{:.2f} s"),
            (one.stats.get("tokens_per_second"), about + "{:.1f}"),
            (one.stats.get("output_tokens"), about + "{}"),
            (one.stats.get("duration"), "{:.2f} s"),
        ]
        told = ["–" if value is None else form.format(value) for value, form in figures]
        rows.append((_cell(one.model), *told, _cell(one.reply.text)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text):
    """The first line of a text, as a table takes it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if len(line) > LONGEST_CELL:
        line = line[: LONGEST_CELL - 1].rstrip() + "…"
    return line.replace("\\", "\\\\").replace("|", "\\|")


def _chart(asked, is_parallel):
    """The chart, as ComfyUI takes pictures; where it cannot be drawn, what hangs on it is left out and told why."""
    try:
        import torch

        from .. import chart
    except ImportError as missing:
        from comfy_execution.graph import ExecutionBlocker

        return ExecutionBlocker(f"chart: needs {missing.name}, which ComfyUI brings along.")
    servers = list(dict.fromkeys(one.server for one in asked if one.server))
    rows = [_row(one, chart.Row, len(servers) > 1) for one in asked]
    title = f"{len(asked)} models compared, {'side by side' if is_parallel else 'one after another'}"
    picture = chart.draw(rows, title, servers[0] if len(servers) == 1 else f"{len(servers)} servers")
    flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return flat.reshape(1, picture.height, picture.width, 3).float() / 255


def _row(one, make, has_server):
    if one.failure is not None:
        return make(one.model, failure=f"Failed: {one.failure}")
    return make(
        one.model,
        one.server if has_server else "",
        one.stats.get("time_to_first_token"),
        one.stats.get("tokens_per_second"),
        one.stats.get("output_tokens"),
        bool(one.stats.get("tokens_estimated")),
    )


def _request(values):
    """The keywords of `Client.chat` that the widgets ask for, but for the model."""
    # What the wire sets takes the place of all numbers here.
    own = dict(values.get("sampling") or shared.sampling_from(values))
    preset = own.pop("preset", None) or values.get("preset")
    reasoning = values.get("reasoning")
    return {
        **own,
        "prompt": values.get("prompt"),
        "system_prompt": values.get("system_prompt") or None,
        "server": values.get("server_url") or None,
        "preset": preset,
        "seed": values.get("seed"),
        "reasoning": None if reasoning == "default" else reasoning,
        "timeout": values.get("timeout"),
    }


def _wrong_models(values):
    """What is wrong with the choice of models, as far as it is known."""
    problems = []
    if values.get("models") is not None:
        names = memory.names_in(values["models"])
        twice = sorted({name for name in names if names.count(name) > 1})
        if len(names) < 2:
            problems.append(("models", "give at least two, one a line or separated by commas."))
        elif twice:
            problems.append(("models", f"each may be named once: {', '.join(twice)}."))
        elif len(names) > MOST_MODELS:
            problems.append(("models", f"these are {len(names)}, and {MOST_MODELS} can be compared at once."))
    if values.get("parallel") and values.get("memory") == UNLOAD_EACH:
        cure = f'turn parallel off, or set memory to "{memory.KEEP}".'
        problems.append(("memory", f'"{UNLOAD_EACH}" needs one model after another: {cure}'))
    return problems


def check(**values):
    """Every bad field, in words. A linked input is None here, and is looked at when the node runs."""
    given = {name: value for name, value in values.items() if value is not None}
    # A key must not get into a history or a picture, whatever else is not looked at.
    problems = shared.keys_in(given)
    for name in memory.names_in(given.get("models", "")):
        problems += [problem for problem in shared.keys_in({"models": name}) if problem not in problems]
    if given.get("validate_input", True):
        request = {name: value for name, value in _request(given).items() if value is not None}
        if "prompt" in values and values["prompt"] is None:
            request["prompt"] = "(linked)"
        problems += _wrong_models(given) + shared.unknown_choices(INPUTS, given)
        named = {name for name, _ in problems}
        for field, message in bridge.client().check(**request):
            field = {"server": "server_url"}.get(field, field)
            if field not in named:
                problems.append((field, message))
    return shared.in_words(problems)


async def fingerprint(node_id, **values):
    """Stays the same while the last answers may be used again. Inputs that are linked are None: ComfyUI looks at what
    they are linked to by itself."""
    if "seed" not in values and values.get("temperature") != 0:
        return float("nan")
    marks = [bridge.times_replaced(node_id)]
    if values.get("server_url") is not None and values.get("models") is not None:
        for model in memory.names_in(values["models"]):
            if model == "auto" or model in bridge.aliases():
                server = shared.server_of({**values, "model": model})
                try:
                    target = await bridge.look(bridge.client().resolve(server, model), shared.PATIENCE)
                except (xdev_llm.Error, TimeoutError):
                    # Asking decides: it names what is wrong.
                    return float("nan")
                marks += [target["url"], target["model"]]
    return repr(marks)


LLM_COMPARE = Node(
    node_id="XDEV_LLMCompare",
    name="LLM Compare (XDev)",
    description="Asks several models the same and lays their answers and figures side by side.",
    inputs=INPUTS,
    outputs=OUTPUTS,
    run=run,
    check=check,
    fingerprint=fingerprint,
)
