"""Text as lines of pieces."""

from agent.tools.markdown import Run
from agent.tools.typeset import EMOJI, MONO, SYMBOLS, TEXT, Faces, Style, glyph_widths, lay_out, natural_width

LONG = (Run("这是一段足够长的中文，要在几行里排开，标点不在行首。" * 4),)


def test_each_character_has_a_face_that_draws_it() -> None:
    faces = Faces()
    for character, face in (("中", TEXT), ("a", TEXT), ("℃", SYMBOLS), ("⁵", SYMBOLS), ("✅", EMOJI), ("😀", EMOJI)):
        assert faces.face(character, code=False) == face
        assert glyph_widths(face)[ord(character)] > 0
    assert faces.face("中", code=True) == faces.face("a", code=True) == MONO


def test_lines_of_chinese_end_at_the_margin() -> None:
    *full, last = lay_out(Faces(), LONG, Style(justify=True), 200).lines
    assert full and {line.width for line in full} == {200}
    assert last.width < 200
    for line in full:
        end = line.pieces[-1]
        assert 0 <= end.spacing < 1.3
        assert abs(end.x + end.width - end.spacing - 200) < 0.01


def test_latin_lines_stay_ragged() -> None:
    lines = lay_out(Faces(), (Run("some words in a row " * 20),), Style(justify=True), 200).lines
    assert all(line.width < 200 and line.pieces[0].spacing == 0 for line in lines)


def test_chinese_takes_two_columns_in_code() -> None:
    def width(text: str) -> float:
        return lay_out(Faces(), (Run(text),), Style(code=True), 500).lines[0].width

    assert abs(width("中文") - width("abcd")) < 0.01


def test_natural_width_is_that_of_the_longest_line() -> None:
    style, runs = Style(), (Run("一二三\n一二三四五", bold=True), Run("六"))
    assert natural_width(Faces(), runs, style) == lay_out(Faces(), runs, style, 500).lines[1].width


def test_what_is_not_drawn_is_kept_for_the_report() -> None:
    faces = Faces()
    assert faces.ready("𠮷\t㍿👍🏽") == "□    株式会社👍"
    assert faces.lost == "𠮷"
