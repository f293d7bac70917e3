"""Inline thinking: where a block may stand, and how tags are cut across pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.thinking import InlineThinking, Text, TextWasThinking, Thinking, ThinkingWasText


def split(*pieces: str, opened: bool = False, complete: bool = True) -> tuple[str, str]:
    """Thinking and text as a caller puts them together."""
    content = InlineThinking(opened=opened)
    events = [event for piece in pieces for event in content.feed(piece)] + content.flush(complete=complete)
    thinking = text = ""
    for event in events:
        match event:
            case Thinking(piece):
                assert piece
                thinking += piece
            case Text(piece):
                assert piece
                text += piece
            case TextWasThinking():
                thinking, text = thinking + text, ""
            case ThinkingWasText():
                thinking = ""
    return thinking, text


CASES = [
    # plain answers
    ("Yes.", "", "Yes."),
    ("\n\nYes.", "", "Yes."),
    ("  - indented", "", "  - indented"),
    ("1 < 2 </b> <", "", "1 < 2 </b> <"),
    ("a <think>b</think", "", "a <think>b</think"),
    ("Say <think> first", "", "Say <think> first"),
    ("<thin air", "", "<thin air"),
    ("<think", "", "<think"),
    ("", "", ""),
    ("\n \n", "", ""),
    # a block at the start
    ("<think>hm</think>Yes.", "hm", "Yes."),
    ("\n <think>\nhm\n</think>\n\n  Yes.", "\nhm\n", "  Yes."),
    ("<think></think>Yes.", "", "Yes."),
    ("<think>\n\n</think>\n\nYes.", "\n\n", "Yes."),
    ("<think>a < b </thin </think>Yes <think>x</think>.", "a < b </thin ", "Yes <think>x</think>."),
    ("<think>hm", "hm", ""),
    ("<think>hm</thi", "hm</thi", ""),
    ("<think>hm</think>\n", "hm", ""),
    ("<think>hm</think>Yes</think>.", "hm", "Yes</think>."),
    # the opening tag left out
    ("hm\n</think>\n\nYes.", "hm\n", "Yes."),
    ("</think>Yes.", "", "Yes."),
    ("hm, 1 < 2.</think>Yes <", "hm, 1 < 2.", "Yes <"),
    ("hm</think>a</think>b", "hm", "a</think>b"),
    # talk about tags
    ("The tag `</think>` ends it.", "", "The tag `</think>` ends it."),
    ("The tag “</think>” ends it.", "", "The tag “</think>” ends it."),
    ("```\nhm\n</think>\n```\nis how R1 writes.", "", "```\nhm\n</think>\n```\nis how R1 writes."),
    ("`</think>` and '</think>' </think>Yes.", "`</think>` and '</think>' ", "Yes."),
]


@pytest.mark.parametrize(("content", "thinking", "text"), CASES)
def test_cut_anywhere_the_result_is_the_same(content: str, thinking: str, text: str) -> None:
    assert split(content) == (thinking, text)
    assert split(*content) == (thinking, text)
    for at in range(len(content)):
        assert split(content[:at], content[at:]) == (thinking, text)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "</th", "`", "```", "\n", " ", "a", "思"]), max_size=12),
    st.data(),
)
def test_any_cut_of_any_content(parts: list[str], data: st.DataObject) -> None:
    content = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert split(*pieces) == split(content)


def test_pieces_go_out_as_they_come() -> None:
    content = InlineThinking()
    assert content.feed("Y") == [Text("Y")]
    assert content.feed("es <") == [Text("es ")]
    assert content.feed("b>") == [Text("<b>")]
    content = InlineThinking()
    assert content.feed("<think>h") == [Thinking("h")]
    assert content.feed("m</think>Y") == [Thinking("m"), Text("Y")]


def test_the_habit_is_learnt_kept_and_forgotten() -> None:
    content = InlineThinking()
    content.feed("hm</think>Yes")
    content.flush(complete=True)
    assert content.habit

    content = InlineThinking(opened=True)
    assert content.feed("hm") == [Thinking("hm")]
    assert content.feed("</think>Yes") == [Text("Yes")]
    assert content.flush(complete=True) == []
    assert content.habit

    content = InlineThinking(opened=True)
    content.feed("<think>hm</think>Yes")
    assert not content.habit


def test_a_habit_that_does_not_hold_loses_no_answer() -> None:
    assert split("Ye", "s.", opened=True) == ("", "Yes.")
    content = InlineThinking(opened=True)
    content.feed("Yes.")
    content.flush(complete=True)
    assert not content.habit
    # Cut off in the middle of its thinking, it is no answer.
    assert split("Ye", "s.", opened=True, complete=False) == ("Yes.", "")


def test_settled_content_has_no_lone_closing_tag() -> None:
    content = InlineThinking()
    content.settle()
    assert content.feed("a</think>b") == [Text("a</think>b")]
    assert not content.habit
    content = InlineThinking()
    assert content.feed("a<") == [Text("a")]
    content.settle()
    assert content.feed("/think>b") == [Text("</think>b")]
