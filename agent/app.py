"""The running bot: opens every resource, joins them, and closes them in order.

    data lock (the caller's) > store > model > line

Stopping goes the other way: no new turns, running ones get a drain time, the line closes, then the model, then the
store. Knows which part needs which; knows nothing of what any of them does.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import __version__, outbox
from agent.chat import words as wording
from agent.chat.artefacts import Artefacts
from agent.chat.assistant import Assistant
from agent.chat.attachments import Attachments
from agent.chat.conversation import Conversation
from agent.chat.prompts import Prompts
from agent.chat.restart import Restart
from agent.chat.turn import Turns
from agent.chat.workbench import Workbench
from agent.config import Settings
from agent.files.reader import Reader
from agent.health import Line
from agent.model.client import ModelClient
from agent.model.tokens import TokenCounter
from agent.store import Store, open_store, status
from agent.store.blobs import Blobs
from agent.wecom import WecomAIBotWsServer

DATABASE = "agent.db"
# How old the bot's word on itself may get, in seconds.
STATUS_INTERVAL = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bot:
    """An opened bot. `serve` runs it until it is told to stop or cannot go on."""

    settings: Settings
    store: Store
    server: WecomAIBotWsServer
    assistant: Assistant
    counter: TokenCounter
    state: "LineState"
    owed: Sequence[Callable[[WecomAIBotWsServer], Any]]

    async def serve(self) -> None:
        """Serves until `stop`.

        Raises:
            CredentialsRefused, Displaced, ReconnectExhausted: what ended it.
        """
        failed: list[Exception] = []
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(outbox.serve(self.store, self.server)),
                group.create_task(self.state.report(self.store)),
                group.create_task(self._resume()),
                group.create_task(asyncio.to_thread(self.counter.load)),
            ]
            try:
                await self.server.run_async()
            except Exception as error:
                failed.append(error)
            finally:
                for task in beside:
                    task.cancel()
        await self.state.say(self.store)
        if failed:
            raise failed[0]

    def stop(self) -> None:
        """Begins the end; `serve` returns when it is reached."""
        self.server.stop()

    async def _resume(self) -> None:
        """Finishes what an earlier run owes, as soon as the line is up: what comes then waits behind it."""
        await self.state.up.wait()
        for resume in self.owed:
            self.server.start(resume(self.server))


class LineState:
    """What the line last said of itself; for `check`, `stats` and health questions."""

    def __init__(self, settings: Settings) -> None:
        self._fixed = {"pid": os.getpid(), "version": __version__, "bot_id": settings.bot_id}
        self._fixed["model"] = settings.openai_model
        self.state, self.reason, self.since = "starting", "", datetime.now(UTC)
        self.subscribed_at: datetime | None = None
        self.connections = 0
        self.up = asyncio.Event()
        self._changed = asyncio.Event()

    def take(self, state: str, reason: str) -> None:
        """The server's state handler."""
        self.state, self.reason, self.since = state, reason, datetime.now(UTC)
        if state == "subscribed":
            self.connections += 1
            self.subscribed_at = self.since
            self.up.set()
        self._changed.set()

    def line(self) -> Line:
        return Line(self.state, self.reason, self.since.isoformat(timespec="milliseconds"), self.connections)

    async def say(self, store: Store) -> None:
        values = {
            **self._fixed,
            "state": self.state,
            "reason": self.reason,
            "connections": self.connections,
            "subscribed_at": self.subscribed_at.isoformat() if self.subscribed_at else None,
        }
        await store.run(status.put, values, datetime.now(UTC))

    async def report(self, store: Store) -> None:
        """Writes the state down at each change, and every ten seconds as a sign of life."""
        while True:
            self._changed.clear()
            await self.say(store)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_INTERVAL):
                    await self._changed.wait()


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, on_state: Callable[[str, str], None] | None = None) -> AsyncIterator[Bot]:
    """The bot with everything that it needs, opened in order and closed in order.

    The caller holds the data folder's lock. Raises StoreError, ValueError for a model that cannot be configured so.
    """
    words = wording.of(settings.language)
    state = LineState(settings)

    def take(name: str, reason: str) -> None:
        state.take(name, reason)
        if on_state is not None:
            on_state(name, reason)

    async with (
        open_store(settings.data_dir / DATABASE) as store,
        ModelClient(settings.openai_base_url or None, settings.openai_api_key or None) as model,
    ):
        await store.run(outbox.abandon, datetime.now(UTC))
        blobs = Blobs(settings.data_dir)
        await asyncio.to_thread(blobs.prepare)
        prompts = Prompts(
            settings.prompts_dir,
            group=settings.prompt_group,
            single=settings.prompt_single,
            language=settings.language,
        )
        for problem in prompts.problems():  # broken files are logged by the look at them
            if problem.startswith("AGENT_"):
                _log.warning("%s", problem)
        counter = TokenCounter()
        attachments = Attachments(store, blobs, Reader())
        workbench = Workbench(settings, store, blobs, attachments, model, counter.count)
        conversation = Conversation(settings, store, prompts, model, counter, words, attachments, workbench)
        answering = Turns(store, conversation, attachments, Artefacts(store, blobs, words), words)
        assistant = Assistant(settings, store, prompts, answering, words, settings.bot_id)
        server = line_of(settings, words)
        server.set_message_handler(assistant.handle)
        server.set_late_handler(assistant.keep)
        server.set_event_handler(assistant.handle_event)
        server.set_state_handler(take)
        yield Bot(settings, store, server, assistant, counter, state, await Restart(settings, store, answering).owed())


def line_of(settings: Settings, words: wording.Words) -> WecomAIBotWsServer:
    """The server of these settings, without handlers."""
    return WecomAIBotWsServer(
        settings.bot_name,
        settings.bot_id,
        settings.bot_secret,
        settings.ws_url,
        settings.reconnect_interval,
        settings.max_reconnect_attempts,
        settings.heartbeat_interval,
        settings.request_timeout,
        ca_file=str(settings.ca_file) if settings.ca_file else None,
        words=words.stream,
        stream_lifetime=settings.stream_lifetime,
    )


def database(settings: Settings) -> Path:
    """The database file of these settings."""
    return settings.data_dir / DATABASE
