"""`wecom-agent send`, the bot's side: takes what commands in other processes put into the database, and sends it.

Each part, text or file, is a delivery without a turn, so that `stats` shows what WeCom never acked.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal

from agent.store import Store, chats, deliveries, sends
from agent.wecom import ConnectionLost, RequestFailed, RequestTimeout, RspMediaMsg, WecomAIBotWsServer, WecomError

# How often the outbox is looked at, in seconds. Looking costs one PRAGMA unless another process has written.
INTERVAL = 0.25

# What the operator can make of an errcode (protocol §18).
_REASONS = {
    40201: "WeCom's content policy did not let it through; change the text",
    45009: "WeCom takes no more messages for now; try again later",
    93001: "the bot is not a member of this group; add it there",
    93006: "this person or group has never written to the bot, or the id is spelt differently (case counts); "
    "`wecom-agent chats` lists who has",
}

_log = logging.getLogger(__name__)


def abandon(db: sqlite3.Connection, at: datetime) -> None:
    """When a bot starts: what an earlier one was sending may have arrived, so it is unknown; nothing is sent twice."""
    sends.abandon(db, at)
    for delivery in deliveries.unsettled(db):
        if delivery.turn is None or delivery.kind == "media":  # those of turns are ended with their turns
            deliveries.settle(db, delivery.id, "unknown" if delivery.state == "written" else "failed", at)


async def serve(store: Store, server: WecomAIBotWsServer) -> None:
    """Sends what is queued, until cancelled. A chat that has to wait for its sending limit holds no other one up."""
    version = -1
    async with asyncio.TaskGroup() as group:
        while True:
            seen = await store.run(_data_version)
            if seen != version and server.is_connected:
                version = seen
                while (send := await store.run(sends.claim, datetime.now(UTC))) is not None:
                    group.create_task(_serve_one(store, server, send))
            await asyncio.sleep(INTERVAL)


def _data_version(db: sqlite3.Connection) -> int:
    """Changes whenever another connection has written to the file."""
    version: int = db.execute("PRAGMA data_version").fetchone()[0]
    return version


async def _serve_one(store: Store, server: WecomAIBotWsServer, send: sends.Send) -> None:
    state: Literal["acked", "refused", "unknown"] = "acked"
    error: str | None = None
    try:
        state, error = await _send(store, server, send)
    except Exception:  # one message's failure is its own
        _log.exception("`send` %d failed", send.id)
        state, error = "unknown", "the bot failed while it was sending; its log tells more"
    await store.run(sends.settle, send.id, state, datetime.now(UTC), error=error)


async def _send(
    store: Store, server: WecomAIBotWsServer, send: sends.Send
) -> tuple[Literal["acked", "refused", "unknown"], str | None]:
    """Sends the text, then the file: the state of the whole, and why it is not acked."""
    found = await store.run(chats.find, send.chat)
    chat_id, chat_type = (found[0].chat_id, found[0].chat_type) if found else (send.chat, None)
    arrived = ""
    try:
        if send.text:
            await _push(store, "push", lambda: server.send_markdown(chat_id, send.text or "", chat_type))
            arrived = "the text arrived, but not the file: "
        if send.file:
            try:
                media = await server.upload_media(send.file)
            except (RequestTimeout, ConnectionLost) as error:  # an upload alone shows nothing to anybody
                return _judged(send, "refused", arrived, error)
            reply = RspMediaMsg(media_id=media.media_id, media_type=media.kind)
            await _push(store, "media", lambda: server.send_active_message(chat_id, reply, chat_type))
    except (WecomError, OSError) as error:
        return _judged(send, "unknown" if _may_have_arrived(error) else "refused", arrived, error)
    return "acked", None


async def _push(store: Store, kind: Literal["push", "media"], sending: Callable[[], Awaitable[object]]) -> None:
    """Sends one part and keeps account of it. Raises what went wrong."""

    def begin(db: sqlite3.Connection) -> int:
        delivery = deliveries.begin(db, turn=None, kind=kind, at=datetime.now(UTC))
        deliveries.mark_written(db, delivery)
        return delivery

    delivery = await store.run(begin)
    try:
        await sending()
    except Exception as error:
        errcode = error.errcode if isinstance(error, RequestFailed) else None
        state: Literal["unknown", "failed"] = "unknown" if _may_have_arrived(error) else "failed"
        await store.run(deliveries.settle, delivery, state, datetime.now(UTC), errcode=errcode)
        raise
    await store.run(deliveries.settle, delivery, "acked", datetime.now(UTC))


def _judged(
    send: sends.Send, state: Literal["refused", "unknown"], arrived: str, failure: Exception
) -> tuple[Literal["refused", "unknown"], str]:
    _log.warning("`send` to %s: %s", send.chat, failure)
    return state, arrived + reason(failure)


def _may_have_arrived(failure: Exception) -> bool:
    return isinstance(failure, RequestTimeout) or (isinstance(failure, ConnectionLost) and failure.written)


def reason(failure: Exception) -> str:
    """Why something was not sent, for the operator."""
    match failure:
        case RequestFailed(errcode=code) if code in _REASONS:
            return f"{_REASONS[code]} (errcode {code})"
        case OSError():
            return (
                f"the bot cannot read {failure.filename!r} ({failure.strerror}); it reads the file itself, so the file "
                "must be on the bot's machine and readable by its user"
            )
        case _:
            return str(failure)
