"""What is shown is what is sent: presets and every widget of the chat, as the model server gets them.

Here stand the four examples of the specification, word for word in what they ask.
"""

import json

import pytest

from nodes.graphs import CHAT, CONVERSATION, RESPONSE, STATS, chat, defaults, node

HISTORY = json.dumps(
    [
        {"role": "user", "content": "How do I solve this math problem?"},
        {"role": "assistant", "content": "Here's the step-by-step solution..."},
    ]
)


def sent(server, *names):
    """These fields of the one request there was."""
    body = server.body()
    return {name: body.get(name) for name in names}


def test_example_1_simple_chat(client, serve):
    server = serve("--personality", "lmstudio-0.3", "--model", "llama-3.1-8b")
    graph = chat(server, prompt="Explain quantum computing in simple terms", model="llama-3.1-8b")
    assert client.run(graph).text(RESPONSE)[0]
    assert sent(server, "model", "temperature", "top_p", "max_tokens") == {
        "model": "llama-3.1-8b",
        "temperature": 0.7,
        "top_p": 0.8,
        "max_tokens": 1024,
    }
    assert server.body()["messages"] == [
        {"role": "user", "content": "Explain quantum computing in simple terms"}
    ]


def test_example_2_creative_writing(client, server):
    system = "You are a creative writer specializing in whimsical fantasy stories"
    client.run(chat(server, system_prompt=system, preset="creative", temperature=0.9, max_tokens=2048)).text(
        RESPONSE
    )
    assert sent(server, "temperature", "top_p", "max_tokens") == {
        "temperature": 0.9,
        "top_p": 0.9,
        "max_tokens": 2048,
    }
    assert server.body()["messages"][0] == {"role": "system", "content": system}


def test_example_3_technical_analysis(client, server):
    client.run(chat(server, preset="focused", temperature=0.2, max_tokens=1024)).text(RESPONSE)
    assert sent(server, "temperature", "top_p", "max_tokens") == {
        "temperature": 0.2,
        "top_p": 0.7,
        "max_tokens": 1024,
    }


def test_example_4_conversation(client, server):
    server.script(text="I think it is right.")
    run = client.run(chat(server, prompt="What do you think about that solution?", message_history=HISTORY))
    asked = [*json.loads(HISTORY), {"role": "user", "content": "What do you think about that solution?"}]
    assert server.body()["messages"] == asked
    answer = {"role": "assistant", "content": "I think it is right."}
    assert json.loads(run.text(CONVERSATION)[0]) == [*asked, answer]


def test_a_conversation_goes_on_in_the_next_chat(client, server):
    server.script(text="First answer.", following=True)
    graph = chat(server, prompt="First question.", system_prompt="Be brief.")
    second = chat(server, prompt="Second question.", message_history=["chat", 1])
    graph |= {"second": second["chat"], "out": node("PreviewAny", source=["second", 1])}
    run = client.run(graph)
    roles = [message["role"] for message in json.loads(run.text("out")[0])]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert server.chats()[1]["body"]["messages"][2]["content"] == "First answer."


@pytest.mark.parametrize(
    "preset,numbers",
    {
        "creative": (0.9, 0.9, 2048),
        "balanced": (0.7, 0.8, 1024),
        "focused": (0.3, 0.7, 512),
        "precise": (0.1, 0.5, 256),
    }.items(),
)
def test_a_preset_gives_what_the_workflow_lacks(client, server, preset, numbers):
    client.run(chat(server, preset=preset)).text(RESPONSE)
    body = server.body()
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == numbers


@pytest.mark.parametrize("preset", ["creative", "balanced", "focused", "precise", "custom"])
def test_a_widget_wins_over_every_preset(client, server, preset):
    client.run(chat(server, preset=preset, temperature=1.5, top_p=0.35, max_tokens=77)).text(RESPONSE)
    assert sent(server, "temperature", "top_p", "max_tokens") == {
        "temperature": 1.5,
        "top_p": 0.35,
        "max_tokens": 77,
    }


def test_a_preset_of_the_users_own(client, server):
    client.run(chat(server, preset="mine")).text(RESPONSE)
    assert sent(server, "temperature", "top_k") == {"temperature": 0.35, "top_k": 7}
    assert server.body()["messages"][0] == {"role": "system", "content": "You are mine."}
    widget = client.get(f"/object_info/{CHAT}")[CHAT]["input"]["required"]["preset"]
    assert widget[1]["xdev_llm_presets"]["mine"] == {"temperature": 0.35, "top_k": 7}


# Each widget with a value that is not its default, and how the request then differs. None: it is no part of
# the request, and another test is about it.
WIDGETS = {
    "prompt": ("Another question", lambda body: body["messages"][-1]["content"] == "Another question"),
    "server_url": None,
    "model": ("other-model", lambda body: body.get("model") == "other-model"),
    "preset": None,
    "system_prompt": (
        "Be brief.",
        lambda body: body["messages"][0] == {"role": "system", "content": "Be brief."},
    ),
    "message_history": (HISTORY, lambda body: len(body["messages"]) == 3),
    "temperature": (1.25, lambda body: body.get("temperature") == 1.25),
    "max_tokens": (99, lambda body: body.get("max_tokens") == 99),
    "top_p": (0.15, lambda body: body.get("top_p") == 0.15),
    "stream": None,
    "auto_detect_server": None,
    "timeout": None,
    "validate_input": None,
    "seed": (4711, lambda body: body.get("seed") == 4711),
    "top_k": (23, lambda body: body.get("top_k") == 23),
    "min_p": (0.07, lambda body: body.get("min_p") == 0.07),
    "stop": ("END\n\nUser:", lambda body: body.get("stop") == ["END", "User:"]),
    "reasoning": ("off", lambda body: "false" in json.dumps(body.get("chat_template_kwargs", body)).lower()),
    "on_error": None,
    "fallback_text": None,
    "run_again": None,
    "sampling": None,
    "memory": None,
}


def test_every_widget_is_looked_at(client):
    entry = client.get(f"/object_info/{CHAT}")[CHAT]["input"]
    assert [*entry["required"], *entry["optional"]] == list(WIDGETS)


@pytest.mark.parametrize("name", [name for name, tested in WIDGETS.items() if tested])
def test_a_widget_changes_the_request(client, serve, name):
    server = serve("--personality", "llama.cpp", "--model", "a-model", "--model", "other-model")
    value, shows = WIDGETS[name]
    base = defaults(client, CHAT, prompt="Hello", server_url=server.url, model="a-model", run_again="always")
    for changes in ({}, {name: value}):
        entry = {**base, "inputs": {**base["inputs"], **changes}}
        client.run({"chat": entry, "out": node("PreviewAny", source=["chat", 0])}).text("out")
    before, after = [asked["body"] for asked in server.chats()]
    assert before != after and shows(after) and not shows(before)
    rest = [{key: item for key, item in body.items() if item == before.get(key)} for body in (before, after)]
    assert len(after) - len(rest[1]) <= 2, "and only that"


def test_zero_means_not_sent(client, server):
    client.run({"chat": defaults(client, CHAT, prompt="Hello", server_url=server.url)})
    assert not {"top_k", "min_p", "stop", "presence_penalty"} & set(server.body())


def test_sampling_takes_the_place_of_the_widgets(client, server):
    sampling = {
        "preset": "precise",
        "temperature": 0.15,
        "max_tokens": 300,
        "top_p": 0.45,
        "top_k": 9,
        "min_p": 0.02,
        "stop": "STOP",
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "repeat_penalty": 1.1,
    }
    graph = chat(server, preset="creative", temperature=1.9, max_tokens=9, sampling=["sampling", 0])
    graph["sampling"] = node("XDEV_LLMSampling", **sampling)
    client.run(graph).text(RESPONSE)
    body = server.body()
    expected = {**sampling, "stop": ["STOP"]}
    del expected["preset"]
    assert {name: body.get(name) for name in expected} == expected


def test_what_a_server_does_not_take_is_named(client, serve):
    """GPT4All refuses every field it does not know."""
    server = serve("--personality", "gpt4all")
    run = client.run(chat(server, seed=5, top_k=40, min_p=0.1, reasoning="low"))
    stats = json.loads(run.text(STATS)[0])
    not_sent = json.dumps(stats["not_sent"])
    body = server.chats()[-1]["body"]
    for name in ("seed", "top_k", "min_p"):
        assert (name in body) != (name in not_sent), f"{name} is either sent or named"
    assert stats["parameters"]["max_tokens"] == body["max_tokens"] == 1024


@pytest.mark.parametrize(
    "personality", ["lmstudio", "lmstudio-0.3", "ollama", "llama.cpp", "vllm", "generic"]
)
def test_the_same_chat_on_each_server(client, serve, personality):
    server = serve("--personality", personality, "--text", "I am here.")
    run = client.run(chat(server, system_prompt="Be brief.", seed=3))
    assert run.text(RESPONSE) == ["I am here."]
    assert "0.7" in json.dumps(server.chats()[-1]["body"])
