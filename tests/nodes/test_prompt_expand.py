"""The nodes that make many prompts out of one text: what each input does, and what the next node runs through.

Not here: how templates are read (the engine's own tests).
"""

import json

import pytest

from conftest import wait_until
from host.hosts import Refused
from nodes.graphs import chat, defaults, node, outputs_of

MATRIX, WILDCARDS = "XDEV_PromptMatrix", "XDEV_PromptWildcards"


def run(client, kind, count, /, **inputs):
    """What each output of a node shows: a text, or a list of texts."""
    done = client.run(outputs_of(kind, count, defaults(client, kind, **inputs)))
    return [done.text(str(index)) for index in range(count)]


def matrix(client, **inputs):
    """The combinations, as the list that the node gives."""
    return run(client, MATRIX, 4, **inputs)[3]


def drawn(client, **inputs):
    """The prompts, as the list that the node gives."""
    return run(client, WILDCARDS, 2, **inputs)[1]


@pytest.fixture
def folder(host):
    """ComfyUI's folder of wildcards, empty."""
    folder = host.folder / "wildcards"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder


def test_matrix_gives_text_info_and_a_list(client):
    text, info, numbered, prompts = run(client, MATRIX, 4)
    every = ["red", "green", "blue", "red, green", "red, blue", "green, blue", "red, green, blue"]
    assert prompts == every and text == ["\n".join(every)]
    assert info == ["all_combinations: 7 of 7 combinations of 3 parts"]
    assert numbered[0].splitlines()[3] == "4. red, green"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("incremental", ["red", "red, green", "red, green, blue"]),
        ("pairwise", ["red, green", "red, blue", "green, blue"]),
        ("cartesian", ["red", "green", "blue"]),
    ],
)
def test_matrix_modes(client, mode, expected):
    assert matrix(client, combination_mode=mode) == expected


def test_matrix_lines_base_and_separator(client):
    prompts = matrix(
        client, matrix_prompt="a|b\nc", combination_mode="cartesian", base_prompt="x {y}", separator=" + "
    )
    assert prompts == ["x {y} + a + c", "x {y} + b + c"]


def test_matrix_takes_few_of_very_many(client):
    parts = " | ".join(f"p{number}" for number in range(40))
    assert len(matrix(client, matrix_prompt=parts, max_combinations=10)) == 10
    mixed = matrix(client, matrix_prompt=parts, max_combinations=10, shuffle_results=True, seed=1)
    assert len(set(mixed)) == 10
    assert mixed == matrix(
        client, matrix_prompt=parts, max_combinations=10, combination_mode="random", seed=1
    )
    assert mixed != matrix(client, matrix_prompt=parts, max_combinations=10, shuffle_results=True, seed=2)


def test_matrix_draws_anew_without_a_seed(client):
    graph = outputs_of(MATRIX, 2, defaults(client, MATRIX, shuffle_results=True))
    seeds = {client.run(graph).text("1")[0] for _ in range(3)}
    assert len(seeds) == 3 and all("in random order (seed " in info for info in seeds)
    graph = outputs_of(MATRIX, 2, defaults(client, MATRIX, shuffle_results=True, seed=7))
    client.run(graph)
    assert "node" in client.run(graph).cached


def test_matrix_is_shown(client):
    done = client.run({"node": defaults(client, MATRIX, matrix_prompt="|".join("abcdefg"))})
    (shown,) = done.output("node")["xdev_llm"]
    lines = shown["report"].splitlines()
    assert lines[0] == "all_combinations: 100 of 127 combinations of 7 parts" and lines[2] == "1. a"
    assert lines[-1] == "… and 50 more"


def test_matrix_says_what_is_wrong(client):
    bad = {"matrix_prompt": " | ", "combination_mode": "all", "max_combinations": 1001, "seed": -2}
    with pytest.raises(Refused) as caught:
        client.queue({"node": defaults(client, MATRIX, **bad)})
    told = json.dumps(caught.value.answer)
    assert all(f"{field}: " in told for field in bad)
    done = client.run({"node": defaults(client, MATRIX, matrix_prompt=" | ", validate_input=False)})
    assert "no parts" in done.error["exception_message"]


def test_the_next_node_runs_once_for_each(client, server):
    graph = chat(server)
    graph["chat"]["inputs"]["prompt"] = ["matrix", 3]
    parts = "|".join(f"p{number}" for number in range(12))
    graph["matrix"] = node(MATRIX, matrix_prompt=parts, combination_mode="cartesian", base_prompt="Say")
    assert len(client.run(graph).text("response")) == 12
    asked = sorted(asked["body"]["messages"][-1]["content"] for asked in server.chats())
    assert asked == sorted(f"Say, p{number}" for number in range(12))


def test_wildcards_draw_by_seed(client):
    first, prompts, info = run(client, WILDCARDS, 3, template="{a|b} {1|2|3}", seed=3, count=5)
    assert len(prompts) == 5 and first == prompts[:1] and info == ["5 drawn of 6 prompts (seed 3)"]
    assert prompts == drawn(client, template="{a|b} {1|2|3}", seed=3, count=5)
    assert prompts != drawn(client, template="{a|b} {1|2|3}", seed=4, count=5)


def test_wildcards_in_turn(client):
    template = {"template": "{a|b}{1|2}", "mode": "combinatorial"}
    assert drawn(client, **template, count=9) == ["a1", "a2", "b1", "b2"]
    assert drawn(client, **template, count=2, seed=1) == ["a2", "b1"]
    assert drawn(client, **template, seed=4) == ["a1"]


def test_wildcards_come_from_comfyuis_folder(client, folder):
    (folder / "animal.txt").write_text("cat\n")
    graph = outputs_of(WILDCARDS, 1, defaults(client, WILDCARDS, template="a __animal__"))
    assert client.run(graph).text("0") == ["a cat"]
    assert "node" in client.run(graph).cached
    (folder / "animal.txt").write_text("lion\n")
    wait_until(lambda: client.run(graph).text("0") == ["a lion"])


def test_a_fixed_text_stays_as_it_is(client, folder):
    fixed = "a {b|c} __none__"
    entry = {"source": "fixed", "fixed_text": fixed, "template": "__none__"}
    assert run(client, WILDCARDS, 3, **entry) == [[fixed], [fixed], ["fixed_text as it stands"]]
    assert drawn(client, fixed_text=fixed, template="a") == ["a"]


def replayed(client, count, **inputs):
    """The widgets of the node in the workflow that pictures of a run are saved with."""
    entry = defaults(client, WILDCARDS, count=count, **inputs)
    saved = ["{a|b|c|d} {1|2}", 3, "fixed", "random", count, "populate", ""]
    workflow = {"nodes": [{"id": 7, "type": WILDCARDS, "widgets_values": saved}, {"id": 8}], "links": []}
    graph = {"7": entry, "8": node("ProbePicture", after=["7", 0]), "9": node("PreviewAny", source=["8", 0])}
    done = client.run(graph, extra_data={"extra_pnginfo": {"workflow": workflow}})
    return json.loads(done.text("9")[0])["nodes"][0]["widgets_values"]


def test_a_saved_picture_replays(client):
    entry = {"template": "{a|b|c|d} {1|2}", "seed": 3}
    # First: a node that ComfyUI need not run writes nothing.
    widgets = replayed(client, 1, **entry)
    [made] = drawn(client, **entry)
    assert widgets == [entry["template"], 3, "fixed", "random", 1, "fixed", made]
    assert drawn(client, template="x", source="fixed", fixed_text=made) == [made]


def test_a_saved_picture_replays_lists(client):
    entry = {"template": "{a|b|c|d} {1|2}", "seed": 3}
    kept = replayed(client, 4, **entry)[-1]
    made = drawn(client, **entry, count=4)
    assert kept == "\n".join(made)
    assert drawn(client, template="x", source="fixed", fixed_text=kept, count=4) == made
    lines = replayed(client, 2, template="{a|b}\n{c|d}")
    assert lines[-2:] == ["populate", ""], "lines of its own"


def test_wildcards_are_shown(client):
    done = client.run(
        {"node": defaults(client, WILDCARDS, template="{1-60$$a}", mode="combinatorial", count=60)}
    )
    assert done.output("node")["xdev_llm"] == [{"report": "a"}]
    numbers = "{" + "|".join(map(str, range(60))) + "}"
    done = client.run({"node": defaults(client, WILDCARDS, template=numbers, mode="combinatorial", count=60)})
    (shown,) = done.output("node")["xdev_llm"]
    assert shown["report"].splitlines()[-2:] == ["49", "… and 10 more"]


def test_wildcards_say_what_is_wrong(client, folder):
    bad = {"template": "a __colour__", "mode": "all", "count": 0, "seed": -1}
    told = refusal(client, **bad)
    assert all(f"{field}: " in told for field in bad) and "There is no wildcard __colour__" in told
    (folder / "color.txt").write_text("red\n")
    # The folder is looked at once a second.
    wait_until(lambda: "The nearest: __color__" in refusal(client, template="a __colour__"))


def refusal(client, **inputs):
    """What is said of inputs that are wrong."""
    with pytest.raises(Refused) as caught:
        client.queue({"node": defaults(client, WILDCARDS, **inputs)})
    return json.dumps(caught.value.answer)
