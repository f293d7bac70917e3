"""A line on a pretend gateway, for one test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.wecom.connection import Line, LineSettings
from agent.wecom.errors import WecomError
from agent.wecom.frames import Frame


class Running:
    """A line that runs, what came over it, and what it said of itself."""

    def __init__(self, url: str, **settings: Any) -> None:
        settings = {"reconnect_interval": 0.1, "request_timeout": 5.0, **settings}
        self.callbacks: list[Frame] = []
        self.states: list[tuple[str, str]] = []
        self.line = Line(LineSettings("bot", "secret", url, **settings), self.callbacks.append, self._changed)
        self._told = asyncio.Event()

    def _changed(self, state: str, reason: str) -> None:
        self.states.append((state, reason))
        self._told.set()

    async def told(self, state: str, times: int) -> str:
        """The reason with which the line has said `state` so many times."""
        async with asyncio.timeout(15.0):
            while len(reasons := [reason for one, reason in self.states if one == state]) < times:
                self._told.clear()
                await self._told.wait()
        return reasons[times - 1]

    @asynccontextmanager
    async def up(self) -> AsyncIterator["Running"]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.line.run())
            async with asyncio.timeout(15.0):
                await self.line.ready()
            try:
                yield self
            finally:
                task.cancel()

    async def ends(self) -> WecomError:
        with pytest.raises(WecomError) as caught:
            async with asyncio.timeout(15.0):
                await self.line.run()
        return caught.value
