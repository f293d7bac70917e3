"""How many messages each user has open with the bot: at most three (protocol §6.3).

What becomes of the fourth is not spelled out; here the platform holds it back until one of the three is over
(invented). A message counts from its callback until its first stream has finished or another reply was sent.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Open:
    expires: float


class Interactions(Generic[T]):
    """``T`` is what waits. Expiry is looked at when somebody asks, never by a timer for each message."""

    def __init__(self, limit: int, expiry: float) -> None:
        self._limit = limit
        self._expiry = expiry
        self._open: dict[str, dict[str, _Open]] = {}  # user -> req_id
        self._waiting: dict[str, deque[T]] = {}  # user -> held back, oldest first

    def is_full(self, user: str, now: float) -> bool:
        """Whether a further message of ``user`` has to wait: for a free place, or behind those that wait already."""
        if self._waiting.get(user):
            return True
        return not self._has_room(user, now)

    def begin(self, user: str, req_id: str, now: float) -> None:
        self._open.setdefault(user, {})[req_id] = _Open(now + self._expiry)

    def extend(self, user: str, req_id: str, until: float) -> None:
        """A stream was opened: the interaction lasts until its end, at the latest ``until``."""
        if (entry := self._open.get(user, {}).get(req_id)) is not None:
            entry.expires = until

    def end(self, user: str, req_id: str) -> bool:
        """Whether this ended one."""
        entries = self._open.get(user)
        if entries is None or entries.pop(req_id, None) is None:
            return False
        if not entries:
            del self._open[user]
        return True

    def hold(self, user: str, item: T) -> None:
        self._waiting.setdefault(user, deque()).append(item)

    def release(self, user: str, now: float) -> T | None:
        """The next held-back item of ``user`` if there is a place for it."""
        waiting = self._waiting.get(user)
        if not waiting or not self._has_room(user, now):
            return None
        item = waiting.popleft()
        if not waiting:
            del self._waiting[user]
        return item

    def users_waiting(self) -> list[str]:
        return list(self._waiting)

    def _has_room(self, user: str, now: float) -> bool:
        entries = self._open.get(user)
        if not self._limit or entries is None or len(entries) < self._limit:
            return True
        for req_id in [req_id for req_id, entry in entries.items() if entry.expires <= now]:
            del entries[req_id]
        return len(entries) < self._limit
