"""Sending what tools made: upload, then a media message under the question, at most once each.

An upload that fails is tried again: nobody sees it. The message that shows the file is not: what was written and never
acked is `unknown`, and `/retry` brings it again. No file is ever lost: its bytes are stored before it is sent.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from agent.store import Store, deliveries, files
from agent.store.blobs import Blobs
from agent.store.files import File
from agent.wecom import (
    ConnectionLost,
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
        """Sends the files one after the other; what fails is said in the chat."""
        for file in made:
            state, error = await self._send(job, server, file)
            await self._store.run(files.settle, file.id, state, datetime.now(UTC), error=error)
            if state == "failed":
                await self._say(job, server, self._words.file_not_sent.format(name=shown_name(file)))

    async def _send(self, job: Job, server: WecomAIBotWsServer, file: File) -> tuple[files.Outcome, str | None]:
        for pause in (*PAUSES, None):
            try:
                media = await server.upload_media(self._blobs.path(file.sha256), file.kind, shown_name(file))
            except (MediaError, OSError) as problem:
                _log.error("a file of %d bytes cannot be sent: %s", file.size, problem)
                return "failed", "unsendable"
            except WecomError as problem:
                _log.warning("the upload of a file of %d bytes failed: %s", file.size, problem)
                if pause is None:
                    return "failed", "upload"
                await asyncio.sleep(pause)
            else:
                return await self._show(job, server, file, RspMediaMsg(media_id=media.media_id, media_type=media.kind))
        raise AssertionError("the last pause is None")

    async def _show(
        self, job: Job, server: WecomAIBotWsServer, file: File, reply: RspMediaMsg
    ) -> tuple[files.Outcome, str | None]:
        delivery = await self._store.run(_begin, job, file)
        outcome: files.Outcome = "sent"
        code: int | None = None
        try:
            await server.reply_message(job.message, reply)
        except (RequestTimeout, ConnectionLost) as problem:
            written = isinstance(problem, RequestTimeout) or problem.written
            outcome = "unknown" if written else "failed"
            _log.warning("a file may %shave arrived: %s", "" if written else "not ", problem)
        except RequestFailed as problem:
            outcome, code = "failed", problem.errcode
            _log.error("WeCom refused a file: %s", problem)
        settled = {"sent": "acked", "unknown": "unknown", "failed": "failed"}
        await self._store.run(deliveries.settle, delivery, settled[outcome], datetime.now(UTC), errcode=code)  # type: ignore[arg-type]
        return outcome, None if outcome == "sent" else f"wecom_{code}" if code else "line"

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
