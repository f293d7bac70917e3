"""After a restart: what an earlier run of the bot owes, and how each of it is finished.

received, answering -> answered from the start; answered, stopped -> delivered again; files that never left -> sent
"""

import logging
import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.config import Settings
from agent.store import Store, deliveries, files, turns
from agent.wecom import ReqMsg, WecomAIBotWsServer

from . import question
from .job import Job, address_of, message_of, new_bubble, new_stream_id
from .turn import Turns

# The window in which WeCom takes answers to a message (protocol §9.1); older turns cannot be answered any more.
REPLY_WINDOW = timedelta(hours=24)

_log = logging.getLogger(__name__)


class Restart:
    """Looks once, before the line opens, for what is owed.

    Args:
        settings, store, answering: the deployment's.
    """

    def __init__(self, settings: Settings, store: Store, answering: Turns) -> None:
        self._settings, self._store, self._turns, self._bot_id = settings, store, answering, settings.bot_id

    async def owed(self) -> list[Callable[[WecomAIBotWsServer], Any]]:
        """What an earlier process left open, oldest first: functions that finish one turn each, once the line is up."""
        found = []
        for turn in await self._store.run(turns.unfinished, self._bot_id):
            if await self._store.run(_may_have_arrived, turn):
                continue
            job = await self._job_of(turn)
            if job is None or (turn.command is not None and turn.state != "answered"):
                await self._store.run(turns.fail, turn.id, datetime.now(UTC), error="interrupted")
            else:
                found.append(self._resumption(job, turn))
        for turn in await self._store.run(turns.stopped, self._bot_id):
            job = await self._job_of(turn)
            if job is not None:
                found.append(self._resumption(job, turn))
        for owed in await self._store.run(files.owed, self._bot_id):
            answered = await self._store.run(turns.get, owed)
            job = await self._job_of(answered, bubble=False) if answered is not None else None
            if job is not None:
                found.append(self._files_of(job))
        if found:
            _log.info("%d turns of an earlier run are still owed; they are answered first", len(found))
        return found

    def _resumption(self, job: Job, turn: turns.Turn) -> Callable[[WecomAIBotWsServer], Any]:
        async def resume(server: WecomAIBotWsServer) -> None:
            if turn.state in ("answered", "cancelled"):
                await self._turns.deliver_again(job, server, turn)
            elif turn.state != "received" or job.pushed or not await self._turns.join(job, server):
                await self._turns.answer(job, server)

        return resume

    def _files_of(self, job: Job) -> Callable[[WecomAIBotWsServer], Any]:
        return lambda server: self._turns.send_files(job, server, job.turn)

    async def _job_of(self, turn: turns.Turn, *, bubble: bool = True) -> Job | None:
        """The job of a stored turn, None when it is too old or its chat is no longer known. Without `bubble` it is for
        what follows the answer."""
        received = datetime.fromisoformat(turn.received_at)
        if datetime.now(UTC) - received > REPLY_WINDOW:
            return None
        message = message_of(turn, self._settings.bot_name)
        address = address_of(message, self._bot_id, self._settings)
        if address is None:
            return None
        asked, feedback_id = question.of(message), turn.feedback_id or f"answer_{secrets.token_hex(12)}"
        if not bubble:
            return Job(turn.id, 0, address, message, asked, "", feedback_id)
        open_one = await self._store.run(_bubble_of, turn, message)
        return Job(turn.id, open_one.id, address, message, asked, open_one.stream_id or "", feedback_id)


def _bubble_of(db: sqlite3.Connection, turn: turns.Turn, message: ReqMsg) -> deliveries.Delivery:
    """The bubble that still waits for its end, or a new one where the last was closed."""
    sent = deliveries.of_turn(db, turn.id)
    if not sent or sent[-1].state not in ("open", "written"):
        new_bubble(db, turn.id, message, new_stream_id())
    return deliveries.of_turn(db, turn.id)[-1]


def _may_have_arrived(db: sqlite3.Connection, turn: turns.Turn) -> bool:
    """Whether the turn's answer is a push that the last process may have sent: that is not repeated, and `stats` shows
    it as unknown.
    """
    sent = deliveries.of_turn(db, turn.id)
    if turn.state != "answered" or not sent or (sent[-1].kind, sent[-1].state) != ("push", "written"):
        return False
    deliveries.settle(db, sent[-1].id, "unknown", datetime.now(UTC))
    turns.deliver(db, turn.id, datetime.now(UTC))
    return True
