import sqlite3

from agent.store import status
from tests.store.conftest import at


def test_values_stay_until_said_again(db: sqlite3.Connection) -> None:
    assert status.entries(db) == {}
    status.put(db, {"state": "connecting", "pid": 42, "model": {"name": "通义"}}, at(0))
    status.put(db, {"state": "subscribed", "reason": None}, at(1))
    assert status.entries(db) == {
        "model": status.Entry({"name": "通义"}, "2026-11-23T08:00:00.000Z"),
        "pid": status.Entry(42, "2026-11-23T08:00:00.000Z"),
        "reason": status.Entry(None, "2026-11-23T08:00:01.000Z"),
        "state": status.Entry("subscribed", "2026-11-23T08:00:01.000Z"),
    }
