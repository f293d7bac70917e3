"""The native think block: made, found, and kept out of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wecom import thinking
from agent.wecom.split import size


@given(st.text(), st.integers(64, 5000))
def test_a_block_is_closed_within_its_limit_and_holds_no_raw_angle(text: str, limit: int) -> None:
    block = thinking.block(text, limit)
    inside = block.removeprefix("<think>").removesuffix("</think>")
    assert block == f"<think>{inside}</think>"
    assert "<" not in inside
    assert size(inside) <= limit


def test_without_text_it_is_the_animation() -> None:
    assert thinking.block(" \n") == "<think></think>"


def test_long_reasoning_shows_its_end() -> None:
    assert thinking.block("a" * 50 + "b" * 97, 100) == "<think>…" + "b" * 97 + "</think>"


@pytest.mark.parametrize(
    ("content", "reasoning", "text"),
    [
        ("plain", "", "plain"),
        ("<think>why</think>because", "why", "because"),
        ("\n <think>why</think>\nbecause", "why", "\nbecause"),
        ("<think>never closed", "never closed", ""),
        ("<think></think>", "", ""),
        ("see <think>x</think>", "", "see <think>x</think>"),
        ("", "", ""),
    ],
)
def test_content_is_parted(content: str, reasoning: str, text: str) -> None:
    assert thinking.parted(content) == (reasoning, text)


@pytest.mark.parametrize("text", ["<b>bold</b> a < b", "no tag", "< thin", "x<y think"])
def test_other_angles_stay(text: str) -> None:
    assert thinking.escaped(text) == text


@pytest.mark.parametrize("tag", ["<think>", "</think>", "<THINK", "< think >", "< / think>", "<thinking>"])
def test_tags_become_look_alikes(tag: str) -> None:
    escaped = thinking.escaped(f"a {tag} b")
    assert "<" not in escaped
    assert escaped == f"a {tag} b".replace("<", "＜")
