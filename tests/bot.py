"""The whole bot in a test: app, real store, real sockets; the far side is the simulator with its scripted model."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import app
from agent.config import Settings
from agent.simulator import Message, Simulator


@dataclass(frozen=True, slots=True)
class Play:
    """A running bot and its far side."""

    sim: Simulator
    bot: app.Bot
    settings: Settings

    async def ask(self, text: str, user: str = "zhangsan", chat: str | None = None, within: float = 20.0) -> Message:
        """Types a message and waits for the (last) bubble of its answer."""
        sent = self.sim.gateway.say(user, text, chat)
        assert sent.delivered, sent.why
        return (await self.sim.gateway.answered(sent, within))[-1]

    async def idle(self) -> None:
        """Waits until no message is being handled: what became of an answer is stored right after its last ack."""
        while tasks := list(self.bot.server._tasks):
            await asyncio.wait(tasks)

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database holds once nothing is under way."""
        await self.idle()
        return await self.bot.store.run(lambda db: [tuple(row) for row in db.execute(sql, values)])

    def asked(self, number: int = -1) -> list[dict[str, Any]]:
        """The messages of a request to the model, the last one unless told."""
        body: list[dict[str, Any]] = self.sim.script.requests[number].body["messages"]
        return body


def settings_for(sim: Simulator, folder: Path, **changes: Any) -> Settings:
    known: dict[str, Any] = {
        "bot_id": sim.bot_id,
        "bot_secret": sim.secret,
        "bot_name": sim.bot_name,
        "ws_url": sim.ws_url,
        "reconnect_interval": 50,
        "openai_base_url": sim.model_url,
        "openai_api_key": "test",
        "openai_model": "scripted",
        "data_dir": folder,
    }
    return Settings(**(known | changes))


@contextlib.asynccontextmanager
async def running(sim: Simulator, folder: Path, **changes: Any) -> AsyncIterator[Play]:
    """A bot that serves; stopped as by Ctrl-C at the end."""
    settings = settings_for(sim, folder, **changes)
    async with app.opened(settings) as bot, asyncio.TaskGroup() as group:
        serving = group.create_task(bot.serve())
        await sim.gateway.subscribed(10)
        try:
            yield Play(sim, bot, settings)
        finally:
            bot.stop()
            await asyncio.wait([serving])
