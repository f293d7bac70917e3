import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from agent.tools.fonts import CHINESE
from agent.tools.made import ToolInputError
from agent.tools.markdown import plain
from agent.tools.planning import (
    BODY,
    INDENT,
    LEFT,
    LINE_HEIGHT,
    PARAGRAPH_GAP,
    Box,
    Slide,
    Text,
    bullet_size,
    fit_table,
    fit_text,
    fit_title,
    plan_slides,
)


def _plan(**fields: object) -> list[Slide]:
    return plan_slides({"title": "题", **fields}, "slides[0]")


def _shown(text: Text) -> list[tuple[int, str]]:
    return [(bullet.level, plain(bullet.runs)) for bullet in text.bullets]


@pytest.mark.parametrize(
    "bullets",
    [
        ["一", "  二", "    三", "        四", "- 五"],
        "一\n  二\n    三\n        四\n五",
        "一\\n  二\\n    三\\n        四\\n五",
        ["一", ["二", ["三", "  四"]], "五"],
        [{"text": "一", "children": [{"text": "二", "children": ["三", ["四"]]}]}, "• 五", "", " "],
    ],
)
def test_bullets_come_in_many_shapes(bullets):
    (slide,) = _plan(bullets=bullets)
    assert _shown(slide.texts[0]) == [(0, "一"), (1, "二"), (2, "三"), (2, "四"), (0, "五")]


def test_a_title_alone_opens_a_section():
    assert _plan() == [Slide("题")]


def test_few_bullets_share_the_slide_with_a_table_or_a_chart():
    table = [["a", "b"], ["1", "2"]]
    chart = {"type": "bar", "labels": ["x"], "series": [{"name": "s", "values": [1]}]}
    (slide,) = _plan(bullets=["一"], table=table)
    assert slide.texts and slide.grid
    (slide,) = _plan(bullets=["一"], chart=chart)
    assert slide.texts and slide.plot
    first, *others = _plan(bullets=["很长的要点，" * 30] * 4, chart=chart, table=table)
    assert first.texts and first.plot
    assert others[-1].grid
    assert {slide.title for slide in others} == {"题（续）"}


def test_two_columns_have_headings_and_one_size():
    (slide,) = _plan(left_title="优势", left=["a"] * 9, right=["b"])
    left, right = slide.texts
    assert left.bullets[0].is_heading
    assert not right.bullets[0].is_heading
    assert left.size == right.size < 24


def test_only_the_first_slide_has_the_notes():
    first, *others = _plan(bullets=["要点 " * 20] * 30, notes="讲")
    assert first.notes == "讲"
    assert others
    assert not any(slide.notes for slide in others)


def test_slides_that_go_on_are_about_equally_full():
    counts = [len(slide.texts[0].bullets) for slide in _plan(bullets=["要点 " * 30] * 13)]
    assert len(counts) > 1
    assert max(counts) - min(counts) <= 2


def test_a_long_bullet_is_split_at_a_sentence():
    slides = _plan(bullets=["这是**一句**很长的话。" * 60])
    texts = [text for slide in slides for _, text in _shown(slide.texts[0])]
    assert "".join(texts) == "这是一句很长的话。" * 60
    assert all(text.endswith("。") for text in texts)


def test_a_table_repeats_its_header_and_loses_no_row():
    rows = [[str(number), "说明" * (number % 9)] for number in range(100)]
    slides = _plan(table={"columns": ["号", "说明"], "rows": rows})
    assert all(slide.grid and plain(slide.grid.rows[0][0]) == "号" for slide in slides)
    assert [plain(row[0]) for slide in slides if slide.grid for row in slide.grid.rows[1:]] == [row[0] for row in rows]


@pytest.mark.parametrize(
    "table",
    [
        {"columns": ["a", "b"], "rows": [["1", None], {"a": 2, "b": "x<br>y"}, ["3"]]},
        {"headers": [{"title": "a"}, {"name": "b"}], "data": [[1, ""], [2, "x\ny"], [3]]},
        [["a", "b"], [1], [2, "x y"], ["3", ""]],
        {"rows": [["a", "b"], [1], [2, "x y"], ["3", ""]]},
    ],
)
def test_tables_come_in_many_shapes(table):
    (slide,) = _plan(table=table)
    assert slide.grid
    assert [[plain(cell) for cell in row] for row in slide.grid.rows] == [
        ["a", "b"],
        ["1", ""],
        ["2", "x y"],
        ["3", ""],
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bullets": 5}, r"slides\[0\].bullets is a number; send a JSON array"),
        ({"bullets": ["x" * 50_001]}, "more than 50000 characters; make a document instead"),
        ({"bullets": [[[[[[[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]]]]]]}, "nested too deeply; send one string a bullet"),
        ({"table": {"columns": [], "rows": []}}, r'table has no columns; send {"columns"'),
        ({"table": {"columns": ["a"], "rows": [["1", "2"]]}}, r"table.rows\[0\] has 2 cells for 1 columns"),
        ({"table": {"columns": ["a"] * 13, "rows": []}}, "13 columns and 0 rows; 12 columns and 299 rows are the most"),
        ({"table": {"columns": ["a"], "rows": [["1"]] * 300}}, "use create_spreadsheet"),
        ({"chart": {"type": "histogram", "values": [1, 2]}}, "chart.type histogram is for create_chart"),
        ({"chart": {"type": "bar", "labels": ["a"], "series": [{"values": [1, 2]}]}}, "2 values for 1 labels"),
        ({"chart": {"type": "line", "values": list(range(201))}}, "more than 200 values"),
    ],
)
def test_what_cannot_be_shown_says_what_to_send(fields, message):
    with pytest.raises(ToolInputError, match=message):
        _plan(**fields)


def test_a_title_is_cut_when_nothing_else_helps():
    assert fit_title("短", 800, 2) == ("短", 32)
    text, size = fit_title("很长的标题" * 100, 800, 2)
    assert size == 20
    assert text.endswith("…")
    assert 60 < len(text) < 82


# The packaged font is no narrower than those that office programs use for the theme's.
_FONT = ImageFont.truetype(io.BytesIO(CHINESE.load()), 100)
_words = st.sampled_from(
    ["项目", "进度", "，", "12.5%", "English", "incomprehensibilities", "WIDE", "a", "iii", "。", "（注）"]
)
_lines = st.lists(_words, min_size=1, max_size=40).map(" ".join)


def _measured_lines(text: str, size: int, width: float) -> int:
    """Lines by the font's own widths, broken at spaces and around Chinese characters."""
    tokens: list[str] = []
    for character in text:
        if (
            tokens
            and character.isascii()
            and not character.isspace()
            and tokens[-1][-1:].isascii()
            and tokens[-1] != " "
        ):
            tokens[-1] += character
        else:
            tokens.append(character)
    lines, used = 1, 0.0
    for token in tokens:
        needed = _FONT.getlength(token) * size / 100
        if used + needed > width and token != " ":
            lines, used = lines + 1, 0.0
        used += needed
    return lines


@settings(max_examples=30, deadline=None)
@given(st.lists(_lines, min_size=1, max_size=14), st.sampled_from([BODY, LEFT]))
def test_text_fits_its_box_by_a_real_font(lines: list[str], box: Box):
    bullets = [bullet for slide in _plan(bullets=lines) for text in slide.texts for bullet in text.bullets]
    for text in fit_text(bullets, box):
        height = 0.0
        for bullet in text.bullets:
            size = bullet_size(text.size, bullet.level)
            width = box[2] - 14.4 - INDENT * (bullet.level + 1)
            height += _measured_lines(plain(bullet.runs), size, width) * size * LINE_HEIGHT + PARAGRAPH_GAP
        assert height <= box[3]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(_lines, _lines, _lines), min_size=2, max_size=12))
def test_tables_fit_the_slide(rows: list[tuple[str, str, str]]):
    for grid in fit_table(rows, BODY):
        assert sum(grid.heights) <= BODY[3]
        assert sum(grid.widths) <= BODY[2] + 0.01
        for row, height in zip(grid.rows, grid.heights, strict=True):
            for cell, width in zip(row, grid.widths, strict=True):
                assert _measured_lines(plain(cell), grid.size, width - 14.4) * grid.size * LINE_HEIGHT <= height
