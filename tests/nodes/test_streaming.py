"""The answer grows in the browser: in order, beside a sampler, in linear traffic, without thinking in it."""

import json
import time

import pytest

from host.hosts import Client, knows_items
from nodes.graphs import REASONING, RESPONSE, STATS, chat, events, node, streamed

UNICODE = "Grüße, 世界! 👩‍👩‍👧 é ﷽ <b>&amp;</b>\n\tEnd."


def test_deltas_arrive_before_the_answer_ends(client, server):
    server.script(repeat=40, token_delay_ms=25)
    run = client.run(chat(server))
    told = events(client)
    assert told[0].get("start") is True
    assert streamed(client) == run.text(RESPONSE)[0] == "tok " * 40
    pieces = [data for data in told if data.get("text")]
    assert 8 <= len(pieces) <= 30, "one message each 50 ms, not one a token and not one for all"
    (done,) = [data["done"] for data in told if "done" in data]
    assert done["output_tokens"] == 40 and done["tokens_per_second"] > 0 and done["time_to_first_token"] > 0
    ended = next(
        message
        for message in client.messages
        if message.kind == "executed" and message.data["node"] == "chat"
    )
    first = next(
        message for message in client.messages if message.kind == "xdev_llm" and message.data.get("text")
    )
    assert ended.time - first.time > 0.5


def test_the_result_holds_what_was_shown(client, server):
    server.script(text="Blue.", reasoning="The sky?")
    (shown,) = client.run(chat(server)).output("chat")["xdev_llm"]
    assert shown["text"] == "Blue." and shown["reasoning"] == "The sky?"
    assert shown["done"]["finish_reason"] == "stop" and shown["server"]["url"] == server.url


def test_without_stream_nothing_is_shown_until_the_end(client, server):
    server.script(repeat=20, token_delay_ms=20)
    run = client.run(chat(server, stream=False))
    assert run.text(RESPONSE) == ["tok " * 20] and streamed(client) == ""
    assert run.output("chat")["xdev_llm"][0]["text"] == "tok " * 20
    assert server.body()["stream"] is True, "the clocks and cancel need a stream on the wire"


@pytest.mark.parallel
def test_deltas_arrive_while_a_sync_node_runs(client, server):
    server.script(repeat=40, token_delay_ms=25)
    graph = {
        **chat(server),
        "sampler": node("ProbeSampler", seconds=2.0, step=0.05, seed=int(time.time())),
        "sink": node("ProbeSink", source=["sampler", 0]),
    }
    run = client.run(graph)
    steps = [message.time for message in run.messages if message.kind == "progress"]
    deltas = [
        message.time for message in run.messages if message.kind == "xdev_llm" and message.data.get("text")
    ]
    during = [when for when in deltas if steps[0] < when < steps[-1]]
    assert len(during) >= 8, (len(deltas), len(during))
    times = [data["timestamp"] for data in run.ends.values()]
    assert max(times) - min(times) < 3500, "the answer of one second hides behind the sampler of two"


def test_list_items_are_told_apart(client, server):
    server.script(text="An answer.")
    graph = {**chat(server, prompt=["list", 0]), "list": node("ProbeList", count=3, text="Question")}
    run = client.run(graph)
    assert run.text(RESPONSE) == ["An answer."] * 3
    assert len(run.output("chat")["xdev_llm"]) == 3
    if not knows_items(client.host.kind):
        return  # such versions do not tell a node which item it is given
    for item in range(3):
        told = [data for data in events(client) if data.get("item", 0) == item]
        assert told[0].get("start") and "".join(data.get("text", "") for data in told) == "An answer."
        assert "done" in told[-1]


def test_traffic_is_linear(client, server):
    sizes = {}
    for count in (1000, 3000):
        server.script(repeat=count, token_delay_ms=1)
        seen = len(client.messages)
        client.run(chat(server, max_tokens=8192))
        told = [message.data for message in client.messages[seen:] if message.kind == "xdev_llm"]
        sizes[count] = sum(len(json.dumps({"type": "xdev_llm", "data": data})) for data in told)
    assert sizes[1000] < 60_000 and sizes[3000] < 180_000, sizes
    assert sizes[3000] < 4 * sizes[1000], sizes


@pytest.mark.parametrize("field", ["native", "inline-think", "inline-closing"])
def test_thinking_is_never_in_the_response(client, server, field):
    text = {
        "inline-think": "<think>A secret plan.</think>Hello.",
        "inline-closing": "A secret plan.</think>Hello.",
    }
    if field == "native":
        server.script(text="Hello.", reasoning="A secret plan.")
    else:
        server.script(text=text[field], token_delay_ms=20)
    run = client.run(chat(server))
    assert run.text(RESPONSE) == ["Hello."]
    assert run.text(REASONING)[0].strip() == "A secret plan."
    assert "think>" not in json.dumps([run.entry["outputs"], events(client)])
    after = [index for index, data in enumerate(events(client)) if data.get("reclassify")]
    text_shown = "".join(data.get("text", "") for data in events(client)[after[-1] if after else 0 :])
    assert text_shown.strip() == "Hello."


def test_unicode_survives(client, server):
    server.script(tokens=list(UNICODE), token_delay_ms=5)
    run = client.run(chat(server, prompt=UNICODE, system_prompt=UNICODE))
    assert run.text(RESPONSE) == [UNICODE] and streamed(client) == UNICODE
    assert [message["content"] for message in server.body()["messages"]] == [UNICODE, UNICODE]


def test_without_our_javascript_the_text_display_is_used(plain_client, server):
    attack = "<img src=x onerror=alert(1)> "
    server.script(tokens=[attack] * 30, token_delay_ms=50)
    run = plain_client.run(chat(server))
    assert not events(plain_client)
    shown = run.events("progress_text")
    assert 1 <= len(shown) <= 5, "not one a token: each holds the text anew"
    for message in shown:
        assert message.data["node"] == "chat" and "img src=x" in message.data["text"]
        assert "<i" not in message.data["text"], "ComfyUI's display takes this text as HTML"
    assert run.text(RESPONSE) == [(attack * 30)], "the outputs hold what the model wrote"


def test_reading_the_prompt_moves_the_bar(client, serve):
    """LM Studio's own API tells how far it has read."""
    server = serve("--personality", "lmstudio")
    server.script(text="Done.", first_token_delay_ms=300)
    run = client.run(chat(server))
    assert run.text(RESPONSE) == ["Done."]
    phases = [data["progress"]["phase"] for data in events(client) if data.get("progress")]
    assert set(phases) <= {"loading_model", "reading_prompt"}


def test_stats_list_what_was_sent(client, server):
    server.script(text="Four words are here.")
    run = client.run(chat(server, seed=5, temperature=0.4, top_k=11))
    stats = json.loads(run.text(STATS)[0])
    sent = json.dumps(stats)
    assert '"temperature": 0.4' in sent and '"top_k": 11' in sent and '"seed": 5' in sent
    assert stats["output_tokens"] and stats["duration"] > 0


def test_loading_a_model_is_shown_and_waited_for(client, server):
    server.script(text="Loaded.", loading_ms=1200)
    run = client.run(chat(server))
    assert run.text(RESPONSE) == ["Loaded."]
    assert "loading_model" in [data["progress"]["phase"] for data in events(client) if data.get("progress")]


def test_only_the_browser_that_queued_it_is_told(client, host, server):
    other = Client(host)
    try:
        other.post("/xdev_llm/hello", {"client_id": other.id})
        server.script(repeat=10, token_delay_ms=20)
        client.run(chat(server))
        assert streamed(client) and not events(other)
    finally:
        other.close()


def test_a_prompt_without_a_browser(client, server):
    server.script(text="Nobody looks.")
    prompt_id = client.post("/prompt", {"prompt": chat(server)})["prompt_id"]
    assert client.wait(prompt_id).text(RESPONSE) == ["Nobody looks."]


def test_what_had_arrived_of_a_cut_answer_stays_in_sight(client, server):
    server.script(repeat=50, token_delay_ms=20, fault="reset:20")
    run = client.run(chat(server))
    assert "CutOff" in run.error["exception_type"]
    assert streamed(client).startswith("tok tok") and events(client)[-1].get("error")
