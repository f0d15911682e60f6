"""InputDev and OutputDev: every type in every mode, every widget's effect, and values that no node should give.

What needs PyTorch runs on a real ComfyUI only; elsewhere it fails in words. Not here: how it looks (tests/browser).
"""

import json
from pathlib import Path

import pytest

from host.hosts import Refused
from nodes.graphs import defaults, node, outputs_of

INPUT, OUTPUT = "XDEV_InputDev", "XDEV_OutputDev"
PLAIN = ("STRING", "INT", "FLOAT", "BOOLEAN", "LIST", "DICT", "JSON")
TENSORS = ("IMAGE", "LATENT", "MASK", "CONDITIONING", "AUDIO", "SIGMAS", "NOISE")
OBJECTS = ("MODEL", "VIDEO", "SAMPLER")
MODES = ("simple", "realistic", "stress_test")


def test_data(kind="STRING", mode="realistic", /, **changes):
    """An InputDev."""
    return node(INPUT, output_type=kind, output_mode=mode, **changes)


test_data.__test__ = False


def show(client, *sources, **widgets):
    """What an OutputDev shows of values that nodes give; a text names a value of the pack of values."""
    graph, links = {}, {}
    for index, source in enumerate(sources, 1):
        graph[f"source {index}"] = node("ProbeValue", name=source) if isinstance(source, str) else source
        links[f"input_{index}"] = [f"source {index}", 0]
    graph["shown"] = node(OUTPUT, **links, **widgets)
    (shown,) = client.run(graph).output("shown")["xdev_llm"]
    # What the browser parses has no NaN.
    json.dumps(shown, allow_nan=False)
    return shown["inspection"]


def first(client, source, **widgets):
    """What is shown of one value."""
    (told,) = show(client, source, **widgets)["values"]
    return told


def facts(told):
    """The facts as a dict."""
    return dict(told["facts"])


def made(client, kind, mode="realistic", /, **changes):
    """What an InputDev gives, as the preview writes it, and its metadata."""
    run = client.run(outputs_of(INPUT, 2, test_data(kind, mode, **changes)))
    return run.text("0")[0], run.text("1")[0]


# InputDev


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", PLAIN)
def test_plain_values_are_made_and_shown(client, kind, mode):
    told = first(client, test_data(kind, mode))
    classes = {"STRING": "str", "JSON": "str", "INT": "int", "FLOAT": "float", "BOOLEAN": "bool"}
    assert told["class"] == classes.get(kind, kind.lower()) and told["headline"]


def test_the_seed_decides_and_nothing_else(client):
    for kind in PLAIN:
        values = [made(client, kind, seed=seed)[0] for seed in (1, 2, 3, 4, 1)]
        assert values[0] == values[4] and len(set(values)) > 1, kind
    # Known, so that it is the same everywhere and for ever.
    assert made(client, "INT", seed=1, size_parameter=1000)[0] == "567"
    assert made(client, "STRING", seed=7, size_parameter=60)[0] == "a red fox by the sea, (sharp focus:1.2). a market street on"


def test_simple_values_are_the_same_for_every_seed(client):
    assert made(client, "STRING", "simple", seed=1)[0] == made(client, "STRING", "simple", seed=2)[0]
    assert [made(client, kind, "simple")[0] for kind in ("INT", "FLOAT", "BOOLEAN")] == ["42", "0.5", "True"]


def test_stress_is_nasty(client):
    text = made(client, "STRING", "stress_test", size_parameter=400)[0]
    assert len(text) == 400 and "<script>" in text and "\u202e" in text
    floats = {made(client, "FLOAT", "stress_test", seed=seed)[0] for seed in range(30)}
    assert {"nan", "inf", "-inf"} <= floats


@pytest.mark.parametrize("kind", ["LIST", "DICT"])
def test_size_is_the_number_of_items(client, kind):
    for mode in MODES:
        assert facts(first(client, test_data(kind, mode, size_parameter=17)))["items"] == 17


def test_size_bounds_texts_and_numbers(client):
    assert 40 < len(made(client, "STRING", size_parameter=80)[0]) <= 80
    assert all(int(made(client, "INT", seed=seed, size_parameter=3)[0]) <= 3 for seed in range(8))
    assert len(json.loads(made(client, "JSON", size_parameter=9)[0])) == 9


def test_less_quality_has_faults(client):
    clean = made(client, "STRING", seed=3)[0]
    assert made(client, "STRING", seed=3, quality_factor=0.5)[0] != clean
    assert "null" in made(client, "LIST", size_parameter=40, quality_factor=0.5)[0]
    assert "null" not in made(client, "LIST", size_parameter=40)[0]


def test_metadata_says_what_was_made(client):
    text, metadata = made(client, "STRING", seed=5)
    told = json.loads(metadata)
    assert told["type"] == "STRING" and told["source"] == "realistic" and told["seed"] == 5
    assert str(len(text)) in told["value"]
    assert made(client, "STRING", seed=5, include_metadata=False)[1] == ""


@pytest.mark.parametrize(
    "kind,typed,value",
    [
        ("STRING", " as it is ", " as it is "),
        ("INT", " -7 ", "-7"),
        ("FLOAT", "1e3", "1000.0"),
        ("BOOLEAN", "No", "False"),
        ("LIST", '["a", 1]', '["a", 1]'),
        ("DICT", '{"a": {"b": null}}', '{"a": {"b": null}}'),
        ("JSON", '{ "a": 1 }', '{ "a": 1 }'),
    ],
)
def test_a_typed_value_is_taken(client, kind, typed, value):
    given, metadata = made(client, kind, custom_value=typed)
    assert given == value and json.loads(metadata)["source"] == "custom_value"


@pytest.mark.parametrize(
    "kind,typed,words",
    [
        ("INT", "4.5", "not a whole number"),
        ("FLOAT", "much", "not a number"),
        ("BOOLEAN", "maybe", "neither true nor false"),
        ("LIST", '{"a": 1}', "not an object"),
        ("DICT", "[1]", "not an array"),
        ("DICT", '{"a": }', "line 1, column 7"),
        ("LIST", "[" * 100_000, "too deep"),
        ("IMAGE", "red", "takes no value of your own"),
    ],
)
def test_a_bad_typed_value_is_named_before_anything_runs(client, kind, typed, words):
    with pytest.raises(Refused) as caught:
        client.queue({"node": test_data(kind, custom_value=typed)})
    told = json.dumps(caught.value.answer)
    assert "custom_value: " in told and words in told


def test_a_bad_value_that_is_linked_fails_in_words(client):
    graph = {
        "text": node("PrimitiveString", value="many"),
        "node": test_data("INT", custom_value=["text", 0]),
    }
    assert "custom_value: " in client.run(graph).error["exception_message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"size_parameter": 0}, {"size_parameter": 4097}, {"seed": -1}, {"batch_size": 0}, {"quality_factor": 1.5},
        {"output_type": "CHEESE"}, {"output_mode": "wild"},
    ],
)  # fmt: skip
def test_fields_out_of_range_are_named(client, changes):
    with pytest.raises(Refused) as caught:
        client.queue({"node": node(INPUT, **{"output_type": "INT", "output_mode": "simple", **changes})})
    assert f"{next(iter(changes))}: " in json.dumps(caught.value.answer)


@pytest.mark.parametrize("kind", [*TENSORS, *OBJECTS])
def test_without_pytorch_a_tensor_fails_in_words(client, kind):
    if client.host.kind == "real":
        pytest.skip("a real ComfyUI has PyTorch")
    run = client.run({"node": test_data(kind)})
    assert f"output_type: {kind} needs torch" in run.error["exception_message"]


def test_anything_fits_a_typed_input_and_any_output_fits_anything(client):
    """The specified pattern, and what a text becomes on the way."""
    graph = {
        "in": test_data("STRING", custom_value="as it is"),
        "takes": node("ProbeTakes", string=["in", 0]),
        "out": node(OUTPUT, input_1=["takes", 0], input_2=["in", 1], input_3=["in", 0]),
    }
    run = client.run(graph)
    assert run.text("takes") == ["string: str as it is"]
    assert len(run.output("out")["xdev_llm"][0]["inspection"]["values"]) == 3


def test_the_specified_pattern(client, server):
    server.script(text="Entangled.")
    graph = {
        "in": test_data("STRING", custom_value="Explain quantum computing in simple terms"),
        "chat": defaults(client, "XDEV_LMStudioChat", prompt=["in", 0], server_url=server.url),
        "out": node(OUTPUT, input_1=["chat", 0]),
    }
    (shown,) = client.run(graph).output("out")["xdev_llm"]
    (told,) = shown["inspection"]["values"]
    assert server.body()["messages"][-1]["content"] == "Explain quantum computing in simple terms"
    assert told["headline"].startswith("text, ") and told["text"] == told["text"].strip() != ""


# OutputDev


def test_text_is_shown_as_text(client):
    told = first(client, "'two\\nlines'")
    assert told["text"] == "two\nlines" and told["headline"] == "text, 9 characters, 2 lines"


def test_json_text_is_shown_as_a_tree(client):
    told = first(client, """'{"a": [1, {"b": null}]}'""")
    assert told["headline"].startswith("JSON text")
    (entry,) = told["tree"]["items"]
    assert entry["key"] == "a" and entry["count"] == 2
    assert entry["items"][1]["items"] == [{"key": "b", "kind": "nothing", "text": "None"}]


def test_levels_show_more_and_more(client):
    source = test_data("DICT", size_parameter=300)
    counts = [json.dumps(first(client, source, display_level=level)).count('"key"') for level in ("summary", "detailed", "full")]
    assert counts[0] < 20 < counts[1] < counts[2]
    long = test_data("STRING", size_parameter=4096)
    lengths = [len(first(client, long, display_level=level)["text"]) for level in ("summary", "detailed", "full")]
    assert lengths[0] == 300 < lengths[1] == 4000 < lengths[2]
    assert first(client, long, display_level="detailed")["cut"] == lengths[2] - 4000


@pytest.mark.parametrize(
    "name",
    [
        "hostile", "hostile items", "hostile dict", "hostile text", "pretender", "cycle", "deep", "many", "long", "one line",
        "bytes", "nan", "number", "large integer", "surrogate", "deep JSON", "nothing", "markup", "keys", "generator",
    ],
)  # fmt: skip
@pytest.mark.parametrize("level", ["summary", "full"])
def test_hostile_values_are_shown(client, name, level):
    found = show(client, name, name, display_level=level, compare_inputs=True, save_to_file=level == "full")
    assert len(found["values"]) == 2 and all(told["headline"] for told in found["values"])
    assert len(json.dumps(found)) < 2_000_000


def test_what_is_said_of_hostile_values(client):
    assert first(client, "hostile dict")["tree"]["items"][0] == {"key": "a", "kind": "integer", "text": "1"}
    assert first(client, "hostile text")["text"] == "a text"
    assert first(client, "cycle")["tree"]["items"][1]["items"][0]["kind"] == "cycle"
    assert first(client, "many")["headline"] == "list of 10 000 000 items"
    assert [entry["text"] for entry in first(client, "nan")["tree"]["items"]] == ["nan", "inf", "-inf", "-0.0"]
    assert "raised RecursionError" in first(client, "hostile", display_level="full")["problem"]
    assert "about 100000 digits" in first(client, "large integer")["headline"].replace("100001", "100000")


@pytest.mark.parametrize(
    "one,other,equal,words",
    [
        ("3", "3", True, "equal"),
        ("3", "5", False, "difference is 2"),
        ("True", "1", False, "whole number"),
        ("float('nan')", "float('nan')", True, "equal"),
        ("'a'", "'a'", True, "equal"),
        ("[1, [2]]", "[1, [2]]", True, "equal"),
        ("[1, [2]]", "[1, [3]]", False, "[1][0]: 2 and 3"),
        ("{'a': 1}", "{'b': 1}", False, "[a] is missing in the second"),
        ("[1, 2]", "[1]", False, "2 and 1 items"),
        ("{1, 2}", "{2, 1}", True, "equal"),
        ("cycle", "cycle", True, "equal"),
        ("b'ab'", "b'ac'", False, "61 62 and 61 63"),
        ("object()", "object( )", None, "Nobody but"),
        ("""'{"a": 1, "b": 2}'""", """'{"b":2, "a":1}'""", False, "the same JSON"),
        ("None", "None", True, "equal"),
    ],
)
def test_two_values_are_compared(client, one, other, equal, words):
    (found,) = show(client, one, other, compare_inputs=True)["compared"]
    assert found["names"] == ["input_1", "input_2"] and found["equal"] is equal and words in found["told"], found


def test_three_values_are_compared_in_pairs(client):
    found = show(client, "1", "2", "1", compare_inputs=True)["compared"]
    assert [(pair["names"], pair["equal"]) for pair in found] == [
        (["input_1", "input_2"], False), (["input_1", "input_3"], True), (["input_2", "input_3"], False),
    ]  # fmt: skip
    assert show(client, "1", "2")["compared"] == []


def test_words_that_differ_are_marked(client):
    (found,) = show(client, "'a red fox, 4k'", "'a blue fox, 4k'", compare_inputs=True)["compared"]
    assert found["by"] == "words"
    assert found["diff"] == [["same", "a "], ["gone", "red"], ["new", "blue"], ["same", " fox, 4k"]]


def test_lines_of_json_that_differ_are_marked(client):
    one, other = [f"""'{{"a": {value}, "list": {list(range(30))}}}'""" for value in (1, 2)]
    (found,) = show(client, one, other, compare_inputs=True)["compared"]
    assert found["by"] == "lines" and ["gone", '  "a": 1,'] in found["diff"] and ["new", '  "a": 2,'] in found["diff"]
    assert found["diff"][-1][0] == "skipped"


def test_long_texts_are_compared_without_end(client):
    (found,) = show(client, "'a b ' * 100000", "'b a ' * 100000", compare_inputs=True)["compared"]
    assert found["equal"] is False and found["diff"][0][0] == "skipped"


def output_folder(client):
    """Where a host keeps results."""
    return Path(client.host.folder) / "output"


def test_values_are_saved_and_nothing_is_overwritten(client):
    sources = ("'text \u00e9'", """'{"a": 1}'""", "{'number': float('nan'), 'list': (1, None)}")
    runs = [show(client, *sources, save_to_file=True, display_level=level) for level in ("full", "summary")]
    folder = output_folder(client)
    assert len({path for run in runs for path in run["saved"]}) == 6
    for run in runs:
        names = [path.split("_", 3)[3] for path in run["saved"]]
        assert names == ["input_1.txt", "input_2.json", "input_3.json"]
        content = [(folder / path).read_text(encoding="utf-8") for path in run["saved"]]
        assert content[:2] == ["text é", '{"a": 1}']
        assert json.loads(content[2]) == {"number": "nan", "list": [1, None]}
    count = len(list(folder.iterdir()))
    assert show(client, *sources)["saved"] == [] and len(list(folder.iterdir())) == count


def test_without_our_javascript_a_text_says_it(plain_client):
    graph = {"value": node("ProbeValue", name="markup"), "out": node(OUTPUT, input_1=["value", 0])}
    run = plain_client.run(graph)
    if plain_client.host.kind == "contract-sync":
        return  # has no text display
    (message,) = [event.data for event in run.events("progress_text") if event.data["node"] == "out"]
    assert "dict of 1 item" in message["text"] and "<s" not in message["text"]


def test_a_list_is_shown_item_by_item(client):
    graph = {"list": node("ProbeList", count=12, text="item"), "out": node(OUTPUT, input_1=["list", 0])}
    shown = client.run(graph).output("out")["xdev_llm"]
    assert [entry["inspection"]["values"][0]["text"] for entry in shown] == [f"item {index}" for index in range(12)]


# What needs PyTorch


@pytest.fixture
def torch_client(client):
    """A browser of a ComfyUI that has PyTorch."""
    if client.host.kind != "real":
        pytest.skip("the contract host has no PyTorch")
    return client


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [*TENSORS, *OBJECTS])
def test_every_type_is_made_and_shown(torch_client, kind, mode):
    told = first(torch_client, test_data(kind, mode, size_parameter=64, batch_size=2))
    wanted = {
        "IMAGE": "image, 64 × 64 pixels, 2 pictures", "MASK": "mask, 64 × 64 pixels, 2 pictures",
        "LATENT": "latent, 2 × 4 × 8 × 8", "CONDITIONING": "conditioning, [2, 64, 768]",
        "AUDIO": "sound, 0.64 s, 2 channels, 44100 Hz", "SIGMAS": "tensor, 65, float32", "MODEL": "ModelPatcher of BaseModel, 5.2 MiB",
        "VIDEO": "video, 64 × 64 pixels, 0.25 s",
    }  # fmt: skip
    if (kind, mode) == ("MASK", "stress_test"):
        wanted["MASK"] = "tensor, 2 × 64 × 64, float32"  # no mask by its numbers
    assert told["headline"] == wanted.get(kind, told["headline"]) and "problem" not in told


def test_tensors_are_told_in_numbers(torch_client):
    told = first(torch_client, test_data("IMAGE", "simple", size_parameter=64))
    assert {key: facts(told)[key] for key in ("shape", "type", "device", "memory", "min", "max", "mean", "nan", "infinite")} == {
        "shape": "[1, 64, 64, 3]", "type": "float32", "device": "cpu", "memory": "48.0 KiB", "min": "0", "max": "1",
        "mean": "0.5", "nan": 0, "infinite": 0,
    }  # fmt: skip
    assert [channel["name"] for channel in told["histogram"]["channels"]] == ["red", "green", "blue"]
    assert all(sum(channel["counts"]) == 64 * 64 for channel in told["histogram"]["channels"])
    assert told["pictures"][0].startswith("data:image/jpeg;base64,")
    assert "histogram" not in first(torch_client, test_data("IMAGE", "simple"), display_level="summary")
    assert len(first(torch_client, test_data("IMAGE", batch_size=6), display_level="full")["pictures"]) == 4


def test_what_is_no_number_is_counted(torch_client):
    told = first(torch_client, test_data("IMAGE", "stress_test", size_parameter=64))
    assert facts(told)["nan"] > 0 and facts(told)["infinite"] > 0
    assert sum(channel["above"] for channel in told["histogram"]["channels"]) > 0


def test_seed_quality_and_batch_of_tensors(torch_client):
    def mean(**changes):
        return facts(first(torch_client, test_data("IMAGE", size_parameter=64, **changes)))["mean"]

    assert mean(seed=1) == mean(seed=1) != mean(seed=2)
    assert mean(seed=1, quality_factor=0.5) != mean(seed=1)
    shown = first(torch_client, test_data("LATENT", batch_size=3, size_parameter=512))
    assert facts(shown)["shape"] == "[3, 4, 64, 64]"


def test_tensors_are_compared(torch_client):
    sources = [test_data("LATENT", seed=seed, size_parameter=64) for seed in (1, 2)]
    (found,) = show(torch_client, *sources, compare_inputs=True)["compared"]
    assert found["equal"] is False and "the largest difference is " in found["told"]
    sources = [test_data("MASK", "simple", size_parameter=size) for size in (32, 64)]
    (found,) = show(torch_client, *sources, compare_inputs=True)["compared"]
    assert "shapes differ: [1, 32, 32] and [1, 64, 64]" in found["told"]
    sources = [test_data("SIGMAS", size_parameter=8), test_data("SIGMAS", size_parameter=8, include_metadata=False)]
    (found,) = show(torch_client, *sources, compare_inputs=True)["compared"]
    assert found["equal"] is True


def test_pictures_are_saved_as_png(torch_client):
    saved = show(torch_client, test_data("IMAGE", batch_size=2, size_parameter=32), test_data("LATENT"), save_to_file=True)["saved"]
    assert [path.split("_", 3)[3] for path in saved] == ["input_1_1.png", "input_1_2.png", "input_2.json"]
    content = (output_folder(torch_client) / saved[0]).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and content[16:24] == bytes([0, 0, 0, 32] * 2)
    assert "latent" in json.loads((output_folder(torch_client) / saved[2]).read_text())["headline"]


def test_a_sampler_takes_what_is_made(torch_client):
    """The model is small and knows nothing, but it is one."""
    graph = {
        "model": test_data("MODEL"),
        "positive": test_data("CONDITIONING", size_parameter=77),
        "negative": test_data("CONDITIONING", "simple", size_parameter=77),
        "latent": test_data("LATENT", "simple", size_parameter=64, batch_size=2),
        "sample": node(
            "KSampler", model=["model", 0], positive=["positive", 0], negative=["negative", 0], latent_image=["latent", 0],
            seed=1, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=1.0,
        ),
        "out": node(OUTPUT, input_1=["sample", 0], input_2=["model", 0]),
    }  # fmt: skip
    (shown,) = torch_client.run(graph).output("out")["xdev_llm"]
    latent, model = shown["inspection"]["values"]
    assert latent["headline"] == "latent, 2 × 4 × 8 × 8" and facts(latent)["nan"] == 0
    assert facts(model)["model"] == "comfy.model_base.BaseModel"


def test_custom_samplers_take_what_is_made(torch_client):
    graph = {
        "model": test_data("MODEL"),
        "noise": test_data("NOISE"),
        "sampler": test_data("SAMPLER", "simple"),
        "sigmas": test_data("SIGMAS", size_parameter=2),
        "conditioning": test_data("CONDITIONING", size_parameter=77),
        "latent": test_data("LATENT", "simple", size_parameter=64),
        "guider": node("BasicGuider", model=["model", 0], conditioning=["conditioning", 0]),
        "sample": node(
            "SamplerCustomAdvanced", noise=["noise", 0], guider=["guider", 0], sampler=["sampler", 0], sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "out": node(OUTPUT, input_1=["sample", 0]),
    }  # fmt: skip
    (shown,) = torch_client.run(graph).output("out")["xdev_llm"]
    assert shown["inspection"]["values"][0]["headline"] == "latent, 1 × 4 × 8 × 8"
