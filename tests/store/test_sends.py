import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agent.store import Store, read, sends, write
from agent.store.states import IllegalTransition
from tests.store.conftest import at


def queue(db: sqlite3.Connection, text: str = "通知", seconds: float = 0) -> int:
    return sends.queue(db, chat="wr1", text=text, file="/tmp/报表.pdf", at=at(seconds), wait=15)


def test_the_bot_claims_in_order_and_once(db: sqlite3.Connection) -> None:
    first, second = queue(db, "一"), queue(db, "二")
    claimed = sends.claim(db, at(1))
    assert claimed == sends.Send(
        first,
        "wr1",
        "一",
        "/tmp/报表.pdf",
        "sending",
        None,
        "2026-11-23T08:00:00.000Z",
        "2026-11-23T08:00:15.000Z",
        None,
    )
    again = sends.claim(db, at(1))
    assert again is not None
    assert again.id == second
    assert sends.claim(db, at(1)) is None


def test_what_was_withdrawn_is_not_sent_and_what_was_claimed_is_not_withdrawn(db: sqlite3.Connection) -> None:
    row = queue(db)
    assert sends.withdraw(db, row, at(1))
    assert not sends.withdraw(db, row, at(1))
    assert sends.claim(db, at(1)) is None
    other = queue(db)
    assert sends.claim(db, at(1)) is not None
    assert not sends.withdraw(db, other, at(2))
    assert _state(db, other) == "sending"


def test_a_message_of_a_command_that_died_expires(db: sqlite3.Connection) -> None:
    stale, fresh = queue(db, seconds=0), queue(db, seconds=10)
    claimed = sends.claim(db, at(15.001))
    assert claimed is not None
    assert claimed.id == fresh
    assert _state(db, stale) == "expired"


def test_a_bot_that_starts_knows_not_what_the_last_one_sent(db: sqlite3.Connection) -> None:
    sending, waiting = queue(db), queue(db)
    sends.claim(db, at(1))
    assert sends.abandon(db, at(2)) == 1
    assert (_state(db, sending), _state(db, waiting)) == ("unknown", "queued")


SETTLE: dict[str, Any] = {
    state: lambda db, row, state=state: sends.settle(db, row, state, at(3), error="93006")
    for state in ("acked", "refused", "unknown")
}


@pytest.mark.parametrize("target", SETTLE)
@pytest.mark.parametrize("source", ["queued", "sending", "acked", "refused", "unknown", "expired"])
def test_every_settling(db: sqlite3.Connection, source: str, target: str) -> None:
    row = queue(db)
    if source == "expired":
        sends.withdraw(db, row, at(1))
    elif source != "queued":
        sends.claim(db, at(1))
        if source != "sending":
            SETTLE[source](db, row)
    if source == "sending" or (source, target) == ("unknown", "acked"):
        SETTLE[target](db, row)
        found = sends.get(db, row)
        assert found is not None
        assert (found.state, found.error, found.settled_at) == (target, "93006", "2026-11-23T08:00:03.000Z")
    else:
        with pytest.raises(IllegalTransition):
            SETTLE[target](db, row)
        assert _state(db, row) == source


def _state(db: sqlite3.Connection, row: int) -> str:
    found = sends.get(db, row)
    assert found is not None
    return found.state


async def test_a_command_and_the_bot_meet_in_the_database(store: Store, path: Path) -> None:
    with write(path) as command:
        row = sends.queue(command, chat="wr1", text="通知", file=None, at=at(0), wait=15)
    claimed = await store.run(sends.claim, at(1))
    assert claimed is not None
    with write(path) as command:
        assert not sends.withdraw(command, row, at(1))
    await store.run(sends.settle, claimed.id, "refused", at(2), error="93006 invalid chatid")
    with read(path) as command:
        found = sends.get(command, row)
    assert found is not None
    assert (found.state, found.error) == ("refused", "93006 invalid chatid")
