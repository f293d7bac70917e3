"""PNG charts. What they look like was judged by eye; here, that they are drawn, with which glyphs and marks."""

import io
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from agent.tools import charts
from agent.tools.made import ToolInputError
from tests.tools.test_arguments import JSON

LABELS = ["一月", "二月", "三月"]
SERIES = [{"name": "收入", "values": [1, "2,000", None]}, {"name": "成本", "values": [3, -2.5, 1]}]
KINDS = ("line", "area", "bar", "horizontal_bar", "stacked_bar", "scatter", "histogram")


def picture(**arguments: Any) -> Image.Image:
    made = charts.build(arguments)
    assert made.mime == "image/png" and len(made.data) < 2_000_000
    return Image.open(io.BytesIO(made.data)).convert("RGB")


def colors(image: Image.Image) -> set[tuple[int, ...]]:
    return {color for _, color in image.getcolors(1 << 24)}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_shows_both_series(kind: str) -> None:
    values = [[[1, 2], [3, 4]], [[2, 1], [4, 4]]] if kind == "scatter" else [[1, 2, 4], [3, 2, 2]]
    series = [{"name": name, "values": each} for name, each in zip(("甲", "乙"), values, strict=True)]
    image = picture(type=kind, title="标题", labels=LABELS, series=series, x_label="月", y_label="万元")
    assert image.size == (1350, 780)
    first, second = (0x24, 0x63, 0xC5), (0xF0, 0x8A, 0x24)
    if kind == "scatter":  # its points are half transparent
        first, second = (91, 138, 211), (244, 166, 90)
    found = colors(image)
    assert all(any(max(abs(a - b) for a, b in zip(c, w, strict=True)) < 3 for c in found) for w in (first, second))


def test_a_pie_shows_its_slices_and_sums_up_the_rest() -> None:
    assert {(0x24, 0x63, 0xC5), (0xF0, 0x8A, 0x24)} <= colors(picture(type="pie", labels=["甲", "乙"], series=[1, 2]))
    made = charts.build({"type": "pie", "labels": [f"类{n}" for n in range(40)], "series": [list(range(40))]})
    assert "values: 40" in made.summary


def test_a_long_list_of_bars_makes_a_tall_picture() -> None:
    values = list(range(40))
    image = picture(type="horizontal_bar", labels=[f"城市{n}" for n in values], series=[values])
    assert image.height > image.width


def test_chinese_symbols_and_emoji_are_drawn() -> None:
    """Every word in the picture is made of glyphs that have an outline: no box, no warning, and not two alike."""
    seen = {charts.build({"labels": ["一"], "series": [1], "title": title}).data for title in "销售℃ǎ✅😀⁵x□"}
    assert len(seen) == 9


def test_what_no_font_draws_is_told() -> None:
    made = charts.build({"labels": ["𠮷"], "series": [1], "title": "हि"})
    assert "𠮷 U+20BB7" in made.summary and made.name == "हि.png"


def test_a_dollar_is_a_dollar() -> None:
    assert picture(labels=["$a_1$"], series=[1], title=r"$\frac{$") is not None


def test_the_same_chart_gives_the_same_bytes() -> None:
    assert charts.build({"labels": LABELS, "series": SERIES}) == charts.build({"labels": LABELS, "series": SERIES})


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"filename": "月报.png"}, "月报.png"),
        ({"filename": "a/b.jpg"}, "b.png"),
        ({"title": "标题"}, "标题.png"),
        ({}, "图表.png"),
    ],
)
def test_names(arguments: dict[str, Any], name: str) -> None:
    assert charts.build({"labels": LABELS, "series": SERIES} | arguments).name == name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"series": []}, "has no numbers"),
        ({"series": ["viel"]}, "send a number"),
        ({"series": [1e18]}, "larger unit"),
        ({"type": "radar", "series": [1]}, "send one of"),
        ({"labels": ["a"], "series": [1, 2]}, "one value a label"),
        ({"type": "pie", "series": [-1]}, "use type bar"),
        ({"type": "bar", "series": list(range(700))}, "use type line"),
    ],
)
def test_what_cannot_be_drawn_says_why(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolInputError, match=said):
        charts.build(arguments)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"), (12345, "12,345"), (-3.0, "-3"), (3.14159, "3.14"), (2.5, "2.5"), (0.00123, "0.00123"),
        (1234.56, "1,235"), (2e13, "2e+13"), (1e-9, "1e-09"), (0.5, "0.5"),
    ],
)  # fmt: skip
def test_numbers_as_one_reads_them(value: float, written: str) -> None:
    assert charts._written(value) == written


NUMBER = st.none() | st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15) | st.sampled_from([0, 0.0, 1e-300, 5e-324])
LISTS = st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(NUMBER, min_size=n, max_size=n), min_size=1, max_size=3))


@settings(max_examples=16, deadline=None)
@given(st.sampled_from([*KINDS, "pie"]), LISTS, st.text(max_size=40))
def test_any_numbers_make_a_picture_or_a_sentence(kind: str, values: list[list[float]], title: str) -> None:
    if kind == "scatter":
        values = [[[y, y] for y in line] for line in values]
    try:
        made = charts.build({"type": kind, "series": [{"values": line} for line in values], "title": title})
    except ToolInputError as error:
        assert str(error)
    else:
        assert made.data.startswith(b"\x89PNG")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "title", "labels", "series", "data", "filename"]), JSON))
def test_only_input_errors_come_out(arguments: dict[str, Any]) -> None:
    try:
        charts.build(arguments)
    except ToolInputError as error:
        assert str(error)


def test_asking_whether_it_is_there_does_not_load_it() -> None:
    code = "import sys; from agent.tools import charts; print(charts.available(), 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
