"""The chart of a comparison, measured in its pixels: bars as long as their values, and text that stays inside.

Not here: who draws it when (`test_compare`).
"""

import importlib.util
import io
import urllib.request

import pytest
from PIL import Image

from host.hosts import ROOT
from nodes.graphs import node
from nodes.test_compare import CHART, compare, run, stats

spec = importlib.util.spec_from_file_location("chart", ROOT / "python" / "xdev_llm" / "comfy" / "chart.py")
chart = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chart)

WIDTH = (chart.WIDTH - 2 * chart.MARGIN - chart.NAMES - len(chart.COLUMNS) * chart.GAP) / len(chart.COLUMNS)


def draw(*rows):
    """A chart of these rows."""
    return chart.draw(rows, f"{len(rows)} models compared", "LM Studio · http://localhost:1234")


def bars(picture, row):
    """The lengths of a row's bars, in pixels."""
    middle = int(chart.HEAD + chart.COLUMN_HEAD + (row + 0.5) * chart.ROW)
    lengths = []
    for place in range(len(chart.COLUMNS)):
        left = chart.MARGIN + chart.NAMES + chart.GAP + place * (WIDTH + chart.GAP)
        # Above the letters of the label, and inside of the bar.
        line = [picture.getpixel((x, middle - chart.BAR // 2 + 2)) for x in range(int(left) + 1, int(left + WIDTH))]
        lengths.append(next((x for x, pixel in enumerate(line) if not is_bar(pixel)), len(line)))
    return lengths


def is_bar(pixel):
    inks = (chart.BAR_INK, chart.BEST_INK)
    return any(all(abs(one - other) < 12 for one, other in zip(pixel, ink)) for ink in inks)


def test_bars_are_as_long_as_their_values():
    values = [(0.2, 80.0, 100), (0.4, 20.0, 400), (0.8, 40.0, 200)]
    picture = draw(*(chart.Row(f"model {index}", "", *given) for index, given in enumerate(values)))
    found = [bars(picture, index) for index in range(3)]
    for place in range(3):
        most = max(given[place] for given in values)
        longest = max(lengths[place] for lengths in found)
        assert longest > 100
        for given, lengths in zip(values, found):
            assert lengths[place] == pytest.approx(longest * given[place] / most, abs=3)


def test_what_is_nought_or_not_known_or_failed_has_no_bar():
    picture = draw(
        chart.Row("a", "", 0.5, 0.0, 0), chart.Row("b", "", None, None, None), chart.Row("c", failure="Failed: no"),
        chart.Row("d", "", 0.5, 3.0, 5),
    )  # fmt: skip
    assert bars(picture, 0)[1:] == [0, 0] and bars(picture, 1) == bars(picture, 2) == [0, 0, 0]
    assert all(length > 100 for length in bars(picture, 3))
    assert len({picture.size for picture in (draw(chart.Row("a", "", 0.0, 0.0, 0)), draw(chart.Row("b")))}) == 1


def test_the_best_stands_out_where_there_is_one():
    def colours(*rows):
        return {colour for _, colour in draw(*rows).getcolors(2**20)}

    assert chart.BEST_INK in colours(chart.Row("a", "", 0.1, 2.0, 3), chart.Row("b", "", 0.2, 1.0, 3))
    assert chart.BEST_INK not in colours(chart.Row("a", "", 0.1, 2.0, 3), chart.Row("b", "", 0.1, 2.0, 4))


@pytest.mark.parametrize("name", ["very-long-" * 30, "通义千问-" * 20, "🦙" * 80, "a\nb\tc\x00\u202e", "", "\ud800"])
def test_any_text_stays_in_its_place(name):
    plain = draw(chart.Row("a", "s", 0.1, 1.0, 1), chart.Row("a", failure="f"))
    picture = chart.draw([chart.Row(name, name, 0.1, 1.0, 1), chart.Row(name, failure=name or "no")], name, name)
    assert picture.size == plain.size == (chart.WIDTH, chart.HEAD + chart.COLUMN_HEAD + 2 * chart.ROW + chart.FOOT)
    assert bars(picture, 0) == bars(plain, 0)
    outside = (2, chart.MARGIN - 4, chart.WIDTH - chart.MARGIN + 4)
    assert {picture.getpixel((x, y)) for x in outside for y in range(picture.height)} == {chart.PAPER}
    # Nothing of a name is written into the bars' columns.
    gap = int(chart.MARGIN + chart.NAMES + chart.GAP / 2)
    rows = range(chart.HEAD + chart.COLUMN_HEAD + 2, picture.height - chart.FOOT)
    assert {picture.getpixel((gap, y)) for y in rows} <= {chart.PAPER, chart.LINE}


def test_a_long_name_keeps_both_ends():
    font = chart._font(None, 16)
    shown = chart._shortened("bartowski/Meta-Llama-3.1-70B-Instruct-GGUF-Q4_K_M", font, 400)
    assert shown.startswith("bartow") and shown.endswith("K_M") and shown.count("…") == 1
    assert font.getlength(shown) <= 400 and chart._shortened("short", font, 400) == "short"


def test_the_chart_of_a_run(client, serve):
    if client.host.kind != "real":
        pytest.skip("the contract host has no PyTorch")
    server = serve("--personality", "lmstudio")
    server.models([{"id": name, "loaded": True} for name in ("one", "two")])
    server.script(following=True, repeat=60, token_delay_ms=10)
    server.script(repeat=20, token_delay_ms=40)
    graph = {**compare(server, "one, two"), "picture": node("PreviewImage", images=["node", int(CHART)])}
    done = run(client, graph)
    (file,) = done.output("picture")["images"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{client.host.url}/view?filename={file['filename']}&type={file['type']}", timeout=30) as answer:
        picture = Image.open(io.BytesIO(answer.read())).convert("RGB")
    one, two = stats(done)
    for place, name in ((1, "tokens_per_second"), (2, "output_tokens")):
        assert one[name] > two[name] and bars(picture, 0)[place] > bars(picture, 1)[place] > 0, name
