from hypothesis import given
from hypothesis import strategies as st

from agent.chat import history
from agent.store.turns import Exchange


def exchange(number: int, text: str = "q", answer: str = "a", user: str = "u") -> Exchange:
    return Exchange(number, user, "text", text, answer, "2026-01-01T00:00:00.000Z")


def test_newest_exchanges_that_fit_in_order() -> None:
    said = [exchange(number, f"q{number}" * 10, f"a{number}" * 10) for number in range(10)]
    got = history.window("system", said, "now", 100, len, lambda _: "")
    texts = [message["content"] for message in got.messages]
    assert texts[0] == "system"
    assert texts[-1] == "now"
    assert texts[1:-1] == ["q9" * 10, "a9" * 10]
    assert got.dropped == 9
    assert not got.shortened


def test_speakers_stand_before_their_questions() -> None:
    got = history.window("s", [exchange(1, user="li")], "now", 1000, len, lambda one: one.user_id)
    assert got.messages[1] == {"role": "user", "content": "li: q"}


def test_a_question_larger_than_the_window_loses_its_middle() -> None:
    question = "A" * 500 + "MIDDLE" + "Z" * 500
    got = history.window("s", [exchange(1)], question, 300, len, lambda _: "")
    asked = got.messages[-1]["content"]
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
    said: list[tuple[str, str]], question: str, budget: int
) -> None:
    exchanges = [exchange(number, *pair) for number, pair in enumerate(said)]
    got = history.window("sys", exchanges, question, budget, len, lambda _: "")
    least = len("sys") + 2 * history.MESSAGE_TOKENS + len("[…]")
    assert got.tokens <= max(budget, least)
    roles = [message["role"] for message in got.messages]
    assert roles == ["system", *["user", "assistant"] * ((len(roles) - 2) // 2), "user"]
    assert got.dropped == len(exchanges) - (len(roles) - 2) // 2
