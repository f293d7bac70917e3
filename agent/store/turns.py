"""Turns: a message and what became of it.

    received ──> answering ──> answered ──> delivered
        │            │             │
        └────────────┴─────────────┴──> failed | cancelled

`received` may go straight to `answered` (a command needs no model) and `answering` may begin again after a restart.
A turn is open, and owed to a person, until it is delivered, failed or cancelled. `failed` and `cancelled` are set
once the person has seen so, or can no longer be reached; then nothing is owed any more.

`answer` holds what the bot said: the model's text, or its own sentence where the model was not asked (a command, a
limit). Sentences about errors are not stored; `error` holds their short code. An `answered` turn with an `error` owes
the person that sentence.

`joined_to` names the turn with whose answer a question is answered: the one that it joined while that waited (then it
was never started itself: `attempts` is 0), or the `/retry` that asked it again. What belongs to an answer is therefore
what belongs to any turn of `id = ? OR joined_to = ?`.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from agent.store import chats, states
from agent.store.columns import from_json, stamp, storable, to_json

State = Literal["received", "answering", "answered", "delivered", "failed", "cancelled"]

# What stands as the command of a turn that brought files without a question.
ACKNOWLEDGED = "files"

OPEN: tuple[State, ...] = ("received", "answering", "answered")


@dataclass(frozen=True, slots=True)
class Turn:
    """A row. Moments are stamps as stored (`columns.moment` reads them); `body` is the callback's."""

    id: int
    chat: str
    bot_id: str
    msgid: str
    req_id: str
    user_id: str
    kind: str
    text: str
    command: str | None
    body: Mapping[str, Any]
    state: State
    attempts: int
    received_at: str
    answering_at: str | None
    answered_at: str | None
    delivered_at: str | None
    ended_at: str | None
    answer: str | None
    reasoning: str | None
    error: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    feedback_id: str | None
    joined_to: int | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, with what was joined to it, and its answer, as history shows them to the model. `at` is the stamp of
    the question.
    """

    turn: int
    user_id: str
    kind: str
    text: str
    answer: str
    at: str


_NAMES = tuple(each.name for each in fields(Turn))
_COLUMNS = ", ".join(f"turns.{name}" for name in _NAMES)
_BODY = _NAMES.index("body")

# SQL for a turn's question with the texts that were joined to it.
QUESTION = (
    "turns.text || coalesce((SELECT char(10, 10) || group_concat(text, char(10, 10)) FROM"
    " (SELECT text FROM turns AS part WHERE part.joined_to = turns.id AND part.attempts = 0 ORDER BY part.id)), '')"
)


def receive(
    db: sqlite3.Connection,
    *,
    chat: chats.Address,
    msgid: str,
    req_id: str,
    user_id: str,
    kind: str,
    text: str,
    body: Mapping[str, Any],
    at: datetime,
    command: str | None = None,
) -> int | None:
    """The id of the new turn, or None if this bot has seen `msgid` before, in this life or an earlier one.

    `text` is the question without the mention, `body` the callback's body, from which it can be answered after a
    restart. The chat is made if it is new.
    """
    chats.touch(db, chat, at)
    cursor = db.execute(
        "INSERT INTO turns"
        " (chat, bot_id, msgid, req_id, user_id, kind, text, command, body, state, received_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'received', ?)"
        " ON CONFLICT (bot_id, msgid) DO NOTHING",
        (
            chat.key,
            chat.bot_id,
            msgid,
            req_id,
            user_id,
            kind,
            storable(text),
            command,
            to_json(body),
            stamp(at),
        ),
    )
    if cursor.rowcount != 1:
        return None
    db.execute("UPDATE chats SET last_at = ? WHERE key = ?", (stamp(at), chat.key))
    return cursor.lastrowid


def start(
    db: sqlite3.Connection, turn: int, at: datetime, *, model: str | None = None, feedback_id: str | None = None
) -> int:
    """received or answering -> answering. The number of this attempt, from 1: a turn that kills the process each time
    can be told from one that was interrupted once.
    """
    states.change(
        db,
        "turns",
        turn,
        "answering",
        ("received", "answering"),
        answering_at=stamp(at),
        model=model,
        feedback_id=feedback_id,
    )
    db.execute("UPDATE turns SET attempts = attempts + 1 WHERE id = ?", (turn,))
    attempts: int = db.execute("SELECT attempts FROM turns WHERE id = ?", (turn,)).fetchone()[0]
    return attempts


def answer(
    db: sqlite3.Connection,
    turn: int,
    at: datetime,
    *,
    answer: str | None,
    reasoning: str | None = None,
    model: str | None = None,
    prompt_tokens: int | None = None,
    completion_tokens: int | None = None,
    error: str | None = None,
) -> None:
    """received or answering -> answered: the words are there, the delivery is owed.

    With `error` (a short code) what is owed is the sentence for it, after `answer`, the part that came before.
    """
    states.change(
        db,
        "turns",
        turn,
        "answered",
        ("received", "answering"),
        answered_at=stamp(at),
        answer=None if answer is None else storable(answer),
        reasoning=None if reasoning is None else storable(reasoning),
        model=model,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        error=error,
    )


def acknowledge(db: sqlite3.Connection, turn: int, at: datetime, *, answer: str) -> None:
    """answering -> answered, for files that came without a question: what is said of them is no part of the history."""
    states.change(db, "turns", turn, "answered", ("answering",), answered_at=stamp(at), answer=storable(answer))
    db.execute("UPDATE turns SET command = ? WHERE id = ?", (ACKNOWLEDGED, turn))


def deliver(db: sqlite3.Connection, turn: int, at: datetime) -> None:
    """answered -> delivered, at the last ack."""
    states.change(db, "turns", turn, "delivered", ("answered",), delivered_at=stamp(at))


def fail(db: sqlite3.Connection, turn: int, at: datetime, *, error: str, answer: str | None = None) -> None:
    """An open state -> failed, with a short code. `answer` is what was said before, if any and not yet stored."""
    states.change(
        db,
        "turns",
        turn,
        "failed",
        OPEN,
        ended_at=stamp(at),
        error=error,
        answer=None if answer is None else storable(answer),
    )


def cancel(
    db: sqlite3.Connection,
    turn: int,
    at: datetime,
    *,
    answer: str | None = None,
    prompt_tokens: int | None = None,
    completion_tokens: int | None = None,
) -> None:
    """An open state -> cancelled (`/stop`). `answer` is what was said before, which stays in the history."""
    states.change(
        db,
        "turns",
        turn,
        "cancelled",
        OPEN,
        ended_at=stamp(at),
        answer=None if answer is None else storable(answer),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


def join(db: sqlite3.Connection, turn: int, to: int, at: datetime, *, answer: str) -> bool:
    """Leaves the question of `turn` to the turn `to` that waits to be answered; of itself `turn` owes only `answer`,
    the sentence that says so. False, and nothing was changed, when `to` waits no longer or is forgotten (`/new`).
    """
    cursor = db.execute(
        "UPDATE turns SET state = 'answered', joined_to = ?, answer = ?, answered_at = ?"
        " WHERE id = ? AND state = 'received' AND EXISTS (SELECT 1 FROM turns AS other JOIN chats ON key = other.chat"
        " WHERE other.id = ? AND other.chat = turns.chat AND other.state = 'received' AND other.id > history_from)",
        (to, storable(answer), stamp(at), turn, to),
    )
    return cursor.rowcount == 1


def joined(db: sqlite3.Connection, turn: int) -> tuple[Turn, ...]:
    """The turns whose questions are answered with that of `turn`, in the order of arrival."""
    sql = f"SELECT {_COLUMNS} FROM turns WHERE joined_to = ? AND attempts = 0 ORDER BY id"
    return tuple(_turn(row) for row in db.execute(sql, (turn,)))


def repeat(db: sqlite3.Connection, asked: int, again: int) -> None:
    """The turn `again` (a `/retry`) takes over the question of `asked`, which leaves the history, and what was joined.

    Its command is cleared with that, so that the new answer counts as one to the question.
    """
    row = db.execute("SELECT kind, text, body FROM turns WHERE id = ?", (asked,)).fetchone()
    db.execute("UPDATE turns SET command = NULL, kind = ?, text = ?, body = ? WHERE id = ?", (*row, again))
    db.execute("UPDATE turns SET joined_to = ? WHERE id = ? OR joined_to = ?", (again, asked, asked))


def asked_by(db: sqlite3.Connection, bot_id: str, prefix: str) -> tuple[str, ...]:
    """The questions of the turns whose `msgid` begins with `prefix`, in the order of arrival."""
    rows = db.execute(
        "SELECT text FROM turns WHERE bot_id = ? AND msgid >= ? AND msgid < ? ORDER BY id",
        (bot_id, prefix, prefix + "\U0010ffff"),
    )
    return tuple(text for (text,) in rows)


def get(db: sqlite3.Connection, turn: int) -> Turn | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM turns WHERE id = ?", (turn,)).fetchone()
    return _turn(row) if row else None


def unfinished(db: sqlite3.Connection, bot_id: str) -> tuple[Turn, ...]:
    """The open turns of this bot, oldest first: what a restart owes."""
    # Spelt as the partial index spells it, and with a plus that keeps SQLite off the index of message ids: this is how
    # it finds the few open turns among all.
    still_open = "state IN ('received', 'answering', 'answered')"
    rows = db.execute(f"SELECT {_COLUMNS} FROM turns WHERE {still_open} AND +bot_id = ? ORDER BY id", (bot_id,))
    return tuple(_turn(row) for row in rows)


def stopped(db: sqlite3.Connection, bot_id: str) -> tuple[Turn, ...]:
    """The cancelled turns of this bot whose bubble was still open when the process ended, oldest first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM deliveries JOIN turns ON turns.id = deliveries.turn"
        " WHERE deliveries.state IN ('open', 'written') AND deliveries.kind = 'stream'"
        " AND turns.state = 'cancelled' AND turns.bot_id = ? ORDER BY turns.id",
        (bot_id,),
    )
    return tuple(_turn(row) for row in rows)


def of_chat(db: sqlite3.Connection, chat: str, limit: int) -> tuple[Turn, ...]:
    """The newest turns of a chat in every state, oldest of them first."""
    sql = f"SELECT {_COLUMNS} FROM turns WHERE chat = ? ORDER BY id DESC LIMIT ?"
    return tuple(_turn(row) for row in db.execute(sql, (chat, limit)))[::-1]


def history(db: sqlite3.Connection, chat: str, limit: int, *, before: int | None = None) -> tuple[Exchange, ...]:
    """The newest exchanges that the chat remembers, oldest of them first: turns after its `history_from`, and before
    the turn `before` where it is given, that the model answered, if only in part. What the bot said by itself, without
    `start`, is not part of it: commands, refusals, limits.
    """
    rows = db.execute(
        f"SELECT turns.id, turns.user_id, kind, {QUESTION}, answer, received_at"
        " FROM turns JOIN chats ON chats.key = turns.chat"
        " WHERE turns.chat = ? AND turns.id > history_from AND turns.id < ?"
        " AND answer <> '' AND attempts > 0 AND command IS NULL AND joined_to IS NULL"
        " ORDER BY turns.id DESC LIMIT ?",
        (chat, 2**63 - 1 if before is None else before, limit),
    )
    return tuple(Exchange(*row) for row in rows)[::-1]


def tokens_since(db: sqlite3.Connection, bot_id: str, user_id: str, since: datetime) -> int:
    """The tokens, in both directions, of a person's turns that were received since then."""
    row = db.execute(
        "SELECT coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)), 0)"
        " FROM turns WHERE user_id = ? AND received_at >= ? AND +bot_id = ?",
        (user_id, stamp(since), bot_id),
    ).fetchone()
    return int(row[0])


def _turn(row: sqlite3.Row) -> Turn:
    values = list(row)
    values[_BODY] = from_json(values[_BODY])
    return Turn(*values)
