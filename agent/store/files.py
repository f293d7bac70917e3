"""Files of a chat: what people sent and what the bot made, with versions. The bytes are in `blobs`.

    received:  ready | unreadable
    made:      made ──> sending ──> sent | unknown | failed

A row is one file in one chat; several rows may share their bytes. `waiting` marks what was sent alone and waits for
the question that follows. What is `made` and never left is sent after a restart; what was `sending` may have arrived.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from agent.store import states
from agent.store.blobs import Blobs
from agent.store.columns import from_json, stamp, storable, to_json

Origin = Literal["received", "made"]
Kind = Literal["image", "file", "video"]
Outcome = Literal["sent", "unknown", "failed", "made"]
State = Literal["ready", "unreadable", "made", "sending", "sent", "unknown", "failed"]

# A question and all that belongs to its answer: messages that joined it, and the one that a `/retry` repeats.
_ASKED = (
    "WITH RECURSIVE asked(id) AS (SELECT ? UNION SELECT turns.id FROM turns JOIN asked ON turns.joined_to = asked.id)"
)


@dataclass(frozen=True, slots=True)
class File:
    """A row. Moments are stamps as stored; `facts` say what was found (pages, sheets, pixels); `source` is the link by
    which it came, or the JSON of the tool call that made it; `error` a short code."""

    id: int
    chat: str
    turn: int
    origin: Origin
    kind: Kind
    name: str
    version: int
    mime: str
    size: int
    sha256: str
    path: str
    facts: Mapping[str, Any]
    source: str | None
    state: State
    error: str | None
    waiting: int
    created_at: str
    settled_at: str | None


_NAMES = tuple(each.name for each in fields(File))
_COLUMNS = ", ".join(f"files.{name}" for name in _NAMES)
_FACTS = _NAMES.index("facts")


def add(
    db: sqlite3.Connection,
    *,
    chat: str,
    turn: int,
    origin: Origin,
    kind: Kind,
    name: str,
    mime: str,
    size: int,
    sha256: str,
    facts: Mapping[str, Any],
    at: datetime,
    source: str | None = None,
    error: str | None = None,
    waiting: bool = False,
) -> File:
    """A new file of the chat; one with a name that the chat knows from the same origin is its next version.

    An empty `sha256` is a file that could not be had; `error` says why.
    """
    name = storable(name)
    (version,) = db.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM files WHERE chat = ? AND origin = ? AND name = ?",
        (chat, origin, name),
    ).fetchone()
    row = {
        "chat": chat,
        "turn": turn,
        "origin": origin,
        "kind": kind,
        "name": name,
        "version": version,
        "mime": mime,
        "size": size,
        "sha256": sha256,
        "path": Blobs.relative(sha256) if sha256 else "",
        "facts": to_json(dict(facts)),
        "source": source,
        "state": "made" if origin == "made" else "unreadable" if error else "ready",
        "error": error,
        "waiting": int(waiting),
        "created_at": stamp(at),
    }
    marks = ", ".join("?" * len(row))
    cursor = db.execute(f"INSERT INTO files ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    assert cursor.lastrowid is not None
    found = get(db, cursor.lastrowid)
    assert found is not None
    return found


def get(db: sqlite3.Connection, file: int) -> File | None:
    found = _select(db, "id = ?", (file,))
    return found[0] if found else None


def received(db: sqlite3.Connection, turn: int) -> tuple[File, ...]:
    """What came with a question, with what joined it and with what it repeats, in the order in which it came."""
    rows = db.execute(
        f"{_ASKED} SELECT {_COLUMNS} FROM files"
        " WHERE turn IN (SELECT id FROM asked) AND origin = 'received' ORDER BY id",
        (turn,),
    )
    return tuple(_file(row) for row in rows)


def of_turn(db: sqlite3.Connection, turn: int) -> tuple[File, ...]:
    """What came with a message or was made in answer to it, oldest first."""
    return _select(db, "turn = ? ORDER BY id", (turn,))


def of_chat(db: sqlite3.Connection, chat: str, limit: int) -> tuple[File, ...]:
    """The newest files that the chat remembers (after its last `/new`), oldest of them first."""
    where = "chat = ? AND turn > (SELECT history_from FROM chats WHERE key = ?) ORDER BY id DESC LIMIT ?"
    return _select(db, where, (chat, chat, limit))[::-1]


def shown_under(db: sqlite3.Connection, file: File) -> int:
    """The turn in whose exchange the history shows a file: that of the answer which its question went into."""
    turn = file.turn
    while file.origin == "received":
        (joined,) = db.execute("SELECT joined_to FROM turns WHERE id = ?", (turn,)).fetchone()
        if joined is None:
            break
        turn = joined
    return turn


def waiting(db: sqlite3.Connection, chat: str, user_id: str, since: datetime) -> tuple[File, ...]:
    """What this person sent alone since then and nobody asked about yet, oldest first."""
    where = (
        "chat = ? AND waiting = 1 AND created_at >= ? AND turn > (SELECT history_from FROM chats WHERE key = chat)"
        " AND turn IN (SELECT id FROM turns WHERE user_id = ?) ORDER BY id"
    )
    return _select(db, where, (chat, stamp(since), user_id))


def claim(db: sqlite3.Connection, chat: str, user_id: str, since: datetime, turn: int) -> None:
    """The question that files waited for has come: from now on they belong to `turn`, and older ones wait no more.

    Those that came after the question (it was interrupted by a restart, say) wait for the next one.
    """
    for file in waiting(db, chat, user_id, since):
        if file.turn < turn:
            db.execute("UPDATE files SET waiting = 0, turn = ? WHERE id = ?", (turn, file.id))
    db.execute(
        "UPDATE files SET waiting = 0 WHERE chat = ? AND waiting = 1 AND created_at < ?"
        " AND turn IN (SELECT id FROM turns WHERE user_id = ?)",
        (chat, stamp(since), user_id),
    )


def discard(db: sqlite3.Connection, turn: int) -> None:
    """Forgets what an interrupted attempt at an answer made: nobody has seen it, and the next attempt makes its own."""
    db.execute("DELETE FROM files WHERE turn = ? AND origin = 'made' AND state = 'made'", (turn,))


def unsent(db: sqlite3.Connection, turn: int) -> tuple[File, ...]:
    """What the answer made and did not arrive for certain: what `/retry` brings again."""
    return _select(db, "turn = ? AND origin = 'made' AND state IN ('made', 'unknown', 'failed') ORDER BY id", (turn,))


def owed(db: sqlite3.Connection, bot_id: str) -> tuple[int, ...]:
    """The turns whose answers have come to their end and whose files have not, oldest first: what a restart owes.

    What was being sent when the process ended may have arrived; it becomes `unknown`.
    """
    db.execute("UPDATE files SET state = 'unknown' WHERE state = 'sending'")
    rows = db.execute(
        "SELECT DISTINCT turn FROM files JOIN turns ON turns.id = files.turn"
        " WHERE files.state = 'made' AND turns.state IN ('delivered', 'failed', 'cancelled') AND turns.bot_id = ?"
        " ORDER BY turn",
        (bot_id,),
    )
    return tuple(turn for (turn,) in rows)


def begin_sending(db: sqlite3.Connection, file: int) -> None:
    """Stored before the message goes out, so that a crash in between sends it at most once."""
    states.change(db, "files", file, "sending", ("made", "unknown", "failed"))
    db.execute("UPDATE files SET error = NULL WHERE id = ?", (file,))


def settle(
    db: sqlite3.Connection,
    file: int,
    state: Outcome,
    at: datetime,
    *,
    error: str | None = None,
) -> None:
    """made or sending -> `state`, with a short code where it failed; `made` again when it was never written."""
    states.change(db, "files", file, state, ("made", "sending", "unknown", "failed"), settled_at=stamp(at), error=error)


def _select(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> tuple[File, ...]:
    return tuple(_file(row) for row in db.execute(f"SELECT {_COLUMNS} FROM files WHERE {where}", values))


def _file(row: sqlite3.Row) -> File:
    values = list(row)
    values[_FACTS] = from_json(values[_FACTS])
    return File(*values)
