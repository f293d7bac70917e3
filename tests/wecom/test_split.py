"""Cutting Markdown into bubbles: nothing lost, nothing over the limit, fences and tables whole on both sides."""

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wecom import split
from agent.wecom.split import Cut, cut, head, seal, size, tail, visible

UNITS = [
    "中文段落。", "hello world. ", "x" * 90, "😀", "👨\u200d👩\u200d👧", "e\u0301", "    ", "\n", "\n\n",
    "```py\n", "```\n", "````\n", "~~~\n", "> q\n", "> ```\n", "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n", "|",
    "- item\n", "# H\n", "---\n", "\r\n", "\u2028",
]  # fmt: skip
MARKDOWN = st.lists(st.sampled_from(UNITS), max_size=60).map("".join)
LIMITS = st.integers(64, 400)

FENCE = re.compile(r"([ \t]*(?:>[ \t]?)*[ \t]*)(`{3,}|~{3,})([^`\n]*)$")


def closes_its_fences(text: str) -> bool:
    """An independent reading of which fences are open at the end."""
    open_fence = lead = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if open_fence and ">" in lead and not line.lstrip().startswith(">"):
            open_fence = ""
        mark = FENCE.match(line)
        if not open_fence and mark:
            lead, open_fence = mark[1], mark[2]
        elif open_fence and mark and mark[2].startswith(open_fence) and not mark[3].strip():
            open_fence = ""
    return not open_fence


def cuts(text: str, limit: int) -> list[Cut]:
    found, rest, prefix = [], text, ""
    while True:
        found.append(cut(rest, limit, prefix))
        assert found[-1].taken > 0 or not rest, "no progress"
        rest, prefix = rest[found[-1].taken :], found[-1].prefix
        if not rest:
            return found


@given(MARKDOWN, LIMITS)
@settings(max_examples=400, deadline=None)
def test_nothing_is_lost_and_nothing_is_over_the_limit(text: str, limit: int) -> None:
    at = 0
    for one in cuts(text, limit):
        assert size(one.piece) <= limit
        assert text[at : at + one.taken] in one.piece
        at += one.taken
    assert at == len(text)
    assert [one.piece for one in cuts(text, limit)] == split.split(text, limit)


@given(MARKDOWN, LIMITS)
@settings(max_examples=400, deadline=None)
def test_fences_are_closed_in_every_piece(text: str, limit: int) -> None:
    *before, last = split.split(text, limit)
    for piece in before:
        assert closes_its_fences(piece), piece
    assert closes_its_fences(last) or not closes_its_fences(text)


@given(MARKDOWN.filter(bool), MARKDOWN)
@settings(max_examples=300, deadline=None)
def test_a_seal_stands_alone(text: str, prefix: str) -> None:
    one = seal(text)
    assert one.taken > 0
    assert one.piece.startswith(text[: one.taken])
    assert closes_its_fences(one.piece)


@given(st.text(max_size=300), st.integers(0, 400))
def test_head_and_tail_are_whole_characters_within_the_limit(text: str, limit: int) -> None:
    first, last = head(text, limit), tail(text, limit)
    assert text.startswith(first)
    assert size(first) <= limit
    assert size(last) <= limit
    assert text.encode("utf-8", "replace").decode().endswith(last)
    if size(text) <= limit:
        assert first == text


def test_the_limit_is_bytes() -> None:
    assert [size(piece) for piece in split.split("中" * 100, 64)] == [63, 63, 63, 63, 48]


def test_a_surrogate_counts_as_the_question_mark_that_it_becomes() -> None:
    assert size("\ud800") == 1


def test_an_empty_text_is_one_empty_piece() -> None:
    assert split.split("", 100) == [""]


def test_a_paragraph_s_end_is_preferred_to_a_later_line_s() -> None:
    text = "a" * 60 + "\n\n" + "b" * 20 + "\n" + "c" * 40
    assert split.split(text, 100) == ["a" * 60 + "\n\n", "b" * 20 + "\n" + "c" * 40]


def test_a_list_is_cut_before_an_item() -> None:
    text = "intro\n" + "".join(f"- item {i} with words\n  that go on\n" for i in range(6))
    for piece in split.split(text, 120)[1:]:
        assert piece.startswith("- item")


def test_a_sentence_s_end_is_preferred_inside_a_line() -> None:
    text = "第一句话在这里结束。" * 4 + "第二句没有结束" * 10
    first = split.split(text, 180)[0]
    assert first.endswith("。")


@pytest.mark.parametrize("cluster", ["👨\u200d👩\u200d👧", "👍🏽", "e\u0301", "❤\ufe0f"])
def test_what_is_one_sign_to_a_reader_is_not_parted(cluster: str) -> None:
    for limit in range(64, 96):
        pieces = split.split(cluster * 40, limit)
        assert "".join(pieces) == cluster * 40
        for piece in pieces:
            assert piece == cluster * (len(piece) // len(cluster))


def test_a_fence_is_closed_and_opened_again_with_its_language() -> None:
    text = "Look:\n```python\n" + "".join(f"x{i} = {i}\n" for i in range(60)) + "```\nDone."
    first, *middle, last = split.split(text, 200)
    assert first.startswith("Look:\n```python\n")
    for piece in (first, *middle):
        assert piece.endswith("\n```")
    for piece in (*middle, last):
        assert piece.startswith("```python\n")
    assert last.endswith("```\nDone.")


def test_a_quoted_fence_is_closed_inside_the_quotation() -> None:
    text = "> ```py\n" + "".join(f"> x{i} = {i}\n" for i in range(40)) + "> ```\nDone."
    first, second, *_ = split.split(text, 200)
    assert first.endswith("\n> ```")
    assert second.startswith("> ```py\n> x")


def test_longer_fences_and_tildes_keep_their_marks() -> None:
    for mark in ("````", "~~~"):
        text = f"{mark}md\n" + "```\ninner\n```\n" * 20 + f"{mark}\n"
        for piece in split.split(text, 150):
            assert piece.startswith(f"{mark}md\n")
            assert piece.rstrip("\n").endswith("\n" + mark)


def test_a_table_s_header_is_repeated_and_never_parted_from_its_rows() -> None:
    header = "| name | value |\n|:-----|------:|\n"
    text = "Some words before.\n\n" + header + "".join(f"| row {i} | {i} |\n" for i in range(60)) + "\nAfter."
    pieces = split.split(text, 300)
    assert len(pieces) > 3
    for piece in pieces[1:-1]:
        assert piece.startswith(header)
    for piece in pieces:
        lines = piece.splitlines()
        for above, below in itertools.pairwise(lines):
            if below.startswith("|:--"):
                assert above == "| name | value |"
    rows = [line for piece in pieces for line in piece.splitlines() if line.startswith("| row")]
    assert rows == [f"| row {i} | {i} |" for i in range(60)]


def test_after_a_table_its_header_is_forgotten() -> None:
    text = "| a | b |\n|---|---|\n| 1 | 2 |\n\n" + "word " * 100
    for piece in split.split(text, 100)[1:]:
        assert "|" not in piece


def test_pipes_in_code_make_no_table() -> None:
    text = "```\n" + "a | b\n---|---\n" * 40 + "```"
    for piece in split.split(text, 120)[1:]:
        assert piece.startswith("```\n")
        assert piece.count("```") == 2


def test_a_header_that_is_too_large_is_not_repeated() -> None:
    header = "| " + "column " * 20 + "|\n|---|\n"
    text = header + "".join(f"| row {i} {'x' * 30} |\n" for i in range(20))
    assert sum(piece.startswith(header) for piece in split.split(text, 300)) == 1


def test_a_line_longer_than_a_piece_inside_a_fence() -> None:
    text = "```js\n" + "x" * 500 + "\n```\nend"
    pieces = split.split(text, 100)
    assert all(closes_its_fences(piece) for piece in pieces)
    assert "".join(re.findall("x+", "".join(pieces))) == "x" * 500


def test_a_cut_inside_a_line_makes_no_fence_of_what_was_none() -> None:
    pieces = split.split("word " * 12 + "word> ```\n" + "tail " * 10, 65)
    assert not any(FENCE.match(piece.split("\n")[0]) for piece in pieces)


def test_other_line_separators_are_no_line_ends() -> None:
    text = "a\u2028```\u2028b\x0c\x85" * 30
    assert "".join(split.split(text, 80)) == text


def test_a_seal_ends_after_the_last_whole_line() -> None:
    assert seal("One.\nTwo.\nThr") == Cut("One.\nTwo.\n", 10)
    assert seal("no line end yet") == Cut("no line end yet", 15)


def test_a_seal_leaves_a_fence_that_only_began_to_the_rest() -> None:
    assert seal("Look:\n\n```py\n") == Cut("Look:\n\n", 7)
    assert seal("```py\n") == Cut("```py\n```", 6, "```py\n")
    assert seal("```py\nx = 1\ny = ") == Cut("```py\nx = 1\n```", 12, "```py\n")
    assert seal("y = 2\nz", "```py\n") == Cut("```py\ny = 2\n```", 6, "```py\n")


def test_a_seal_leaves_a_table_that_perhaps_begins_to_the_rest() -> None:
    assert seal("Look:\n\n| a | b |\n") == Cut("Look:\n\n", 7)
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert seal(table + "| 3") == Cut(table, len(table), "| a | b |\n|---|---|\n")


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b", "\u200d\ufeff", "\u0301", "\u3000", "\u115f\u2800", "\x00\x1b"]
)
def test_invisible(text: str) -> None:
    assert not visible(text)


@pytest.mark.parametrize("text", ["a", " a", "。", "😀", "-", "中", "\ud800", "<think></think>"])
def test_visible(text: str) -> None:
    assert visible(text)


def test_cutting_is_quick_on_long_texts() -> None:
    text = "- a line of a list with `code` | and more\n" * 50_000
    began = time.perf_counter()
    one = cut(text, 20480)
    assert time.perf_counter() - began < 0.5
    assert size(one.piece) <= 20480
