"""Sending what tools made: upload, then a media message under the question, at most once each.

An upload that fails is tried again: nobody sees it. The message that shows the file is not: what was written and never
acked is `unknown`, and `/retry` brings it again. No file is ever lost: its bytes are stored before it is sent.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from typing import Literal

from agent.store import Store, deliveries, files
from agent.store.blobs import Blobs
from agent.store.files import File
from agent.store.states import IllegalTransition
from agent.wecom import (
    ConnectionLost,
    Media,
    MediaError,
    RequestFailed,
    RequestTimeout,
    RspMediaMsg,
    RspTextMsg,
    WecomAIBotWsServer,
    WecomError,
)

from .job import Job
from .words import Words

# Seconds between the tries of an upload; a gap in the line is waited out besides.
PAUSES = (1.0, 4.0, 15.0, 60.0)
# What a file's state says of the delivery; `made` again is a message that was never written.
_DELIVERED: dict[files.Outcome, Literal["acked", "unknown", "failed"]] = {
    "sent": "acked",
    "unknown": "unknown",
    "failed": "failed",
    "made": "failed",
}

_log = logging.getLogger(__name__)


def shown_name(file: File) -> str:
    """The name under which a file is sent: later versions say so, or two files of a chat could not be told apart."""
    if file.version == 1:
        return file.name
    stem, dot, ending = file.name.rpartition(".")
    return f"{stem}_v{file.version}{dot}{ending}" if stem else f"{file.name}_v{file.version}"


class Artefacts:
    """Sends files that the bot made.

    Args:
        store, blobs: where rows and bytes are kept.
        words: for what could not be sent.
    """

    def __init__(self, store: Store, blobs: Blobs, words: Words) -> None:
        self._store, self._blobs, self._words = store, blobs, words

    async def send(self, job: Job, server: WecomAIBotWsServer, made: Iterable[File]) -> None:
        """Sends the files one after the other; what fails is said in the chat. What cannot leave before the line has
        ended for good stays `made`, for the next process.
        """
        for file in made:
            try:
                arrived = await self._send(job, server, file)
            except IllegalTransition:
                continue  # a `/retry` has sent it meanwhile, or is just doing so
            except WecomError as problem:
                _log.info("files wait for the next start: %s", problem)
                return
            if not arrived:
                await self._say(job, server, self._words.file_not_sent.format(name=shown_name(file)))

    async def _send(self, job: Job, server: WecomAIBotWsServer, file: File) -> bool:
        """False when it failed. Raises WecomError when the line has ended for good."""
        try:
            media = await self._upload(server, file)
        except (WecomError, OSError) as problem:
            if isinstance(problem, WecomError) and server.line.closed is not None:
                raise
            _log.error("a file of %d bytes cannot be sent: %s", file.size, problem)
            error = "unsendable" if isinstance(problem, MediaError | OSError) else "upload"
            await self._store.run(files.settle, file.id, "failed", datetime.now(UTC), error=error)
            return False
        return await self._show(job, server, file, RspMediaMsg(media_id=media.media_id, media_type=media.kind))

    async def _upload(self, server: WecomAIBotWsServer, file: File) -> Media:
        path, name = self._blobs.path(file.sha256), shown_name(file)
        for pause in PAUSES:
            try:
                await server.line.ready()
                return await server.upload_media(path, file.kind, name)
            except MediaError:
                raise
            except WecomError as problem:
                if server.line.closed is not None:
                    raise
                _log.warning("the upload of a file of %d bytes failed: %s", file.size, problem)
                await asyncio.sleep(pause)
        return await server.upload_media(path, file.kind, name)

    async def _show(self, job: Job, server: WecomAIBotWsServer, file: File, reply: RspMediaMsg) -> bool:
        """Sends the message until it was written, once."""
        while True:
            await server.line.ready()
            delivery = await self._store.run(_begin, job, file)
            state, code = await _outcome(server.reply_message(job.message, reply))
            await self._store.run(_settle, file, delivery, state, code)
            if state != "made":
                return state != "failed"

    async def _say(self, job: Job, server: WecomAIBotWsServer, sentence: str) -> None:
        try:
            await server.reply_message(job.message, RspTextMsg(sentence))
        except WecomError as problem:
            _log.warning("that a file was not sent could not be said: %s", problem)


def _begin(db: sqlite3.Connection, job: Job, file: File) -> int:
    """Both rows say that the message is on its way before it is."""
    files.begin_sending(db, file.id)
    delivery = deliveries.begin(db, turn=job.turn, kind="media", at=datetime.now(UTC), req_id=job.message.req_id)
    deliveries.mark_written(db, delivery, content_bytes=file.size)
    return delivery


async def _outcome(sending: Awaitable[object]) -> tuple[files.Outcome, int | None]:
    """What became of a message, and WeCom's errcode where it refused."""
    try:
        await sending
    except RequestFailed as problem:
        _log.error("WeCom refused a file: %s", problem)
        return "failed", problem.errcode
    except (RequestTimeout, ConnectionLost) as problem:
        written = isinstance(problem, RequestTimeout) or problem.written
        _log.warning("a file %s: %s", "may have arrived" if written else "has not left", problem)
        return "unknown" if written else "made", None
    return "sent", None


def _settle(db: sqlite3.Connection, file: File, delivery: int, state: files.Outcome, code: int | None) -> None:
    now, error = datetime.now(UTC), f"wecom_{code}" if code else "line"
    deliveries.settle(db, delivery, _DELIVERED[state], now, errcode=code)
    files.settle(db, file.id, state, now, error=None if state == "sent" else error)
