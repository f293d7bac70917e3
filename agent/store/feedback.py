"""Feedback: what people say about answers (protocol §8.3), beside the question and the answer that they mean."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.store.columns import from_json, stamp, storable, to_json
from agent.store.turns import QUESTION


@dataclass(frozen=True, slots=True)
class Feedback:
    """One event. `type` is 1 like, 2 dislike, 3 withdrawn; `reasons` are WeCom's numbers; `at` a stamp.

    Chat, question and answer are None for an id that belongs to no turn in this database.
    """

    id: int
    turn: int | None
    chat: str | None
    user_id: str
    type: int
    content: str | None
    reasons: tuple[int, ...]
    at: str
    question: str | None
    answer: str | None


def record(
    db: sqlite3.Connection,
    *,
    msgid: str,
    feedback_id: str,
    user_id: str,
    type: int,
    content: str | None,
    reasons: Sequence[int],
    at: datetime,
) -> int | None:
    """The id of the event, or None if it came before. Its turn is the one that was started with `feedback_id`."""
    cursor = db.execute(
        "INSERT INTO feedback (turn, msgid, feedback_id, user_id, type, content, reasons, at)"
        " VALUES ((SELECT id FROM turns WHERE feedback_id = ?), ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (msgid) DO NOTHING",
        (
            feedback_id,
            msgid,
            feedback_id,
            user_id,
            type,
            None if content is None else storable(content),
            to_json(list(reasons)),
            stamp(at),
        ),
    )
    return cursor.lastrowid if cursor.rowcount == 1 else None


def newest(db: sqlite3.Connection, limit: int) -> tuple[Feedback, ...]:
    """The newest events, newest first."""
    rows = db.execute(
        f"SELECT feedback.id, turn, chat, feedback.user_id, type, content, reasons, at, {QUESTION} AS question, answer"
        " FROM feedback LEFT JOIN turns ON turns.id = feedback.turn ORDER BY feedback.id DESC LIMIT ?",
        (limit,),
    )
    return tuple(Feedback(**dict(row) | {"reasons": tuple(from_json(row["reasons"]))}) for row in rows)
