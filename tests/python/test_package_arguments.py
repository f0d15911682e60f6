"""`check`, the history functions and the presets: no server takes part in any of this."""

import json

import pytest
import xdev_llm

KEY = "sk-" + "Ab3" * 12

BAD = {
    "temperature": [-0.1, 2.1, float("nan"), "hot", [1]],
    "top_p": [-0.1, 1.1],
    "top_k": [-1, 1.5],
    "min_p": [1.1],
    "max_tokens": [0, 8193, 10**30],
    "seed": [-1, 2**64],
    "stop": ["END", [1]],
    "presence_penalty": [2.5],
    "frequency_penalty": [-2.5],
    "repeat_penalty": [2.5],
    "reasoning": ["much", 1],
    "response_format": ["yaml", "[1]", {1: 2}, {"type": "json_schema"}],
    "keep_alive": [-2],
    "context_length": [255],
    "timeout": [4, 301, float("inf"), "long"],
    "deadline": [-1],
    "interval": [0, float("nan")],
    "extra": [{"model": "x"}, {"x": float("nan")}, {"x": object()}, "x"],
    "preset": ["creatve", 1],
    "server": ["localhost:1234", "ftp://localhost", "http://user:secret@localhost:1234", "nowhere", 7, KEY],
    "model": [7, KEY],
    "system_prompt": [7, KEY],
    "messages": ["{", '[{"role":"usr","content":"x"}]', [{"role": "usr"}], 7, '"x"'],
}

GOOD = {
    "temperature": [0, 2, 0.7],
    "max_tokens": [1, 8192],
    "seed": [0, 2**64 - 1],
    "stop": [[], ["END"]],
    "reasoning": ["", "default", "off", "high"],
    "response_format": ["", "json", '{"type":"object"}', {"type": "json_object"}, {"type": "object"}],
    "keep_alive": [-1, 0, 300],
    "timeout": [5, 300, 120.5],
    "deadline": [0, 600],
    "preset": ["", "creative", "custom"],
    "server": ["", "http://localhost:1234", "http://127.0.0.1:1234/v1"],
    "model": ["", "auto", "qwen/qwen3-4b-2507", "sk"],
    "messages": ["", " ", "[]", '[{"role":"user","content":"x"}]', []],
    "auto_detect_server": [True],
    "on_events": [print],
}


def each(table):
    """Every name with each of its values."""
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), each(BAD))
def test_a_bad_value_is_named_in_words(client, name, value):
    problems = client.check("Hello", **{name: value})
    assert [field for field, _ in problems] == [name]
    message = problems[0][1]
    assert len(message) > 15 and message[-1] in ".?" and KEY not in message and "secret" not in message


@pytest.mark.parametrize(("name", "value"), each(GOOD))
def test_a_good_value_is_no_problem(client, name, value):
    assert client.check("Hello", **{name: value}) == []


@pytest.mark.parametrize("prompt", ["", " \n", None, 7])
def test_an_empty_prompt_is_bad(client, prompt):
    assert [field for field, _ in client.check(prompt)] == ["prompt"]
    assert [field for field, _ in client.check(prompt=prompt)] == ["prompt"]


def test_the_messages_may_be_all_there_is(client):
    assert client.check(messages=[{"role": "user", "content": "x"}]) == []


def test_every_problem_is_found_at_once(client):
    problems = client.check("", temperature=9, top_p="x", timeout=1, model=KEY, preset="no")
    assert {name for name, _ in problems} == {"prompt", "temperature", "top_p", "timeout", "model", "preset"}


def test_history_is_named_with_line_and_column(client):
    ((field, message),) = client.check("Hello", messages='[\n  {"role": "usr", "content": "x"}]')
    assert field == "messages" and "line 2, column 16" in message


def test_the_limit_of_the_config_holds(sandbox):
    sandbox.config("max_tokens_limit = 100\n")
    ((field, message),) = xdev_llm.Client().check("Hello", max_tokens=101)
    assert (field, "100" in message) == ("max_tokens", True)


def test_an_unknown_keyword_is_a_type_error(client):
    with pytest.raises(TypeError, match="temprature"):
        client.check("Hello", temprature=1)


def test_check_and_chat_know_the_same_keywords(client):
    """A keyword that only one of them knows would go wrong in silence."""
    import inspect

    names = [name for name in inspect.signature(xdev_llm.Client.chat).parameters if name != "self"]
    assert client.check(**{"prompt": "Hello", **{name: None for name in names if name != "prompt"}}) == []
    assert len(names) == 26


def test_presets_are_those_of_the_specification(client):
    expected = {
        "creative": {"temperature": 0.9, "top_p": 0.9, "max_tokens": 2048},
        "balanced": {"temperature": 0.7, "top_p": 0.8, "max_tokens": 1024},
        "focused": {"temperature": 0.3, "top_p": 0.7, "max_tokens": 512},
        "precise": {"temperature": 0.1, "top_p": 0.5, "max_tokens": 256},
        "custom": {},
    }
    assert xdev_llm.builtin_presets() == client.presets == expected


HISTORY = """[{"role":"system","content":"S"},
 {"role":"user","content":"A","own":1}, {"role":"assistant","content":"B"}]"""


def test_history_is_read():
    assert xdev_llm.parse_history(HISTORY)[0] == {"role": "system", "content": "S"}
    assert xdev_llm.parse_history(" ") == []
    with pytest.raises(xdev_llm.InvalidInput, match="line 1, column"):
        xdev_llm.parse_history('[{"role":"user","content":}]')


def test_appending_keeps_every_byte():
    new = [{"role": "user", "content": 'é "quoted"'}]
    text = xdev_llm.append_history(HISTORY, new)
    assert text.startswith(HISTORY[:-1]) and json.loads(text)[-1] == new[0]
    assert json.loads(xdev_llm.append_history("", new)) == new
    with pytest.raises(xdev_llm.InvalidInput):
        xdev_llm.append_history(HISTORY, [{"content": "no role"}])
    with pytest.raises(TypeError):
        xdev_llm.append_history(HISTORY, [{"role": "user", "content": object()}])


def test_trimming_keeps_the_system_message_and_the_last_question():
    text = xdev_llm.append_history(HISTORY, [{"role": "user", "content": "C"}])
    assert xdev_llm.trim_history(text, 10_000) == text
    left = [(message["role"], message["content"]) for message in json.loads(xdev_llm.trim_history(text, 1))]
    assert left == [("system", "S"), ("user", "C")]


def test_tokens_are_counted_in_conversations_and_in_texts():
    assert xdev_llm.count_tokens("") == 0
    assert 2 <= xdev_llm.count_tokens("Hello world") <= 4
    assert xdev_llm.count_tokens(HISTORY) < xdev_llm.count_tokens(HISTORY + ".")


def test_keys_are_recognised():
    assert xdev_llm.looks_like_key(KEY) and not xdev_llm.looks_like_key("http://localhost:1234")
