"""The outbox of `wecom-agent send`: a command in another process puts a message in, the running bot sends it.

    queued ──> sending ──> acked | refused | unknown
       └──> expired

The bot claims, the command withdraws, and only one of them can have a message. What nobody claimed in time expires,
so nothing stays queued for a bot that starts tomorrow.
"""

import sqlite3
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from agent.store import states
from agent.store.columns import stamp, storable

State = Literal["queued", "sending", "acked", "refused", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class Send:
    """A row. `chat` is as typed; `file` an absolute path; moments are stamps as stored."""

    id: int
    chat: str
    text: str | None
    file: str | None
    state: State
    error: str | None
    created_at: str
    expires_at: str
    settled_at: str | None


_COLUMNS = ", ".join(each.name for each in fields(Send))


def queue(db: sqlite3.Connection, *, chat: str, text: str | None, file: str | None, at: datetime, wait: float) -> int:
    """The id of a message that the bot may claim for `wait` seconds."""
    cursor = db.execute(
        "INSERT INTO sends (chat, text, file, state, created_at, expires_at) VALUES (?, ?, ?, 'queued', ?, ?)",
        (chat, None if text is None else storable(text), file, stamp(at), stamp(at + timedelta(seconds=wait))),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def claim(db: sqlite3.Connection, at: datetime) -> Send | None:
    """The oldest message in the queue, now `sending` and the caller's; None without one. The stale ones expire."""
    db.execute(
        "UPDATE sends SET state = 'expired', settled_at = ? WHERE state = 'queued' AND expires_at < ?",
        (stamp(at), stamp(at)),
    )
    row = db.execute("SELECT id FROM sends WHERE state = 'queued' ORDER BY id LIMIT 1").fetchone()
    if row is None:
        return None
    states.change(db, "sends", row["id"], "sending", ("queued",))
    return get(db, row["id"])


def settle(
    db: sqlite3.Connection,
    send: int,
    state: Literal["acked", "refused", "unknown"],
    at: datetime,
    *,
    error: str | None = None,
) -> None:
    """sending -> `state`; a late ack still turns `unknown` into `acked`. `error` says to people why it was refused."""
    sources = ("sending", "unknown") if state == "acked" else ("sending",)
    states.change(db, "sends", send, state, sources, settled_at=stamp(at), error=error)


def withdraw(db: sqlite3.Connection, send: int, at: datetime) -> bool:
    """queued -> expired. False when the bot has it already: then its state tells how it goes."""
    sql = "UPDATE sends SET state = 'expired', settled_at = ? WHERE id = ? AND state = 'queued'"
    return db.execute(sql, (stamp(at), send)).rowcount == 1


def abandon(db: sqlite3.Connection, at: datetime) -> int:
    """When a bot starts: what an earlier one was sending may have arrived, so it is `unknown`. How many that were."""
    sql = "UPDATE sends SET state = 'unknown', settled_at = ? WHERE state = 'sending'"
    return db.execute(sql, (stamp(at),)).rowcount


def get(db: sqlite3.Connection, send: int) -> Send | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM sends WHERE id = ?", (send,)).fetchone()
    return Send(*row) if row else None
