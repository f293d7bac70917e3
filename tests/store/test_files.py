import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from agent.store import chats, files, turns
from agent.store.states import IllegalTransition
from tests.store.conftest import at
from tests.store.samples import GROUP, SINGLE, receive

SHA = "ab" * 32
HALF_AN_HOUR = timedelta(minutes=30)


def put(db: sqlite3.Connection, turn: int, name: str = "a.pdf", **changes: Any) -> files.File:
    known: dict[str, Any] = {
        "chat": GROUP.key,
        "turn": turn,
        "origin": "received",
        "kind": "file",
        "name": name,
        "mime": "application/pdf",
        "size": 3,
        "sha256": SHA,
        "facts": {"pages": 2},
        "at": at(0),
    }
    return files.add(db, **(known | changes))


def test_a_file_comes_back_as_it_was_put(db: sqlite3.Connection) -> None:
    file = put(db, receive(db, "m1"), source="https://x.invalid/1")
    assert files.get(db, file.id) == file
    assert (file.path, file.facts, file.state) == (f"files/ab/{SHA}", {"pages": 2}, "ready")
    assert files.get(db, 99) is None
    lost = put(db, file.turn, sha256="", error="expired")
    assert (lost.path, lost.state, lost.error) == ("", "unreadable", "expired")


def test_versions_count_by_chat_origin_and_name(db: sqlite3.Connection) -> None:
    turn = receive(db, "m1")
    other = receive(db, "m2", chat=SINGLE)
    made = {"origin": "made"}
    found = [put(db, turn), put(db, turn), put(db, turn, **made), put(db, turn, "b"), put(db, other, chat=SINGLE.key)]
    assert [file.version for file in found] == [1, 2, 1, 1, 1]


def test_what_belongs_to_a_question(db: sqlite3.Connection) -> None:
    first, second, again = receive(db, "m1"), receive(db, "m2"), receive(db, "m3")
    one, two = put(db, first), put(db, second)
    put(db, first, origin="made")
    assert files.received(db, first) == (one,)
    assert turns.join(db, second, first, at(1), answer="together")
    assert files.received(db, first) == (one, two)
    turns.repeat(db, first, again)
    assert files.received(db, again) == (one, two), "a retry has what was asked before, joined messages included"
    assert [files.shown_under(db, file) for file in (one, two)] == [again, again]
    assert [file.origin for file in files.of_turn(db, first)] == ["received", "made"]
    assert not files.of_turn(db, again)


def test_what_waits_for_its_question(db: sqlite3.Connection) -> None:
    first, theirs = receive(db, "m1"), receive(db, "m2", user_id="wang")
    old, new = put(db, first, waiting=True, at=at(0)), put(db, first, waiting=True, at=at(1700))
    put(db, theirs, waiting=True, at=at(1700))
    asked = receive(db, "m3", at=at(1900))
    after = put(db, receive(db, "m4", at=at(1901)), waiting=True, at=at(1902))
    since = at(1900) - HALF_AN_HOUR
    files.claim(db, GROUP.key, "zhangsan", since, first)
    assert [file.id for file in files.waiting(db, GROUP.key, "zhangsan", since)] == [new.id, after.id]
    assert [file.id for file in files.waiting(db, GROUP.key, "zhangsan", since)] == [new.id, after.id]
    files.claim(db, GROUP.key, "zhangsan", since, asked)
    assert [file.id for file in files.received(db, asked)] == [new.id]
    assert files.waiting(db, GROUP.key, "zhangsan", at(0)) == (after,), (
        "what waited too long waits no more, what came after the question waits for the next one"
    )
    assert files.received(db, first)[0].id == old.id
    assert len(files.waiting(db, GROUP.key, "wang", since)) == 1, "another person's file waits for theirs"


def test_new_forgets_files(db: sqlite3.Connection) -> None:
    first = receive(db, "m1")
    put(db, first, waiting=True)
    later = put(db, receive(db, "m2"), "b.pdf")
    assert len(files.of_chat(db, GROUP.key, 10)) == 2
    assert files.of_chat(db, GROUP.key, 1) == (later,)
    chats.forget(db, GROUP.key, first)
    assert files.of_chat(db, GROUP.key, 10) == (later,)
    assert not files.waiting(db, GROUP.key, "zhangsan", at(0))
    assert not files.of_chat(db, SINGLE.key, 10)


def test_sending(db: sqlite3.Connection) -> None:
    turn = receive(db, "m1")
    file = put(db, turn, origin="made")
    assert file.state == "made"
    assert files.owed(db, "bot") == (), "the answer comes first"
    turns.start(db, turn, at(1))
    turns.answer(db, turn, at(2), answer="here")
    turns.deliver(db, turn, at(3))
    assert files.owed(db, "bot") == (turn,)
    assert files.owed(db, "other") == ()
    files.begin_sending(db, file.id)
    assert files.owed(db, "bot") == ()
    (unknown,) = files.unsent(db, turn)
    assert unknown.state == "unknown", "it was being sent when the process ended: it may have arrived"
    files.settle(db, file.id, "failed", at(4), error="upload")
    files.begin_sending(db, file.id)
    files.settle(db, file.id, "sent", at(5))
    assert files.unsent(db, turn) == ()
    with pytest.raises(IllegalTransition):
        files.begin_sending(db, file.id)
