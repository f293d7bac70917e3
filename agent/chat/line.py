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

    def take(self, chat: str, moved: Callable[[int], None] | None = None, *, user: str = "", turn: int = 0) -> "Place":
        """A place at the end of the chat's line for `turn` of `user`, to be entered with `async with`.

        `moved(ahead)` is called whenever the number of turns before it changes, down to 0 when it is its turn.
        """
        line = self._chats.setdefault(chat, _Chat())
        place = Place(self, chat, moved, user, turn)
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

    def waiting(self, chat: str, user: str) -> "tuple[Place, ...]":
        """The places in which turns of `user` wait in `chat`, in their order."""
        line = self._chats.get(chat)
        return tuple(place for place in line.waiting if place.user == user) if line is not None else ()

    def leave(self, place: "Place") -> None:
        """Gives the place up; a second time it does nothing."""
        line = self._chats.get(place.chat)
        if line is None or (line.running is not place and place not in line.waiting):
            return
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
    """One turn's place. Whoever answers sets `stop`, which interrupts that; `withdrawn` says that it need not begin."""

    def __init__(
        self, places: Places, chat: str, moved: Callable[[int], None] | None, user: str = "", turn: int = 0
    ) -> None:
        self.chat, self.moved, self.user, self.turn = chat, moved, user, turn
        self.stop: Callable[[], None] | None = None
        self.withdrawn = False
        self._places = places
        self._go = asyncio.Event()

    @property
    def ahead(self) -> int:
        """How many turns come before this one."""
        return self._places.ahead(self)

    def end(self) -> None:
        """What `/stop` does: interrupts the answer, or lets one that waits go in at once, withdrawn."""
        if self.stop is not None:
            self.stop()
            return
        self.withdrawn = True
        if self._places.running(self.chat) is not self:
            self._places.leave(self)
            self._go.set()

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
