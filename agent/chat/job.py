"""A message that is on disk: everything that answering it takes, now or after a restart.

Knows which chat a message belongs to, and how its row becomes the message again.
"""

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.config import Settings
from agent.store import deliveries, turns
from agent.store.chats import Address
from agent.wecom import EventReqMsg, Frame, ReqMsg, parse_message

from .question import Question


@dataclass(frozen=True, slots=True)
class Job:
    """`turn` and `delivery` are the ids of its rows; `question` is what is asked, which is not `message`'s own question
    when an earlier one is answered again."""

    turn: int
    delivery: int
    address: Address
    message: ReqMsg
    question: Question
    stream_id: str
    feedback_id: str

    @property
    def pushed(self) -> bool:
        """Whether the answer comes as a push, because a card's click takes no stream."""
        return isinstance(self.message, EventReqMsg)


def address_of(message: ReqMsg, bot_id: str, settings: Settings) -> Address | None:
    """The chat that a message belongs to: (bot, chat type, id), and the person where each has an own history."""
    chat_id, user = message.chat_id, message.from_userid
    if not chat_id or not user:
        return None
    if message.chat_type != "group":
        return Address(f"{bot_id}/single/{user}", bot_id, "single", user)
    if settings.group_history == "per_user":
        return Address(f"{bot_id}/group/{chat_id}/{user}", bot_id, "group", chat_id, user)
    return Address(f"{bot_id}/group/{chat_id}", bot_id, "group", chat_id)


def message_of(turn: turns.Turn, bot_name: str) -> ReqMsg:
    """The message of a stored turn, as it was parsed when it came."""
    return parse_message(Frame("", turn.req_id, dict(turn.body)), bot_name)


def new_bubble(db: sqlite3.Connection, turn: int, message: ReqMsg, stream_id: str) -> int:
    """The id of a delivery that waits for its end: a stream, or the push that answers a card's click."""
    now = datetime.now(UTC)
    if isinstance(message, EventReqMsg):
        return deliveries.begin(db, turn=turn, kind="push", at=now)
    return deliveries.begin(db, turn=turn, kind="stream", at=now, stream_id=stream_id, req_id=message.req_id)


def new_stream_id() -> str:
    return f"turn_{secrets.token_hex(12)}"
