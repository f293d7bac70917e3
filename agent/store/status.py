"""What the live bot says of itself, for commands in other processes: a few keys with JSON values.

It describes a running bot only while that bot holds the data folder's lock (`agent.store.lock.holder`).
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.store.columns import from_json, stamp, to_json


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and the stamp of the moment at which it was last said."""

    value: Any
    updated_at: str


def put(db: sqlite3.Connection, values: Mapping[str, Any], at: datetime) -> None:
    """Sets these keys and leaves the others."""
    db.executemany(
        "INSERT INTO status (key, value, updated_at) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        [(key, to_json(value), stamp(at)) for key, value in values.items()],
    )


def entries(db: sqlite3.Connection) -> dict[str, Entry]:
    rows = db.execute("SELECT key, value, updated_at FROM status ORDER BY key")
    return {key: Entry(from_json(value), updated_at) for key, value, updated_at in rows}
