"""The contract host does what ComfyUI does: the same prompts, made of the probe packs, run on both.

Each case is a function from a client to what is compared; what it asserts itself holds on every host. A real
ComfyUI takes part where COMFYUI_DIR and COMFYUI_PYTHON are set.
"""

import json
import re
import time

import pytest

from host.hosts import PROBES, Client, Host, Refused, runs_beside, wait_until, why_not_real

CASES = {}
# Those that need neither async nodes nor the V3 API, and hold on versions from before these.
OLD = []


def case(function):
    """Enters a function as a case."""
    CASES[function.__name__] = function
    return function


def old_case(function):
    """Enters a function as a case for every version."""
    OLD.append(function.__name__)
    return case(function)


def node(kind, /, **inputs):
    """A node of a prompt."""
    return {"class_type": kind, "inputs": inputs}


def chain(kind, /, **inputs):
    """A prompt of one node and a preview of its first output."""
    return {"1": node(kind, **inputs), "2": node("PreviewAny", source=["1", 0])}


UNSTABLE = {"prompt_id", "timestamp", "traceback", "sid", "exec_info", "executed", "current_outputs"}


def steady(value):
    """Data without what differs from run to run: times, ids, paths and the order of sets."""
    if isinstance(value, dict):
        return {key: steady(item) for key, item in value.items() if key not in UNSTABLE}
    if isinstance(value, list):
        return [steady(item) for item in value]
    if isinstance(value, str):
        # Old versions end no message with a line of tips.
        return re.sub(r"/[^ ]*custom_nodes/", "", re.sub(r"0x[0-9a-f]+", "0x", value)).rstrip("\n")
    return value


def trace(run):
    """The messages and the history of a run, in the form that is compared."""
    messages = []
    for message in run.messages:
        data = steady(message.data)
        if message.kind == "progress_state":
            data = {node: (entry["state"], entry["value"]) for node, entry in data["nodes"].items()}
        # Real hosts have more messages between: of the queue's length, and of their own monitors.
        if message.kind in KINDS and (not messages or messages[-1] != [message.kind, data]):
            messages.append([message.kind, data])
    entry = run.entry
    return {
        "messages": messages,
        "outputs": entry["outputs"],
        "meta": entry["meta"],
        "status": [entry["status"]["status_str"], entry["status"]["completed"]],
        "history": [[event, steady(data)] for event, data in entry["status"]["messages"]],
    }


KINDS = {
    "execution_start",
    "execution_cached",
    "executing",
    "executed",
    "execution_success",
    "execution_error",
    "execution_interrupted",
    "progress",
    "progress_state",
    "progress_text",
    "probe",
}


def refusal(client, prompt):
    """The answer to a prompt that does not pass."""
    with pytest.raises(Refused) as caught:
        client.queue(prompt)
    assert caught.value.status == 400
    answer = steady(caught.value.answer)
    for entry in answer["node_errors"].values():  # the host asks inputs in the order of a set
        entry["errors"].sort(key=json.dumps)
    answer["error"]["details"] = sorted(answer["error"]["details"].splitlines())
    return answer


@case
def definitions(client):
    """/object_info of the probes."""
    found = {name: entry for name, entry in client.get("/object_info").items() if name.startswith("Probe")}
    assert found["ProbeV3Inputs"]["input"]["required"]["marked"][1]["probe_mark"] == "text"
    assert client.get("/object_info/ProbeList") == {"ProbeList": found["ProbeList"]}
    assert client.get("/api/object_info/Nothing") == {}
    return found


@old_case
def messages_of_a_prompt(client):
    """The order of messages, the cache, and what is shown again."""
    first, second = client.run(chain("ProbePlain", name="x")), client.run(chain("ProbePlain", name="x"))
    assert first.text("2") == second.text("2") == ["run 1"]
    assert second.cached == ["1", "2"]
    assert [message.data["node"] for message in second.events("executed")] == ["2"]
    assert [message.kind for message in first.messages if message.kind != "progress_state"][:2] == [
        "execution_start",
        "execution_cached",
    ]
    return [trace(first), trace(second)]


@old_case
def without_a_client(client):
    """A prompt of nobody's is run, and leaves its history."""
    prompt_id = client.post("/prompt", {"prompt": chain("ProbePlain", name="nobody")})["prompt_id"]
    run = client.wait(prompt_id)
    return [run.text("2"), run.status]


@old_case
def fingerprints(client):
    """What runs again: a NaN that is new does, math.nan does not."""
    runs = {}
    for kind in ("constant", "new nan", "math.nan", "time", "raises"):
        for _ in range(3):
            runs[kind] = client.run(chain("ProbeChanged", kind=kind, name="f")).text("2")[0].split(": ")[1]
    assert runs == {"constant": "1", "new nan": "3", "math.nan": "1", "time": "3", "raises": "3"}
    return runs


@old_case
def fingerprints_see_constants_only(client):
    """A linked input is None to a fingerprint."""
    prompt = {
        "1": node("PrimitiveString", value="text"),
        "2": node("ProbeSeesLinks", source=["1", 0]),
        "3": node("PreviewAny", source=["2", 0]),
    }
    text = client.run(prompt).text("3")
    assert text == ["None"]
    return text


@case
def v3_fingerprints(client):
    """They may be async."""
    texts = [
        client.run(chain("ProbeV3Checks", text=text, integer=1)).text("2")
        for text in ("a", "a", "always", "always")
    ]
    assert texts == [["a 1"], ["a 1"], ["always 1"], ["always 2"]]
    return texts


@old_case
def a_changed_ancestor_runs_what_is_behind(client):
    """The key holds the inputs of ancestors; older keys are forgotten."""

    def prompt(value):
        return {
            "1": node("PrimitiveString", value=value),
            "2": node("ProbePlain", name=["1", 0]),
            "3": node("PreviewAny", source=["2", 0]),
        }

    texts = [client.run(prompt(value)).text("3") for value in ("p", "p", "q", "p")]
    assert texts == [["run 1"], ["run 1"], ["run 1"], ["run 2"]]
    return texts


@case
def twins(client):
    """Two nodes alike: of V1 with the hidden id they are two, of V3 one."""

    def prompt(kind, /, **inputs):
        return {
            "1": node(kind, **inputs),
            "2": node(kind, **inputs),
            "3": node("PreviewAny", source=["1", 0]),
            "4": node("PreviewAny", source=["2", 0]),
        }

    v1, v3 = client.run(prompt("ProbeHidden", name="t")), client.run(prompt("ProbeV3Twins", text="t"))
    assert {v1.text("3")[0][:6], v1.text("4")[0][:6]} == {"node 1", "node 2"}
    assert v3.text("3") == v3.text("4")
    return sorted([v1.text("3")[0][:6], v1.text("4")[0][:6]])


@case
def lists(client):
    """Items are mapped, shorter lists repeat their last item, and what is shown is put together."""
    prompt = {
        "1": node("ProbeList", count=3, text="i"),
        "2": node("ProbeContext", text=["1", 0]),
        "3": node("PreviewAny", source=["2", 0]),
        "4": node("ProbeSink", source=["1", 0]),
    }
    run = client.run(prompt)
    assert run.text("3") == ["node 2, item 0", "node 2, item 1", "node 2, item 2"]
    return [run.text("3"), run.text("4")]


@case
def async_items_run_at_once(client):
    """Four items of a quarter of a second need a quarter of a second."""
    prompt = {
        "1": node("ProbeList", count=4, text="i"),
        "2": node("ProbeAsync", text=["1", 0], seconds=0.5, ask="never"),
        "3": node("PreviewAny", source=["2", 0]),
    }
    run = client.run(prompt)
    assert duration(run) < 1.5
    return trace(run)


@case
def async_nodes_run_beside_a_sync_one(client):
    """The async node is begun first, and is done when the sync one is."""
    prompt = {
        "1": node("ProbeSampler", seconds=0.5, step=0.05, seed=1),
        "2": node("ProbeAsync", text="a", seconds=0.3, ask="never"),
        "3": node("ProbeSink", source=["1", 0]),
        "4": node("ProbeSink", source=["2", 0]),
    }
    run = client.run(prompt)
    begun = [message.data["node"] for message in run.events("executing")]
    assert begun.index("2") < begun.index("1")
    return [run.text("3"), run.text("4")]


@case
def threads(client):
    """Nodes run beside the main thread, inside a loop."""
    text = client.run(chain("ProbeThread")).text("2")
    assert text == ["main thread: False, loop: True"]
    return text


@old_case
def failure(client):
    """An error ends the prompt, shows all inputs, and nothing is kept."""
    prompt = {
        "1": node("PrimitiveString", value="secret?"),
        "2": node("ProbeFail", message="the reason", source=["1", 0]),
        "3": node("PreviewAny", source=["2", 0]),
    }
    runs = [client.run(prompt), client.run(prompt)]
    assert runs[1].error["exception_message"].strip() == "the reason"
    assert runs[1].error["current_inputs"] == {"message": ["the reason"], "source": ["secret?"]}
    assert runs[1].cached == ["1"]
    return [trace(run) for run in runs]


@case
def failure_cancels_others(client):
    """What is still pending is cancelled."""
    prompt = {
        "1": node("ProbeCancelled", seconds=30.0, name="c"),
        "2": node("ProbeAsyncFail", seconds=0.2, message="down"),
        "3": node("ProbeSink", source=["1", 0]),
        "4": node("ProbeSink", source=["2", 0]),
    }
    run = client.run(prompt)
    assert run.error["node_id"] == "2"
    text = client.run(chain("ProbeWasCancelled", name="c")).text("2")
    assert text == ["1"]
    return [run.error["exception_message"], text]


@old_case
def blockers(client):
    """A blocked value shows its message once and stops silently after that."""
    runs = [client.run(chain("ProbeBlock", message=message)) for message in ("because", "")]
    assert [run.status for run in runs] == ["success", "success"]
    assert runs[0].events("execution_error")[0].data["exception_message"] == "Execution Blocked: because"
    assert not runs[1].events("execution_error")
    return [trace(run) for run in runs]


@case
def returned_values(client):
    """What V3 nodes may return; a dict they may not."""
    outcomes = {}
    kinds = ("tuple", "dict", "text", "block", "block without values", "set attribute", "nothing")
    for kind in kinds:
        run = client.run(chain("ProbeV3Returns", kind=kind))
        blocked = [message.data["exception_type"] for message in run.events("execution_error")]
        ended = run.entry["outputs"].get("2") if run.status == "success" else None
        outcomes[kind] = [
            run.status,
            ended,
            blocked,
            run.ends.get("execution_error", {}).get("exception_message"),
        ]
    assert outcomes["tuple"][1] == {"text": ["a tuple"]}
    assert outcomes["block"][2] == ["ExecutionBlocked"]
    assert outcomes["block without values"][1] == {"text": ["None"]}  # nothing is blocked
    assert [outcomes[kind][0] for kind in ("dict", "text", "set attribute")] == ["error"] * 3
    outcomes["set attribute"][3] = outcomes["set attribute"][3].replace("V3ReturnsClone", "V3Returns")
    return outcomes


@case
def v3_node(client):
    """Hidden values, defaults of absent inputs, lists, and what it shows."""
    run = client.run(
        {
            "1": node(
                "ProbeV3Inputs", text="t", choice="zzz", marked="m"
            ),  # a choice that is none is not refused
            "2": node("ProbeSink", source=["1", 2]),
        }
    )
    assert run.text("1") == ["1: t zzz m 0.5 0 True None None"]
    assert run.text("2") == ["a", "b"]
    return trace(run)


@old_case
def checks(client):
    """The shapes of what a prompt is refused for."""
    good = {"integer": 3, "number": 0.5, "choice": "one", "flag": True, "text": "t"}
    found = {}
    for name, inputs in {
        "missing": {key: value for key, value in good.items() if key != "text"},
        "too small": {**good, "integer": 0},
        "too big": {**good, "integer": 6},
        "too big float": {**good, "number": 1.5},
        "not in list": {**good, "choice": "three"},
        "not a number": {**good, "integer": "x"},
        "several": {"integer": 99, "number": 9, "choice": "three", "flag": True},
        "bad link": {**good, "text": ["1"]},
    }.items():
        found[name] = refusal(client, {"1": node("ProbeInputs", **inputs)})
    assert [error["type"] for error in found["too big"]["node_errors"]["1"]["errors"]] == [
        "value_bigger_than_max"
    ]
    found["type"] = refusal(
        client,
        {
            "1": node("ProbeList", count=["2", 0], text="t"),
            "2": node("PrimitiveString", value="v"),
            "3": node("PreviewAny", source=["1", 0]),
        },
    )
    found["no outputs"] = refusal(client, {"1": node("PrimitiveString", value="v")})
    found["no class"] = refusal(client, {"1": node("Nothing")})
    found["no class type"] = refusal(client, {"1": {"inputs": {}}})
    with pytest.raises(Refused) as caught:
        client.post("/prompt", {"client_id": client.id})
    found["no prompt"] = caught.value.answer
    return found


@old_case
def conversions(client):
    """Constants become what the input is; a list in __value__ is a value."""
    inputs = {"integer": "4", "number": "0.25", "choice": "two", "flag": 0, "text": 12}
    text = client.run({"1": node("ProbeInputs", **inputs)}).text("1")
    assert text == ["[('choice', 'two'), ('flag', False), ('integer', 4), ('number', 0.25), ('text', '12')]"]
    return text


@case
def own_checks(client):
    """Inputs that a node checks are checked by it alone; links are None; what it says stands at each."""
    good = {"integer": 3, "number": 0.5, "choice": "one", "flag": True, "text": "t"}
    ran = client.run({"1": node("ProbeChecks", **{**good, "integer": 7, "choice": "nine"})}).text("1")
    assert "('integer', 7)" in ran[0]
    found = [ran]
    for kind, change in [
        ("ProbeChecks", {"integer": 11}),
        ("ProbeChecks", {"integer": 12}),
        ("ProbeChecks", {"integer": 13}),
        ("ProbeChecks", {"number": 2.0}),
        ("ProbeChecksAll", {"text": "bad"}),
        ("ProbeV3Checks", {"text": "bad"}),
    ]:
        inputs = {**good, **change} if kind != "ProbeV3Checks" else {"integer": 1, **change}
        prompt = {"1": node(kind, **inputs), "2": node("PreviewAny", source=["1", 0])}
        if kind != "ProbeV3Checks":
            del prompt["2"]
        found.append(refusal(client, prompt))
    assert len(found[1]["node_errors"]["1"]["errors"]) == 2  # said at both inputs
    linked = {
        "1": node("ProbeChecks", **{**good, "choice": ["2", 0]}),
        "2": node("ProbeFail", message="m", source="s"),
    }
    found.append([steady(entry) for entry in [refusal(client, linked)]])
    return found


@old_case
def some_outputs_fail(client):
    """What can run is run; the rest is in the answer."""
    prompt = {**chain("ProbePlain", name="some"), "3": node("ProbeInputs", integer=99)}
    answer = client.post("/prompt", {"prompt": prompt, "client_id": client.id})
    run = client.wait(answer["prompt_id"])
    assert run.status == "success" and list(answer["node_errors"]) == ["3"]
    return [run.entry["outputs"], run.entry["prompt"][4]]


@old_case
def previews(client):
    """What a preview makes of values that are not text."""
    run = client.run(
        {
            "1": node("ProbeValues"),
            **{str(2 + index): node("PreviewAny", source=["1", index]) for index in range(4)},
        }
    )
    texts = [run.text(str(2 + index)) for index in range(4)]
    assert texts == [["3"], ["0.5"], ["True"], ['["a", 1]']]
    return texts


@old_case
def text_on_a_node(client):
    """The frame of progress text, and messages of a pack's own."""
    run = client.run(chain("ProbeText", text="é<b>0 "))
    assert run.events("progress_text")[0].data == {"node": "1", "text": "é<b>0 "}
    assert run.events("probe")[0].data == {"text": "é<b>0 "}
    return trace(run)


def duration(run):
    """Seconds from the start of a prompt to its end."""
    times = [data["timestamp"] for data in run.ends.values()]
    return (max(times) - min(times)) / 1000


def interrupted(client, prompt, after="executing"):
    """Runs a prompt, cancels it once a node runs, and tells how long it then took."""
    seen = len(client.messages)
    prompt_id = client.queue(prompt)
    client.wait_for(after, lambda data: data.get("prompt_id") == prompt_id, after=seen)
    time.sleep(0.3)
    sent = client.interrupt(prompt_id)
    run = client.wait(prompt_id)
    ends = {event: data["timestamp"] / 1000 - sent for event, data in run.ends.items()}
    return run, ends.get("execution_interrupted", ends.get("execution_success"))


@case
def interrupts(client):
    """Whoever asks by clearing takes the flag from the others; whoever does not leaves it."""

    def prompt(ask, seconds):
        return {
            "1": node("ProbeList", count=4, text="i"),
            "2": node("ProbeAsync", text=["1", 0], seconds=seconds, ask=ask),
            "3": node("PreviewAny", source=["2", 0]),
        }

    clearing, slow = interrupted(client, prompt("clearing", 2.0))
    leaving, quick = interrupted(client, prompt("non-clearing", 3.0))
    assert slow > 1.0 and quick < 0.5, (slow, quick)
    assert (
        clearing.ends["execution_interrupted"]["node_id"]
        == leaving.ends["execution_interrupted"]["node_id"]
        == "2"
    )
    return trace(leaving)


@old_case
def interrupt_of_a_sync_node(client):
    """A sampler's progress bar ends it."""
    run, late = interrupted(client, chain("ProbeSampler", seconds=20.0, step=0.02, seed=1), after="progress")
    assert late < 1.0
    return run.ends["execution_interrupted"]["node_type"]


@case
def interrupts_of_others(client):
    """While idle, or of another prompt, an interrupt is lost."""
    client.interrupt()
    idle = client.run(chain("ProbeAsync", text="a", seconds=0.1, ask="clearing"))
    prompt_id = client.queue(chain("ProbeAsync", text="b", seconds=1.0, ask="clearing"))
    client.interrupt("another")
    other = client.wait(prompt_id)
    assert idle.status == other.status == "success"
    return [idle.status, other.status]


@old_case
def a_prompt_as_a_node_reads_it(client):
    """The queue's entry, what is still to run, and which item of a list this is."""
    prompt = {
        "1": node("PrimitiveString", value="shown before"),
        "2": node("PreviewAny", source=["1", 0]),
        "3": node("ProbeList", count=3, text="i"),
        "4": node("ProbeReads", text=["3", 0]),
        "5": node("PreviewAny", source=["4", 0]),
    }
    client.run(prompt)
    told = [json.loads(text) for text in client.run(prompt).text("5")]
    assert [item["item"] for item in told] == [[0, 3], [1, 3], [2, 3]]
    assert told[0]["outputs"] == ["2", "5"] and told[0]["cached"] == ["1", "2", "3"]
    assert {"4", "5"} <= set(told[0]["to do"]) and all(item["is this prompt"] for item in told)
    return told


@case
def how_far_a_prompt_is(client):
    """A node that was in the cache is finished; one that has not begun is not listed."""
    prompt = {
        "1": node("PrimitiveString", value="shown before, too"),
        "2": node("PreviewAny", source=["1", 0]),
        "3": node("ProbeStates", text=["1", 0]),
        "4": node("PreviewAny", source=["3", 0]),
    }
    client.run(prompt)
    (text,) = client.run(prompt).text("4")
    told = json.loads(text)
    assert told["states"] == {"2": "finished", "3": "running"} and told["is this prompt"]
    return told


@case
def queueing(client):
    """What waits can be removed; what is done can be forgotten."""
    first = client.queue(chain("ProbeAsync", text="q", seconds=1.0, ask="never"))
    second = client.queue(chain("ProbePlain", name="removed"))
    wait_until(lambda: client.get("/queue")["queue_running"])
    queue = client.get("/queue")
    assert [item[1] for item in queue["queue_pending"]] == [second]
    client.post("/queue", {"delete": [second]})
    client.wait(first)
    assert second not in client.get("/history")
    client.post("/history", {"delete": [first]})
    assert first not in client.get("/history")
    return steady([[item[2], item[4]] for item in queue["queue_running"]])


@case
def a_leaked_cancellation(client):
    """Ends the worker: there is no end of that prompt, and no other ever runs."""
    source = node("PrimitiveString", value="v")
    client.queue(
        {"1": source, "2": node("ProbeLeak", source=["1", 0]), "3": node("PreviewAny", source=["2", 0])}
    )
    client.wait_for("executing", lambda data: data["node"] == "2")
    wait_until(lambda: "CancelledError" in client.host.log())
    after = client.queue(chain("ProbePlain", name="never"))
    time.sleep(1)
    assert client.get(f"/history/{after}") == {}
    return [message.kind for message in client.messages if message.kind.startswith("execution_")]


# No host survives it: the next case gets a new one.
FATAL = ["a_leaked_cancellation"]


def start(kind, folder):
    """A host with the probe packs, and a client."""
    packs = dict(PROBES)
    if kind == "real":
        (folder / "models").mkdir()
    return Host(kind, folder, packs)


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    """A function that runs a case on a kind of host, once; hosts are started when first needed."""
    hosts, known = {}, {}

    def outcome(kind, name):
        if (kind, name) not in known:
            if kind not in hosts:
                hosts[kind] = start(kind, tmp_path_factory.mktemp(kind))
            client = Client(hosts[kind])
            try:
                known[kind, name] = json.loads(json.dumps(CASES[name](client)))
            finally:
                client.close()
                if name in FATAL:
                    hosts.pop(kind).stop()
        return known[kind, name]

    yield outcome
    for host in hosts.values():
        host.stop()


ALL = [("contract", name) for name in CASES] + [("contract-sync", name) for name in OLD]


@pytest.mark.parametrize("kind,name", ALL)
def test_contract_host(outcomes, kind, name):
    """The contract host keeps the contracts."""
    outcomes(kind, name)


@pytest.mark.skipif(why_not_real() is not None, reason=str(why_not_real()))
@pytest.mark.parametrize(
    "kind,name", [(kind, name) for kind, name in ALL if (kind == "contract") == runs_beside("real")]
)
def test_same_as_real(outcomes, kind, name):
    """A real ComfyUI does the same."""
    assert outcomes(kind, name) == outcomes("real", name)
