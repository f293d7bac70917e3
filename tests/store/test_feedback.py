import sqlite3
from typing import Any

from agent.store import feedback, turns
from tests.store.conftest import at
from tests.store.samples import GROUP, receive


def record(db: sqlite3.Connection, msgid: str, **changes: Any) -> int | None:
    values = {"feedback_id": "f1", "user_id": "lisi", "type": 2, "content": "不对", "reasons": [2, 4], "at": at(9)}
    return feedback.record(db, msgid=msgid, **(values | changes))


def test_feedback_stands_beside_question_and_answer(db: sqlite3.Connection) -> None:
    turn = receive(db, "1", text="问")
    turns.start(db, turn, at(1), feedback_id="f1")
    turns.answer(db, turn, at(2), answer="答")
    first = record(db, "e1")
    second = record(db, "e2", type=3, content=None, reasons=[])
    assert first is not None
    assert second is not None
    assert feedback.newest(db, 10) == (
        feedback.Feedback(second, turn, GROUP.key, "lisi", 3, None, (), "2026-11-23T08:00:09.000Z", "问", "答"),
        feedback.Feedback(first, turn, GROUP.key, "lisi", 2, "不对", (2, 4), "2026-11-23T08:00:09.000Z", "问", "答"),
    )
    assert len(feedback.newest(db, 1)) == 1


def test_an_event_counts_once(db: sqlite3.Connection) -> None:
    assert record(db, "e1") is not None
    assert record(db, "e1", content="again") is None
    (only,) = feedback.newest(db, 10)
    assert only.content == "不对"


def test_feedback_on_an_unknown_answer_is_kept(db: sqlite3.Connection) -> None:
    record(db, "e1", feedback_id="of another life")
    (only,) = feedback.newest(db, 10)
    assert (only.turn, only.chat, only.question, only.answer) == (None, None, None, None)
