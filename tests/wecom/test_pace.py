"""The cost of a growing answer: under 4 MB for 20 KB, at any pace of words and acks."""

import pytest

from agent.wecom import frames
from agent.wecom.pace import COST_BASE, COST_FACTOR, ENVELOPE, INTERVAL, THINKING_FACTOR, Pace, cost
from tests.wecom.play import Play, after, stream, tokens

ENGLISH = ("The quick brown fox jumps over the lazy dog. " * 500)[:20_400]
CHINESE = ("敏捷的棕色狐狸跳过了懒狗，然后回家吃饭。" * 400)[:6_800]
CODE = ('print("\\t", {"a": "b"})\n' * 1000)[:18_000]


@pytest.mark.parametrize("acks", [0.01, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("per_second", [5, 20, 50, 200])
@pytest.mark.parametrize(("text", "size"), [(ENGLISH, 4), (CHINESE, 2), (CODE, 3)], ids=["english", "chinese", "code"])
def test_20_kb_cost_under_4_mb(text: str, size: int, per_second: int, acks: float) -> None:
    play = Play(stream(), after(acks)).run(tokens(text, size, per_second))
    assert play.wire < 4_000_000
    assert play.stream.delivery is not None
    last = [one for one in play.sent if one.finish]
    assert all(len(one.content.encode()) <= 20480 for one in play.sent)
    assert len(last) == len({one.id for one in play.sent})


@pytest.mark.parametrize("per_second", [20, 100])
def test_a_short_answer_is_refreshed_as_often_as_acks_allow(per_second: int) -> None:
    play = Play(stream(), after(0.05)).run(tokens(ENGLISH[:2000], 4, per_second))
    seconds = 500 / per_second
    assert len(play.sent) > 0.9 * min(seconds / INTERVAL, 500)


def test_frames_are_never_closer_than_the_interval_but_for_the_last() -> None:
    play = Play(stream(), after(0.001)).run(tokens(ENGLISH[:4000], 4, 200))
    gaps = [later.at - earlier.at for earlier, later in zip(play.sent, play.sent[1:-1], strict=False)]
    assert min(gaps) >= INTERVAL - 1e-9


def test_long_reasoning_does_not_buy_a_costlier_answer() -> None:
    reasoning = "Let me think about that. " * 2000
    one = stream()
    inputs = [(i / 50, lambda s, i=i: s.show("", reasoning[: i * 5])) for i in range(1, 10_001)]
    play = Play(one, after(0.1)).run(inputs, until=200.0)
    thought = play.wire
    play.run(tokens(ENGLISH, 4, 100, start=200.0))
    assert thought < 1_200_000
    assert play.wire - thought < 4_000_000


@pytest.mark.parametrize("content", ["", "plain", 'a "quoted"\nline\\', "中文\n" * 50])
def test_the_estimate_is_not_below_the_wire(content: str) -> None:
    body = {"msgtype": "stream", "stream": {"id": "stream_1700000000000_0a1b2c3d", "finish": False, "content": content}}
    assert cost(content) >= len(frames.build(frames.RESPOND, "R" * 36, body))
    assert cost(content) - len(content.encode()) <= ENVELOPE + len(content)


@pytest.mark.parametrize(("text", "thinking"), [("", ""), ("字" * 300, ""), ("", "想" * 3000)])
def test_what_may_be_spent_grows_with_text_and_reasoning_and_is_kept(text: str, thinking: str) -> None:
    pace, spent, frame = Pace(30.0), 0, "x" * 7000
    pace.grew(text, thinking)
    while pace.next_at(news=True) == 100.0 + INTERVAL or not spent:
        pace.sent(frame, 100.0)
        spent += cost(frame)
    allowed = COST_BASE + COST_FACTOR * len(text.encode()) + THINKING_FACTOR * len(thinking.encode())
    assert allowed - cost(frame) < spent <= allowed


def test_without_news_or_money_a_bubble_is_refreshed_when_it_was_silent_for_long() -> None:
    pace = Pace(30.0)
    pace.sent("x", 100.0)
    assert pace.next_at(news=True) == 100.0 + INTERVAL
    assert pace.next_at(news=False) == 130.0
    for _ in range(20):
        pace.sent("x" * 20_000, 200.0)
    assert pace.next_at(news=True) == 230.0
    pace.grew("x" * 20_000, "")
    assert pace.next_at(news=True) == 200.0 + INTERVAL
