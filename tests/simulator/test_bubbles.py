"""Rendering: what a person sees of arbitrary content."""

from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.bubbles import card_text, is_visible, render, thinking_fault

TEXT = st.text(max_size=60)
PIECES = st.lists(st.sampled_from(["<think>", "</think>", "<", ">", "a", " ", "\n", "想", "<THINK>"]), max_size=12)


@given(thinking=TEXT, answer=TEXT)
def test_a_closed_block_without_raw_brackets_splits_cleanly(thinking: str, answer: str) -> None:
    thinking, answer = thinking.replace("<", "＜"), answer.replace("<", "＜")
    shown = render(f"<think>{thinking}</think>{answer}")
    assert (shown.thinking, shown.text, shown.fault) == (thinking, answer, "")
    plain = render(answer)
    assert (plain.thinking, plain.text, plain.fault) == (None, answer, "")


@given(pieces=PIECES)
def test_nothing_is_invented_and_every_loss_has_a_fault(pieces: list[str]) -> None:
    content = "".join(pieces)
    shown = render(content)
    assert shown.text in content
    assert (shown.thinking or "") in content
    kept = len(shown.text) + (len(shown.thinking) + len("<think></think>") if shown.thinking is not None else 0)
    assert bool(shown.fault) == (kept != len(content))
    assert shown.fault == thinking_fault(content)
    assert not any(tag in shown.text.lower() for tag in ("<think", "</think"))


def test_a_comparison_in_the_answer_is_no_fault() -> None:
    assert render("a < b, <b>bold</b> and <thing>").fault == ""
    assert thinking_fault("<think>so</think>a < b") == ""


@given(text=st.text(alphabet=" \t\n\r\u00a0\u2003\u200b\u200c\u200d\u2060\ufeff\u3000\u3164\u2800\u00ad\x00\x1f"))
def test_invisible_characters(text: str) -> None:
    assert not is_visible(text)
    assert is_visible(text + "。")


def test_visible_characters() -> None:
    for text in ("a", "中", "🙂", ".", "→", "\u0301a"):
        assert is_visible(text)


def test_the_words_of_a_card() -> None:
    assert card_text({"main_title": {"title": "A", "desc": "B"}, "sub_title_text": "C"}) == "A\nB\nC"
    assert card_text({"main_title": {"title": "A"}}) == "A"
    assert card_text({"card_type": "vote_interaction"}) == ""
