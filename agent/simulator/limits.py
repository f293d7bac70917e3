"""Sliding windows. They know when something happened, not what."""

from collections import deque


class Window:
    """Admits at most ``per_minute`` and ``per_hour`` in any 60 and 3600 seconds; 0 is no limit (protocol §13)."""

    __slots__ = ("_hour", "_minute")

    def __init__(self, per_minute: int, per_hour: int) -> None:
        self._minute: deque[float] | None = deque(maxlen=per_minute) if per_minute else None
        self._hour: deque[float] | None = deque(maxlen=per_hour) if per_hour else None

    def admit(self, now: float) -> bool:
        """Counts one at ``now``, or refuses and counts nothing."""
        # A full deque holds exactly the newest ``limit`` times, so its oldest alone decides.
        spans = [(times, span) for times, span in ((self._minute, 60.0), (self._hour, 3600.0)) if times is not None]
        if any(len(times) == times.maxlen and now - times[0] < span for times, span in spans):
            return False
        for times, _ in spans:
            times.append(now)
        return True
