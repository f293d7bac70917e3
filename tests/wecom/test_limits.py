"""30 messages a minute and 1,000 an hour per conversation."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from agent.wecom import limits
from agent.wecom.limits import SendingLimits


def test_thirty_a_minute() -> None:
    sending = SendingLimits()
    for second in range(30):
        assert sending.wait("chat", float(second)) == 0.0
        sending.take("chat", float(second))
    assert sending.wait("chat", 30.0) == 30.0
    assert sending.wait("chat", 59.5) == 0.5
    assert sending.wait("chat", 60.0) == 0.0
    assert sending.wait("other", 30.0) == 0.0


def test_a_thousand_an_hour() -> None:
    sending = SendingLimits()
    for i in range(1000):
        at = i * 3.0
        assert sending.wait("chat", at) == 0.0
        sending.take("chat", at)
    assert sending.wait("chat", 3000.0) == 600.0
    assert sending.wait("chat", 3600.0) == 0.0


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=150), st.integers(1, 5), st.integers(5, 12))
def test_whoever_waits_never_breaks_a_limit(gaps: list[float], per_minute: int, per_hour: int) -> None:
    sending, now, sent = SendingLimits(per_minute, per_hour), 0.0, deque[float]()
    for gap in gaps:
        now += gap
        now += sending.wait("chat", now)
        assert sending.wait("chat", now + 1e-6) == 0.0
        now += 1e-6
        sending.take("chat", now)
        sent.append(now)
        assert sum(now - 60.0 < at for at in sent) <= per_minute
        assert sum(now - 3600.0 < at for at in sent) <= per_hour


def test_it_forgets_the_chat_that_was_silent_for_longest() -> None:
    sending = SendingLimits(per_minute=1)
    for i in range(limits.CHATS_REMEMBERED):
        sending.take(f"chat{i}", 0.0)
    sending.take("chat0", 1.0)
    sending.take("one more", 2.0)
    assert sending.wait("chat1", 2.0) == 0.0
    assert sending.wait("chat0", 2.0) > 0.0
    assert sending.wait("one more", 2.0) > 0.0


def test_what_is_older_than_an_hour_is_dropped() -> None:
    sending = SendingLimits()
    for i in range(3000):
        now = i * 3600.0 / 900
        sending.wait("chat", now)
        sending.take("chat", now)
    assert len(sending._sent["chat"]) <= 1000
