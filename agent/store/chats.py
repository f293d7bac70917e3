"""Chats: who talks with the bot where, from which turn on it remembers, and which model it uses there."""

import sqlite3
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from agent.store.columns import stamp


@dataclass(frozen=True, slots=True)
class Address:
    """What makes a chat: its key, and the parts from which the key was made.

    `chat_id` is the group's id, or the person's user id in a single chat. `user_id` is set only where each person of a
    group has a chat of their own.
    """

    key: str
    bot_id: str
    chat_type: Literal["single", "group"]
    chat_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A row. Moments are stamps as stored (`columns.moment` reads them)."""

    key: str
    bot_id: str
    chat_type: str
    chat_id: str
    user_id: str | None
    created_at: str
    last_at: str
    history_from: int
    model: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A chat with the number of its turns, of those in its history, and of those that wait for their end."""

    chat: Chat
    turns: int
    remembered: int
    open: int


_COLUMNS = ", ".join(f"chats.{each.name}" for each in fields(Chat))


def touch(db: sqlite3.Connection, address: Address, at: datetime) -> None:
    """Makes the chat if it is new."""
    db.execute(
        "INSERT OR IGNORE INTO chats (key, bot_id, chat_type, chat_id, user_id, created_at, last_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            address.key,
            address.bot_id,
            address.chat_type,
            address.chat_id,
            address.user_id,
            stamp(at),
            stamp(at),
        ),
    )


def get(db: sqlite3.Connection, key: str) -> Chat | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM chats WHERE key = ?", (key,)).fetchone()
    return Chat(*row) if row else None


def find(db: sqlite3.Connection, name: str) -> tuple[Chat, ...]:
    """The chats that a person may mean by `name`: its key, its group id, or a user id. Newest first."""
    sql = f"SELECT {_COLUMNS} FROM chats WHERE key = ? OR chat_id = ? ORDER BY key = ? DESC, last_at DESC"
    return tuple(Chat(*row) for row in db.execute(sql, (name, name, name)))


def summaries(db: sqlite3.Connection, limit: int = 1000) -> tuple[Summary, ...]:
    """The chats that spoke last, newest first."""
    sql = f"""
        SELECT {_COLUMNS},
            (SELECT count(*) FROM turns WHERE chat = key),
            (SELECT count(*) FROM turns WHERE chat = key AND turns.id > history_from AND answer <> ''
                AND attempts > 0 AND command IS NULL AND joined_to IS NULL),
            (SELECT count(*) FROM turns WHERE chat = key AND state IN ('received', 'answering', 'answered'))
        FROM chats ORDER BY last_at DESC LIMIT ?
    """
    return tuple(Summary(Chat(*row[:-3]), *row[-3:]) for row in db.execute(sql, (limit,)))


def forget(db: sqlite3.Connection, key: str, turn: int) -> None:
    """From now on the history begins after `turn` (that of `/new`); it never goes back."""
    db.execute("UPDATE chats SET history_from = max(history_from, ?) WHERE key = ?", (turn, key))


def choose_model(db: sqlite3.Connection, key: str, model: str | None) -> None:
    """Sets the chat's own model; None returns to the default."""
    db.execute("UPDATE chats SET model = ? WHERE key = ?", (model, key))
