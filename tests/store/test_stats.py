import sqlite3
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from agent.store import deliveries, feedback, stats, turns
from tests.store.conftest import at
from tests.store.samples import GROUP, exchange, receive

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR = 3600


def test_an_empty_database(db: sqlite3.Connection) -> None:
    found = stats.collect(db, at(0), SHANGHAI)
    assert found == stats.Stats("2026-11-23T08:00:00.000Z", (), {}, {}, {}, None, None, {}, (), {})


def test_everything_is_counted(db: sqlite3.Connection) -> None:
    exchange(db, "before", "答", when=at(-1))
    for number, seconds in enumerate((1.0, 2.0, 3.0, 30.5)):
        turn = receive(db, f"d{number}", at=at(number), user_id=f"u{number % 2}")
        turns.start(db, turn, at(number), model="m1")
        turns.answer(db, turn, at(number), answer="答", prompt_tokens=100, completion_tokens=10)
        turns.deliver(db, turn, at(number + seconds))
    # 08:00 UTC is 16:00 in Shanghai: eight hours later the next day has begun there, and not yet in UTC.
    for msgid, error in (("f1", "timeout"), ("f2", "timeout"), ("f3", "refused")):
        turns.fail(db, receive(db, msgid, at=at(8 * HOUR)), at(8 * HOUR + 1), error=error)
    receive(db, "open", at=at(9 * HOUR))
    found = stats.collect(db, at(0), SHANGHAI)
    assert found.days == (
        stats.Day("2026-11-23", turns=4, users=2, answers=4, failed=0, prompt_tokens=400, completion_tokens=40),
        stats.Day("2026-11-24", turns=4, users=1, answers=0, failed=3, prompt_tokens=0, completion_tokens=0),
    )
    assert len(stats.collect(db, at(0), ZoneInfo("UTC")).days) == 1
    assert found.states == {"delivered": 4, "failed": 3, "received": 1}
    assert found.errors == {"timeout": 2, "refused": 1}
    assert found.models == {"m1": 4}
    assert (found.latency_p50, found.latency_p95) == (2.0, 30.5)


def test_unknown_deliveries_are_named(db: sqlite3.Connection) -> None:
    turn = receive(db, "1")
    rows = [deliveries.begin(db, turn=each, kind="push", at=at(1)) for each in (turn, None, turn)]
    deliveries.settle(db, rows[0], "unknown", at(2))
    deliveries.settle(db, rows[1], "unknown", at(2))
    deliveries.settle(db, rows[2], "acked", at(2))
    old = deliveries.begin(db, turn=turn, kind="media", at=at(-1))
    deliveries.settle(db, old, "unknown", at(0))
    found = stats.collect(db, at(0), SHANGHAI)
    assert found.deliveries == {"unknown": 2, "acked": 1}
    assert found.unknown == (
        stats.Unknown(rows[1], None, None, "push", "2026-11-23T08:00:01.000Z"),
        stats.Unknown(rows[0], turn, GROUP.key, "push", "2026-11-23T08:00:01.000Z"),
    )


def test_feedback_is_counted(db: sqlite3.Connection) -> None:
    for number, type_ in enumerate((1, 1, 2, 3)):
        feedback.record(
            db, msgid=str(number), feedback_id="f", user_id="u", type=type_, content=None, reasons=[], at=at(1)
        )
    assert stats.collect(db, at(0), SHANGHAI).feedback == {"dislike": 1, "like": 2, "withdrawn": 1}


@given(st.lists(st.floats(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_with_that_share_at_or_below(values: list[float], percent: int) -> None:
    values.sort()
    found = stats.percentile(values, percent)
    assert found in values
    at_or_below = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert at_or_below * 100 >= percent * len(values) > below * 100 - 1e-9 or below * 100 < percent * len(values)
