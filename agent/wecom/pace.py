"""How often a growing bubble may be refreshed: soon while it is short, rarer as it grows (protocol §9.2).

Each frame repeats the whole text, so n frames of a text of n bytes cost n² on the wire. The pace keeps the sum in
proportion to the text: an answer of 20 KB costs under 4 MB however fast its words and the acks come.
"""

from .split import size

# No source asks for a minimal interval; 100 ms to 1 s is practice (§9.2). The acks, 0.2-0.55 s each, slow it further.
INTERVAL = 0.12

# What may be spent in bytes on the wire: a base, and so many times the bytes that the answer has grown by. Of the
# reasoning only the end is shown, in frames of 4 KB.
COST_BASE, COST_FACTOR, THINKING_FACTOR = 250_000, 140, 10

# The envelope, the body's names and ids, and the WebSocket header of one frame.
ENVELOPE = 220


def cost(content: str) -> int:
    """Bytes on the wire of one stream frame with `content`; line ends and quotes take two in JSON."""
    return ENVELOPE + size(content) + sum(content.count(char) for char in '\n"\\\t')


class Pace:
    """One answer's budget. Times are seconds of one monotonic clock.

    Args:
        refresh: seconds after which a silent bubble is refreshed whatever it costs.
    """

    def __init__(self, refresh: float) -> None:
        self._refresh = refresh
        self._allowed, self._spent, self._last = COST_BASE, 0, 0
        self._sent_at = 0.0

    def grew(self, text: str, thinking: str) -> None:
        """The answer has grown by `text`, its reasoning by `thinking`."""
        self._allowed += COST_FACTOR * size(text) + THINKING_FACTOR * size(thinking)

    def sent(self, content: str, now: float) -> None:
        """A frame with `content` left."""
        self._last = cost(content)
        self._spent += self._last
        self._sent_at = now

    def next_at(self, news: bool) -> float:
        """When the next frame may leave; `news`: whether it would show anything new."""
        if news and self._spent + self._last <= self._allowed:
            return self._sent_at + INTERVAL
        return self.silent_at

    @property
    def silent_at(self) -> float:
        """When the bubble has been silent for too long."""
        return self._sent_at + self._refresh
