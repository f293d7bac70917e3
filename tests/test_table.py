"""Tables: widths on the screen, control characters, and columns that share the room."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.table import Column, cut, one_line, render, row_lines, safe, width, widths, wrap

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("abc", 3),
        ("年假", 4),
        ("a年b", 4),
        ("，。", 4),
        ("😀", 2),
        ("e\u0301", 1),
        ("ｱ", 1),
        ("—", 1),
        ("\u0e5c", 1),
    ],
)
def test_a_chinese_character_is_two_columns_wide(text: str, columns: int) -> None:
    assert width(text) == columns


def test_control_characters_are_spelt_out() -> None:
    assert safe("\x1b]0;title\x07\x9b2J\x7f\u202egnp.exe") == "\\x1b]0;title\\x07\\x9b2J\\x7f\\u202egnp.exe"
    assert safe("a\r\nb\rc\u2028d\te") == "a\nb\\x0dc\nd\te"
    assert one_line(" a\n\n b\t c ") == "a b c"


@given(TEXT)
def test_nothing_that_a_terminal_acts_upon_is_left(text: str) -> None:
    kept = safe(text)
    assert not [each for each in kept if unicodedata.category(each) == "Cc" and each not in "\n\t"]
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", kept)
    assert "\n" not in one_line(text)


@given(TEXT, st.integers(min_value=2, max_value=30))
def test_what_is_cut_fits_and_says_so(text: str, room: int) -> None:
    text = one_line(text)
    shown = cut(text, room)
    assert width(shown) <= room
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


@given(TEXT, st.integers(min_value=2, max_value=30))
def test_wrapping_fits_and_loses_nothing_but_blanks(text: str, room: int) -> None:
    text = safe(text).replace("\t", " ")
    lines = wrap(text, room)
    assert max(map(width, lines)) <= room
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_lines_break_at_blanks_and_between_chinese_characters() -> None:
    assert wrap("the remedy is here", 10) == ["the remedy", "is here"]
    assert wrap("请把模型名称写进设置", 10) == ["请把模型名", "称写进设置"]
    assert wrap("one\n\ntwo", 10) == ["one", "", "two"]
    assert wrap("no limit at all, however long this line may get", None) == [
        "no limit at all, however long this line may get"
    ]


COLUMNS = (Column("ID"), Column("TEXT", "wrap"), Column("NOTE", "cut"), Column("N", right=True))


def test_columns_are_as_wide_as_they_need_without_a_limit() -> None:
    rows = [("wr1", "年假怎么申请", "x", "1"), ("wr22", "hi", "a longer note", "12")]
    assert render(COLUMNS, rows, None) == [
        "ID    TEXT          NOTE            N",
        "wr1   年假怎么申请  x               1",
        "wr22  hi            a longer note  12",
    ]


def test_short_room_wraps_and_cuts_but_keeps_ids() -> None:
    rows = [("wr-a-very-long-id-that-must-stay", "年假怎么申请，在哪里提交", "a note that is long", "1")]
    lines = render(COLUMNS, rows, 62)
    assert max(map(width, lines)) <= 62
    assert "wr-a-very-long-id-that-must-stay" in lines[1]
    assert "".join(line[34:].split()[0] for line in lines[1:]).startswith("年假怎么")
    assert any(line.rstrip().endswith("1") and "…" in line for line in lines)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), max_size=4), st.integers(min_value=50, max_value=100))
def test_every_line_has_its_columns_where_the_header_has_them(rows: list[tuple[str, str, str, str]], room: int) -> None:
    shown = [(one_line(a)[:8], safe(b), one_line(c), one_line(d)[:4]) for a, b, c, d in rows]
    taken = widths(COLUMNS, shown, room)
    assert sum(taken) + 6 <= room
    for row in shown:
        assert {width(line) for line in row_lines(COLUMNS, row, taken)} == {sum(taken) + 6}
