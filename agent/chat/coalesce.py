"""Calling something at most ten times a second, however often it is asked for: tokens come faster than frames go."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

# A little under the pace of stream frames, so that each of these finds the newest text.
INTERVAL = 0.1


class Coalesced:
    """`changed()` calls `show` at once if it was not called lately, else soon; nothing is called after the block."""

    def __init__(self, show: Callable[[], None], interval: float = INTERVAL) -> None:
        self._show, self._interval = show, interval
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    def changed(self) -> None:
        if self._timer is None:
            now = self._loop.time()
            if now >= self._next:
                self._run()
            else:
                self._timer = self._loop.call_at(self._next, self._run)

    def _run(self) -> None:
        self._timer = None
        self._next = self._loop.time() + self._interval
        self._show()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
