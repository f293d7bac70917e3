"""`wecom-agent send`, the bot's side: takes what commands in other processes put into the database, and sends it."""

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime

from agent.store import Store, chats, sends
from agent.wecom import ConnectionLost, RequestTimeout, WecomAIBotWsServer, WecomError

# How often the outbox is looked at, in seconds. Looking costs one PRAGMA unless another process has written.
INTERVAL = 0.25

_log = logging.getLogger(__name__)


async def serve(store: Store, server: WecomAIBotWsServer) -> None:
    """Sends what is queued, until cancelled."""
    version = -1
    while True:
        seen = await store.run(_data_version)
        if seen != version and server.is_connected:
            version = seen
            while (send := await store.run(sends.claim, datetime.now(UTC))) is not None:
                await _send(store, server, send)
        await asyncio.sleep(INTERVAL)


def _data_version(db: sqlite3.Connection) -> int:
    """Changes whenever another connection has written to the file."""
    version: int = db.execute("PRAGMA data_version").fetchone()[0]
    return version


async def _send(store: Store, server: WecomAIBotWsServer, send: sends.Send) -> None:
    found = await store.run(chats.find, send.chat)
    chat_id, chat_type = (found[0].chat_id, found[0].chat_type) if found else (send.chat, None)
    try:
        if send.text:
            await server.send_markdown(chat_id, send.text, chat_type)
        if send.file:
            await server.send_file(chat_id, send.file, chat_type)
    except (WecomError, OSError) as error:
        unknown = isinstance(error, RequestTimeout) or (isinstance(error, ConnectionLost) and error.written)
        _log.warning("`send` to %s: %s", send.chat, error)
        state = "unknown" if unknown else "refused"
        await store.run(sends.settle, send.id, state, datetime.now(UTC), error=str(error))  # type: ignore[arg-type]
    else:
        await store.run(sends.settle, send.id, "acked", datetime.now(UTC))
