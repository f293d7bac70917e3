"""Where lines may break."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.lines import CLOSING, OPENING, break_lines, chop_lines


def broken(text: str, room: int) -> list[str]:
    """With Chinese characters two wide and others one."""
    widths = [2.0 if character > "\u2000" else 1.0 for character in text]
    return [text[start:stop] for start, stop in break_lines(text, widths, room)]


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("一二三四五", 6, ["一二三", "四五"]),
        ("一二三，四", 6, ["一二", "三，四"]),
        ("一二三。”四", 6, ["一二", "三。”", "四"]),
        ("一二（三四", 6, ["一二", "（三四"]),
        ("use PostgreSQL now", 12, ["use", "PostgreSQL", "now"]),
        ("用PostgreSQL做", 12, ["用PostgreSQL", "做"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("一\n\n二", 6, ["一", "", "二"]),
        ("v1.2.3-beta and/or", 12, ["v1.2.3-beta", "and/or"]),
        ("https://example.com/path/to/a/page", 14, ["https://", "example.com/", "path/to/a/page"]),
        ("价格￥12,345", 8, ["价格", "￥12,345"]),
        ("", 4, [""]),
    ],
)
def test_breaks(text: str, room: int, lines: list[str]) -> None:
    assert broken(text, room) == lines


TEXT = st.text(alphabet="中文字，。（）“”《》！abc 1.,/-$%\n", max_size=80)


@settings(deadline=None)
@given(TEXT, st.integers(4, 30))
def test_nothing_but_spaces_and_line_ends_goes(text: str, room: int) -> None:
    lines = broken(text, room)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    widths = [sum(2 if character > "\u2000" else 1 for character in line) for line in lines]
    assert all(width <= room for width in widths)


UNIT = st.sampled_from(["字", "abc字", "字，", "字。”", "（字", "《字》！", "￥9字", "“字"])


@settings(deadline=None)
@given(st.lists(UNIT, max_size=30), st.integers(8, 20))
def test_marks_stay_with_the_character_that_they_belong_to(units: list[str], room: int) -> None:
    lines = [line for line in broken("".join(units), room) if line]
    assert not any(line[0] in CLOSING for line in lines[1:])
    assert not any(line[-1] in OPENING for line in lines[:-1])


@settings(deadline=None)
@given(st.text(alphabet="中a \n", max_size=60), st.integers(2, 10))
def test_code_keeps_every_space(text: str, room: int) -> None:
    lines = [text[start:stop] for start, stop in chop_lines(text, [1.0] * len(text), room)]
    assert "".join(lines) == text.replace("\n", "") and all(len(line) <= room for line in lines)
