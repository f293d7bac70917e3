from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.chat import history
from agent.chat.history import Picture, Said


def said(text: str = "q", answer: str = "a") -> Said:
    return Said((text,), answer)


def texts(window: history.Window) -> list[str]:
    return ["".join(part for part in entry.parts if isinstance(part, str)) for entry in window.entries]


def test_newest_exchanges_that_fit_in_order() -> None:
    before = [said(f"q{number}" * 10, f"a{number}" * 10) for number in range(10)]
    got = history.window("system", before, ["now"], 100, len)
    assert texts(got) == ["system", "q9" * 10, "a9" * 10, "now"]
    assert got.dropped == 9
    assert not got.shortened


def test_pictures_cost_what_they_cost_and_stay_in_their_place() -> None:
    picture = Picture(Path("x"), "image/png", 280, 280)  # 10 x 10 patches of 28 pixels
    asked = ["look", picture, "at this"]
    got = history.window("s", [], asked, 1000, len)
    assert got.entries[-1].parts == tuple(asked)
    assert got.pictures == 1
    assert got.tokens == 1 + 4 + len("lookat this") + 100 + 4
    before = [Said((picture, "old"), "a" * 10)]
    assert history.window("s", before, ["now"], 126, len).pictures == 0
    assert history.window("s", before, ["now"], 200, len).pictures == 1


def test_a_question_larger_than_the_window_loses_its_middle() -> None:
    question = "A" * 500 + "MIDDLE" + "Z" * 500
    got = history.window("s", [said()], ["keep", question], 300, len)
    kept, asked = (str(part) for part in got.entries[-1].parts)
    assert kept == "keep"
    assert got.shortened
    assert asked.startswith("AAA")
    assert asked.endswith("ZZZ")
    assert "[…]" in asked
    assert "MIDDLE" not in asked
    assert got.tokens <= 300


@given(
    st.lists(st.tuples(st.text(max_size=50), st.text(max_size=50)), max_size=20),
    st.text(max_size=200),
    st.integers(0, 600),
)
def test_never_more_than_the_budget_but_for_what_must_be_there(
    pairs: list[tuple[str, str]], question: str, budget: int
) -> None:
    exchanges = [said(*pair) for pair in pairs]
    got = history.window("sys", exchanges, [question], budget, len)
    least = len("sys") + 2 * history.MESSAGE_TOKENS + len("[…]")
    assert got.tokens <= max(budget, least)
    roles = [entry.role for entry in got.entries]
    assert roles == ["system", *["user", "assistant"] * ((len(roles) - 2) // 2), "user"]
    assert got.dropped == len(exchanges) - (len(roles) - 2) // 2


def test_exchanges_leave_room_that_is_asked_for() -> None:
    before = [said(f"q{number}" * 10, f"a{number}" * 10) for number in range(10)]
    full = history.window("system", before, ["now"], 300, len)
    spared = history.window("system", before, ["now"], 300, len, 100)
    assert full.tokens > 200 >= spared.tokens
    assert history.window("s", before, ["Q" * 250], 300, len, 100).tokens > 250, "the question may fill it"


def test_many_texts_that_are_too_large_together_lose_their_middles() -> None:
    got = history.window("s", [], ["f" * 200, "g" * 190, "h" * 180, "the question"], 300, len)
    assert got.tokens <= 300
    assert got.shortened
    assert got.entries[-1].parts[-1] == "the question"
