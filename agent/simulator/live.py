"""The browser's live feed: everything that changes, with bubbles coalesced so that the newest state wins.

It knows the events' JSON and how much a slow browser may fall behind; the socket is the caller's.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from agent.simulator.bubbles import Bubble
from agent.simulator.wire import Json
from agent.simulator.world import News, World

PAUSE = 0.05  # seconds between batches; a person sees no finer steps
BEHIND = 1000  # trace entries, and other events, that may wait for one browser; older ones are dropped


class Feed:
    """One browser's view. ``run`` sends until it is cancelled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bubbles: dict[str, Bubble] = {}
        self._frames: deque[Json] = deque(maxlen=BEHIND)
        self._others: deque[Json] = deque(maxlen=BEHIND)
        self._news = asyncio.Event()

    def snapshot(self) -> Json:
        world = self._world
        return {
            "type": "snapshot",
            "bot": bot(world),
            "chats": [chat.as_json() for chat in world.chats.by_id.values()],
            "violations": world.violation_count,
        }

    async def run(self, send: Callable[[Json], Awaitable[None]]) -> None:
        await send(self.snapshot())
        self._world.watchers.append(self._hear)
        try:
            while True:
                await self._news.wait()
                await asyncio.sleep(PAUSE)
                self._news.clear()
                bubbles, self._bubbles = self._bubbles, {}
                for waiting in (self._frames, self._others):
                    while waiting:
                        await send(waiting.popleft())
                for bubble in bubbles.values():
                    await send({"type": "message", "chat": bubble.chat, "message": bubble.message().as_json()})
        finally:
            self._world.watchers.remove(self._hear)

    def _hear(self, kind: News, value: Any) -> None:
        match kind:
            case "message":
                self._bubbles[value.id] = value
            case "trace":
                self._frames.append({"type": "trace", "entry": value._asdict()})
            case "violation":
                self._others.append({"type": "violation", **violation(value)})
            case "bot":
                self._others.append({"type": "bot", **bot(self._world)})
            case "chat":
                self._others.append({"type": "chat", "chat": value.as_json()})
        self._news.set()


def bot(world: World) -> Json:
    return {"id": world.bot_id, "name": world.bot_name, "state": world.bot_state}


def violation(found: Any) -> Json:
    return {
        "rule": found.rule,
        "section": found.section,
        "detail": found.detail,
        "conn": found.conn,
        "at": found.at,
    }
