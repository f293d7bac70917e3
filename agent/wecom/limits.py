"""WeCom's sending limits: 30 messages a minute and 1,000 an hour per conversation, replies and pushes together
(protocol §13). A stream counts once, at its first frame; refreshes do not count."""

from collections import deque

PER_MINUTE, PER_HOUR = 30, 1000
CHATS_REMEMBERED = 10_000


class SendingLimits:
    """Sliding windows, one a conversation. Times are seconds of any one clock.

    Args:
        per_minute, per_hour: messages allowed in a window.
    """

    def __init__(self, per_minute: int = PER_MINUTE, per_hour: int = PER_HOUR) -> None:
        self._windows = ((60.0, per_minute), (3600.0, per_hour))
        self._sent: dict[str, deque[float]] = {}

    def wait(self, chat: str, now: float) -> float:
        """Seconds until `chat` may get another message; 0.0 when it may now."""
        sent = self._sent.get(chat)
        if not sent:
            return 0.0
        while sent and sent[0] <= now - self._windows[-1][0]:
            sent.popleft()
        waits = (sent[-allowed] + seconds - now for seconds, allowed in self._windows if len(sent) >= allowed)
        return max(0.0, *waits, 0.0)

    def take(self, chat: str, now: float) -> None:
        """Counts one message to `chat`."""
        sent = self._sent.pop(chat, None)
        if sent is None:
            sent = deque()
            if len(self._sent) >= CHATS_REMEMBERED:
                del self._sent[next(iter(self._sent))]  # the one that has been silent for longest
        sent.append(now)
        self._sent[chat] = sent
