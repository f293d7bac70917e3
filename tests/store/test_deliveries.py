import sqlite3
from typing import Any

import pytest

from agent.store import deliveries
from agent.store.states import IllegalTransition
from tests.store.conftest import at
from tests.store.samples import receive

MOVES: dict[str, Any] = {
    "written": lambda db, row: deliveries.mark_written(db, row, content_bytes=10),
    "acked": lambda db, row: deliveries.settle(db, row, "acked", at(2), errcode=0, content_bytes=20),
    "unknown": lambda db, row: deliveries.settle(db, row, "unknown", at(2)),
    "failed": lambda db, row: deliveries.settle(db, row, "failed", at(2), errcode=846608),
}
LEGAL = {
    "open": {"written", "acked", "unknown", "failed"},
    "written": {"written", "acked", "unknown", "failed"},
    "unknown": {"acked", "unknown", "failed"},
    "acked": set(),
    "failed": set(),
}


def begin(db: sqlite3.Connection, turn: int | None = None) -> int:
    return deliveries.begin(db, turn=turn, kind="stream", at=at(1), stream_id="s1", req_id="r1")


@pytest.mark.parametrize("source", LEGAL)
@pytest.mark.parametrize("target", MOVES)
def test_every_transition(db: sqlite3.Connection, source: str, target: str) -> None:
    row = begin(db)
    if source != "open":
        MOVES[source](db, row)
    if target in LEGAL[source]:
        MOVES[target](db, row)
        assert _state(db, row) == target
    else:
        with pytest.raises(IllegalTransition, match=f"row {row} of 'deliveries' is '{source}'"):
            MOVES[target](db, row)
        assert _state(db, row) == source


def _state(db: sqlite3.Connection, row: int) -> str:
    state: str = db.execute("SELECT state FROM deliveries WHERE id = ?", (row,)).fetchone()["state"]
    return state


def test_a_turn_knows_its_deliveries(db: sqlite3.Connection) -> None:
    turn = receive(db, "1")
    first, second = begin(db, turn), begin(db, turn)
    begin(db, receive(db, "2"))
    MOVES["written"](db, first)
    MOVES["acked"](db, first)
    assert deliveries.of_turn(db, turn) == (
        deliveries.Delivery(
            first, turn, "stream", "s1", "r1", "acked", 20, "2026-11-23T08:00:01.000Z", "2026-11-23T08:00:02.000Z", 0
        ),
        deliveries.Delivery(second, turn, "stream", "s1", "r1", "open", None, "2026-11-23T08:00:01.000Z", None, None),
    )


def test_a_restart_finds_what_was_not_settled(db: sqlite3.Connection) -> None:
    opened, written, unknown, acked = (begin(db) for _ in range(4))
    MOVES["written"](db, written)
    MOVES["unknown"](db, unknown)
    MOVES["acked"](db, acked)
    assert [each.id for each in deliveries.unsettled(db)] == [opened, written]
