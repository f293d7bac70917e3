"""A chat's place in line: one turn at a time in a chat, in the order of arrival, chats in parallel."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(eq=False, slots=True)
class _Chat:
    running: "Place | None" = None
    waiting: "deque[Place]" = field(default_factory=deque)


class Places:
    """The lines of all chats. A chat without turns takes no memory."""

    def __init__(self) -> None:
        self._chats: dict[str, _Chat] = {}

    def take(self, chat: str, moved: Callable[[int], None] | None = None) -> "Place":
        """A place at the end of the chat's line, to be entered with `async with`.

        `moved(ahead)` is called whenever the number of turns before it changes, down to 0 when it is its turn.
        """
        line = self._chats.setdefault(chat, _Chat())
        place = Place(self, chat, moved)
        if line.running is None and not line.waiting:
            line.running = place
            place._go.set()
        else:
            line.waiting.append(place)
        return place

    def running(self, chat: str) -> "Place | None":
        """The turn that is being answered in `chat`."""
        line = self._chats.get(chat)
        return line.running if line is not None else None

    def leave(self, place: "Place") -> None:
        line = self._chats[place.chat]
        if line.running is place:
            line.running = line.waiting.popleft() if line.waiting else None
            if line.running is not None:
                line.running._go.set()
        else:
            line.waiting.remove(place)
        if line.running is None:
            del self._chats[place.chat]
            return
        for ahead, waiting in enumerate(line.waiting, start=1):
            if waiting.moved is not None:
                waiting.moved(ahead)

    def ahead(self, place: "Place") -> int:
        line = self._chats[place.chat]
        return 0 if line.running is place else 1 + line.waiting.index(place)


class Place:
    """One turn's place. `stop` is what `/stop` calls; whoever answers sets it."""

    def __init__(self, places: Places, chat: str, moved: Callable[[int], None] | None) -> None:
        self.chat, self.moved = chat, moved
        self.stop: Callable[[], None] | None = None
        self._places = places
        self._go = asyncio.Event()

    @property
    def ahead(self) -> int:
        """How many turns come before this one."""
        return self._places.ahead(self)

    async def __aenter__(self) -> Self:
        try:
            await self._go.wait()
        except asyncio.CancelledError:
            self._places.leave(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.leave(self)
