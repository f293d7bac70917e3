"""Plays a `Stream` on a clock of its own against a pretend WeCom: no loop, no sleep."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.wecom import frames
from agent.wecom.errors import ConnectionLost, RequestFailed, RequestTimeout, WecomError
from agent.wecom.frames import Frame
from agent.wecom.limits import SendingLimits
from agent.wecom.stream import Address, Send, Stream

OK = Frame("", "R", {}, 0, "ok")
REQ, CHAT = "REQ", Address("chat", 2)


def refused(errcode: int, cmd: str = frames.RESPOND) -> RequestFailed:
    return RequestFailed(cmd, errcode, "refused")


def unanswered() -> RequestTimeout:
    return RequestTimeout(frames.RESPOND, 10.0)


def lost(*, written: bool) -> ConnectionLost:
    return ConnectionLost("gone", written=written)


def stream(**settings: Any) -> Stream:
    address = settings.pop("address", CHAT)
    return Stream(REQ, address, settings.pop("limits", None) or SendingLimits(), **settings)


@dataclass(frozen=True, slots=True)
class Sent:
    at: float
    cmd: str
    body: dict[str, Any]

    @property
    def part(self) -> dict[str, Any]:
        part: dict[str, Any] = self.body[self.body["msgtype"]]
        return part

    @property
    def content(self) -> str:
        content: str = self.part["content"]
        return content

    @property
    def finish(self) -> bool:
        return bool(self.part.get("finish"))

    @property
    def id(self) -> str:
        return str(self.part.get("id", ""))

    @property
    def pushed(self) -> bool:
        return self.cmd == frames.SEND


Answer = tuple[float, Frame | WecomError, bool]
Far = Callable[[Sent], Answer]


def at_once(_sent: Sent) -> Answer:
    return 0.0, OK, True


def after(seconds: float) -> Far:
    return lambda _sent: (seconds, OK, True)


def script(*outcomes: Frame | WecomError | Answer, rest: Far = at_once) -> Far:
    """The outcomes one after the other, then `rest`."""
    queue = list(outcomes)

    def far(sent: Sent) -> Answer:
        if not queue:
            return rest(sent)
        outcome = queue.pop(0)
        return outcome if isinstance(outcome, tuple) else (0.0, outcome, True)

    return far


@dataclass
class Play:
    """`inputs` are (seconds, what to do then); everything that left is in `sent`."""

    stream: Stream
    far: Far = at_once
    sent: list[Sent] = field(default_factory=list)
    now: float = 0.0
    _ack: tuple[float, Frame | WecomError, bool] | None = None

    def run(self, inputs: Iterable[tuple[float, Callable[[Stream], None]]] = (), until: float = 1e9) -> "Play":
        waiting: Iterator[tuple[float, Callable[[Stream], None]]] = iter(inputs)
        upcoming = next(waiting, None)
        for _ in range(1_000_000):
            action = self.stream.next(self.now)
            if isinstance(action, Send):
                sent = Sent(self.now, action.cmd, action.body)
                self.sent.append(sent)
                delay, outcome, certain = self.far(sent)
                self._ack = (self.now + delay, outcome, certain)
                continue
            times = [one[0] for one in (self._ack, upcoming) if one is not None]
            if action is not None:
                times.append(action)
            if not times or min(times) > until:
                self.now = max(self.now, until if until < 1e9 else self.now)
                return self
            self.now = max(self.now, min(times))
            if self._ack is not None and self._ack[0] <= self.now:
                _, outcome, certain = self._ack
                self._ack = None
                self.stream.settled(outcome, certain, self.now)
            elif upcoming is not None and upcoming[0] <= self.now:
                upcoming[1](self.stream)
                upcoming = next(waiting, None)
        raise AssertionError("the stream spins")

    @property
    def contents(self) -> list[str]:
        return [sent.content for sent in self.sent]

    @property
    def wire(self) -> int:
        """Bytes on the wire, each frame with its 14 bytes of WebSocket header."""
        return sum(len(frames.build(sent.cmd, REQ, sent.body)) + 14 for sent in self.sent)

    @property
    def shown(self) -> list[str]:
        """What people see in the end: each bubble's last content and each push, in the order of first frames."""
        bubbles: dict[str, str] = {}
        for index, sent in enumerate(self.sent):
            bubbles[sent.id or f"push {index}"] = sent.content
        return list(bubbles.values())


def show(text: str, reasoning: str = "") -> Callable[[Stream], None]:
    return lambda one: one.show(text, reasoning)


def finish(text: str, reasoning: str = "") -> Callable[[Stream], None]:
    return lambda one: one.finish(text, reasoning)


def tokens(
    text: str, size: int, per_second: float, start: float = 0.0
) -> Iterator[tuple[float, Callable[[Stream], None]]]:
    """`text` growing by `size` characters a token, and its end."""
    at = start
    for end in range(size, len(text) + size, size):
        yield at, show(text[:end])
        at += 1 / per_second
    yield at, finish(text)
