"""The builders of styles and persons and the library of styles: what each widget does, and files of the user's own.

Not here: what goes with what (the engine's own tests).
"""

import json

import pytest

from host.hosts import Refused
from nodes.graphs import defaults, node, outputs_of

STYLE, PERSON, LIBRARY = "XDEV_StyleBuilder", "XDEV_PersonBuilder", "XDEV_StyleLibrary"
COUNTS = {STYLE: 4, PERSON: 3, LIBRARY: 3}


def run(client, kind, /, **widgets):
    """The outputs of a node with its defaults, but for these widgets."""
    done = client.run(outputs_of(kind, COUNTS[kind], defaults(client, kind, **widgets)))
    return [done.text(str(index))[0] for index in range(COUNTS[kind])]


def refused(client, kind, /, **widgets):
    """What is said when these widgets are queued."""
    with pytest.raises(Refused) as caught:
        client.queue({"node": defaults(client, kind, **widgets)})
    return json.dumps(caught.value.answer)


@pytest.fixture
def own(world):
    """The folder of the user's own styles; what a test puts there is gone after it."""
    folder = world.folder / "prompt"
    (folder / "library").mkdir(parents=True)
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("kind", COUNTS)
def test_it_runs_with_its_own_defaults(client, kind):
    first, *_ = run(client, kind)
    assert first


def test_a_style_and_its_weight(client):
    prompt, info, breakdown, negative = run(client, STYLE, style_weight=1.25, prompt="a harbour")
    assert prompt.startswith("a harbour, (") and ":1.25), " in prompt
    assert info.startswith("impressionism, oil, pastel, natural, brushstrokes\nseed 0")
    assert breakdown.splitlines()[0].startswith("primary_style: impressionism: ") and "(weight 1.25)" in breakdown
    assert negative == ""


@pytest.mark.parametrize(
    "category,entry",
    [("medium", "charcoal"), ("color_palette", "muted"), ("lighting", "backlit"), ("composition", "framed"), ("texture", "canvas")],
)
def test_each_category_of_a_style(client, category, entry):
    chosen = dict.fromkeys(("medium", "color_palette", "lighting", "composition", "texture"), "none")
    breakdown = run(client, STYLE, **{**chosen, "primary_style": "none", category: entry})[2]
    assert breakdown.startswith(f"{category}: {entry}: ") and "\n" not in breakdown


@pytest.mark.parametrize(
    "category,entry",
    [
        ("age", "elderly"), ("gender", "male"), ("expression", "joyful"), ("hair_color", "black"), ("hair_style", "bald"),
        ("eye_color", "blue"), ("pose", "sitting"), ("clothing", "formal"), ("archetype", "mystic"),
    ],
)  # fmt: skip
def test_each_category_of_a_person(client, category, entry):
    chosen = dict.fromkeys(
        ("age", "gender", "expression", "hair_color", "hair_style", "eye_color", "pose", "clothing", "archetype"), "none"
    )
    summary = run(client, PERSON, **{**chosen, category: entry})[2]
    assert summary.startswith(f"{category}: {entry}: ") and "\n" not in summary


def test_words_of_ones_own(client):
    assert ", seen in a mirror, " in run(client, STYLE, custom_style="seen in a mirror")[0]
    framed = run(client, STYLE, custom_style="a stage with {prompt} on it", prompt="a fox")[0]
    assert framed.startswith("a stage with a fox on it, ")
    assert run(client, PERSON, custom_traits="a scar on the chin")[0].endswith(", a scar on the chin")


def test_terms_of_quality(client):
    assert run(client, STYLE, add_technical=True)[2].count("quality: ") == 3
    assert run(client, STYLE)[2].count("quality: ") == 0
    assert run(client, PERSON, add_quality=True)[2].count("quality: ") == 3


def test_seeds_and_chance(client):
    drawn = run(client, STYLE, primary_style="auto", randomize_auto=True, seed=5)
    assert drawn == run(client, STYLE, primary_style="auto", randomize_auto=True, seed=5)
    assert drawn != run(client, STYLE, primary_style="auto", randomize_auto=True, seed=6)
    assert len(drawn[2].splitlines()) >= 5
    assert run(client, STYLE, primary_style="auto")[0] == ""
    one = run(client, PERSON, randomize_traits=True, seed=5)
    assert one == run(client, PERSON, randomize_traits=True, seed=5) and len(one[2].splitlines()) >= 7


@pytest.mark.parametrize("kind", [STYLE, PERSON])
def test_a_seed_of_minus_one_is_another_each_time(client, kind):
    flag = "randomize_auto" if kind == STYLE else "randomize_traits"
    infos = {run(client, kind, seed=-1, **{flag: True})[1] for _ in range(3)}
    assert len(infos) == 3 and all("seed -" not in info for info in infos)


def test_positions(client):
    assert run(client, STYLE, prompt="a fox", position="before")[0].endswith(", a fox")
    assert run(client, STYLE, prompt="a fox, {style}, at night", position="placeholder")[0].endswith(", at night")
    missing = run(client, PERSON, prompt="a tower", position="placeholder")
    assert missing[0].startswith("a tower, ") and "{person}" in missing[1]


def test_a_person_and_a_style_do_not_contradict(client):
    graph = outputs_of(
        STYLE, 2, defaults(client, STYLE, primary_style="none", color_palette="monochrome", prompt=["person", 0])
    )
    graph["person"] = defaults(client, PERSON, eye_color="green")
    done = client.run(graph)
    assert "green eyes" in done.text("0")[0] or "emerald eyes" in done.text("0")[0]
    assert "monochrome" not in done.text("0")[0] and "left out: color_palette monochrome" in done.text("1")[0]


def test_a_style_of_the_library_in_the_builder(client):
    prompt, *_, negative = run(client, STYLE, library_style="Blueprint", prompt="a fox", primary_style="none", medium="ink")
    assert prompt.startswith("technical blueprint of a fox, ") and negative.startswith("photograph")


def test_fields_are_checked_before_anything_runs(client):
    said = refused(client, STYLE, medium="marmalade", style_weight=3.0, position="aside", seed=-2)
    assert all(field in said for field in ("medium", "style_weight", "position", "seed")) and "watercolor" in said
    assert "library_style" in refused(client, STYLE, library_style="Marmalade")
    assert "eye_color" in refused(client, PERSON, eye_color="plaid")


@pytest.mark.parametrize("kind,field", [(STYLE, "medium"), (PERSON, "pose")])
def test_fields_are_checked_when_it_runs_where_that_is_wished(client, kind, field):
    done = client.run({"node": defaults(client, kind, validate_input=False, **{field: "marmalade"})})
    assert field in done.error["exception_message"] and "marmalade" in done.error["exception_message"]


def test_a_key_is_refused_wherever_it_stands(client):
    key = "sk-" + "a1B2" * 12
    assert "key" in refused(client, STYLE, custom_style=key, validate_input=False)
    assert "key" in refused(client, LIBRARY, search=key)


def test_the_library(client):
    positive, negative, name = run(client, LIBRARY, prompt="a fox", style="Blueprint", negative_prompt="text")
    assert positive.startswith("technical blueprint of a fox, ") and name == "Blueprint"
    assert negative.startswith("text, photograph")
    assert run(client, LIBRARY, prompt="a fox", search="loose watercolor")[2] == "Loose Watercolor"
    assert "no-such-style" in refused(client, LIBRARY, style="no-such-style")
    done = client.run({"node": defaults(client, LIBRARY, search="xylophone marmalade")})
    assert "xylophone" in done.error["exception_message"]


def test_the_node_shows_what_was_done(client):
    for kind in COUNTS:
        (shown,) = client.run({"node": defaults(client, kind)}).output("node")["xdev_llm"]
        assert shown["report"].strip()


def test_files_of_ones_own_count_at_once(client, own):
    (own / "styles.toml").write_text('[[medium]]\nname = "fresco"\nwordings = ["fresco on plaster"]\n')
    (own / "library" / "mine.json").write_text('[{"name": "Mine", "prompt": "{prompt}, mine"}]')
    assert "fresco on plaster" in run(client, STYLE, medium="fresco")[0]
    assert run(client, LIBRARY, prompt="a fox", style="Mine") == ["a fox, mine", "", "Mine"]
    (own / "library" / "mine.json").write_text('[{"name": "Mine", "prompt": "{prompt}, changed"}]')
    assert run(client, LIBRARY, prompt="a fox", style="Mine")[0] == "a fox, changed"
    found = client.get("/api/xdev_llm/styles?search=MINE")
    assert [style["name"] for style in found["styles"]][0] == "Mine" and found["notes"] == []


def test_broken_files_leave_the_nodes_and_are_named(client, own):
    (own / "persons.toml").write_text("[[age]\n")
    (own / "library" / "broken.json").write_text("[{")
    assert "young_adult" in json.dumps(client.get(f"/object_info/{PERSON}"))
    assert "persons.toml" in refused(client, PERSON)
    done = client.run({"node": defaults(client, PERSON, validate_input=False)})
    assert "persons.toml" in done.error["exception_message"]
    (shown,) = client.run({"node": defaults(client, LIBRARY, prompt="a fox")}).output("node")["xdev_llm"]
    assert "broken.json" in shown["report"] and "cinematic film still of a fox" in shown["report"]
    assert "broken.json" in client.get("/xdev_llm/styles")["notes"][0]


def test_the_route_of_styles_finds_the_best_first(client):
    found = client.get("/xdev_llm/styles?search=oil%20painting")["styles"]
    assert found[0]["name"] == "Oil Painting" and set(found[0]) == {"name", "prompt", "negative_prompt"}
    assert len(client.get("/xdev_llm/styles")["styles"]) >= 48
    assert client.get("/xdev_llm/styles?search=xylophone")["styles"] == []


def test_a_linked_search_decides_over_the_style(client):
    graph = outputs_of(LIBRARY, 3, defaults(client, LIBRARY, prompt="a fox", style="gone", search=["words", 0]))
    graph["words"] = node("XDEV_ChatHistory", message_history="", role="user", content="")
    graph["node"]["inputs"]["search"] = ["words", 1]
    graph["words"]["inputs"]["content"] = ""
    done = client.run(graph)
    # Without words the style is taken after all, and it is not there.
    assert "gone" in done.error["exception_message"]
