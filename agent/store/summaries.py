"""Rolling summaries: what stands for the part of a chat that no longer fits the model's window."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from agent.store.columns import stamp, storable


@dataclass(frozen=True, slots=True)
class Summary:
    """`text` stands for every turn up to `to_turn`; `at` is the stamp of its writing."""

    text: str
    to_turn: int
    at: str


def put(db: sqlite3.Connection, chat: str, text: str, from_turn: int, to_turn: int, at: datetime) -> bool:
    """Replaces the chat's summary. False, and nothing changed, when the chat was told to forget meanwhile.

    `from_turn` is the chat's `history_from` at the time when the summary was begun.
    """
    row = db.execute("SELECT history_from FROM chats WHERE key = ?", (chat,)).fetchone()
    if row is None or row["history_from"] != from_turn:
        return False
    db.execute(
        "INSERT INTO summaries (chat, text, from_turn, to_turn, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (chat) DO UPDATE SET text = excluded.text, from_turn = excluded.from_turn,"
        " to_turn = excluded.to_turn, at = excluded.at",
        (chat, storable(text), from_turn, to_turn, stamp(at)),
    )
    return True


def get(db: sqlite3.Connection, chat: str) -> Summary | None:
    """The summary of what the chat still remembers; None without one, or after `/new`."""
    row = db.execute(
        "SELECT text, to_turn, at FROM summaries JOIN chats ON key = chat WHERE chat = ? AND from_turn = history_from",
        (chat,),
    ).fetchone()
    return Summary(*row) if row else None


def clear(db: sqlite3.Connection, chat: str) -> None:
    """Forgets the summary for good: `/new` does not keep what it was about."""
    db.execute("DELETE FROM summaries WHERE chat = ?", (chat,))
