"""Rows that many tests need."""

import sqlite3
from datetime import datetime
from typing import Any

from agent.store import chats, turns
from tests.store.conftest import START, at

GROUP = chats.Address("bot:group:wr1", "bot", "group", "wr1")
SINGLE = chats.Address("bot:single:lisi", "bot", "single", "lisi")


def arrival(msgid: str, **changes: Any) -> dict[str, Any]:
    """The arguments of `turns.receive` for a group message."""
    return {
        "chat": GROUP,
        "msgid": msgid,
        "req_id": f"req-{msgid}",
        "user_id": "zhangsan",
        "kind": "text",
        "text": "年假怎么申请？",
        "body": {"msgid": msgid, "text": {"content": "@Bot 年假怎么申请？"}},
        "at": at(0),
    } | changes


def receive(db: sqlite3.Connection, msgid: str, **changes: Any) -> int:
    turn = turns.receive(db, **arrival(msgid, **changes))
    assert turn is not None
    return turn


def exchange(db: sqlite3.Connection, msgid: str, answer: str, *, when: datetime = START, **changes: Any) -> int:
    """A message that was answered and delivered."""
    turn = receive(db, msgid, at=when, **changes)
    turns.start(db, turn, when)
    turns.answer(db, turn, when, answer=answer)
    turns.deliver(db, turn, when)
    return turn
