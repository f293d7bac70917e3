"""Deliveries: each bubble, push or file on its way to WeCom, and what is known of its arrival.

    open ──> written ──> acked | unknown | failed

`open` is planned and not written to the socket, `written` may have arrived, `unknown` was written and never acked.
What never left may be sent after a restart; a stream may be repeated; a push or a file that may have arrived is not
sent again. A late ack still turns `unknown` into `acked`.
"""

import sqlite3
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from agent.store import states
from agent.store.columns import stamp

Kind = Literal["stream", "push", "media"]
State = Literal["open", "written", "acked", "unknown", "failed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row. Moments are stamps as stored (`columns.moment` reads them)."""

    id: int
    turn: int | None
    kind: Kind
    stream_id: str | None
    req_id: str | None
    state: State
    content_bytes: int | None
    created_at: str
    settled_at: str | None
    errcode: int | None


_COLUMNS = ", ".join(each.name for each in fields(Delivery))


def begin(
    db: sqlite3.Connection,
    *,
    turn: int | None,
    kind: Kind,
    at: datetime,
    stream_id: str | None = None,
    req_id: str | None = None,
    content_bytes: int | None = None,
) -> int:
    """The id of a new delivery, `open`. `turn` is None for what `wecom-agent send` pushes."""
    cursor = db.execute(
        "INSERT INTO deliveries (turn, kind, stream_id, req_id, state, content_bytes, created_at)"
        " VALUES (?, ?, ?, ?, 'open', ?, ?)",
        (turn, kind, stream_id, req_id, content_bytes, stamp(at)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def mark_written(db: sqlite3.Connection, delivery: int, *, content_bytes: int | None = None) -> None:
    """open or written -> written: stored before the bytes go to the socket, so that a crash in between is on the safe
    side.
    """
    states.change(db, "deliveries", delivery, "written", ("open", "written"), content_bytes=content_bytes)


def settle(
    db: sqlite3.Connection,
    delivery: int,
    state: Literal["acked", "unknown", "failed"],
    at: datetime,
    *,
    errcode: int | None = None,
    content_bytes: int | None = None,
) -> None:
    """open, written or unknown -> `state`. `errcode` is WeCom's, `content_bytes` the size of the last content."""
    states.change(
        db,
        "deliveries",
        delivery,
        state,
        ("open", "written", "unknown"),
        settled_at=stamp(at),
        errcode=errcode,
        content_bytes=content_bytes,
    )


def of_turn(db: sqlite3.Connection, turn: int) -> tuple[Delivery, ...]:
    """A turn's deliveries, oldest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM deliveries WHERE turn = ? ORDER BY id", (turn,))
    return tuple(Delivery(*row) for row in rows)


def unsettled(db: sqlite3.Connection) -> tuple[Delivery, ...]:
    """What was open or written when the last process ended, oldest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM deliveries WHERE state IN ('open', 'written') ORDER BY id")
    return tuple(Delivery(*row) for row in rows)
