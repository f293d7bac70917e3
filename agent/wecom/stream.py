"""One growing answer: stream frames, their pace, and what happens when WeCom no longer takes them (protocol §9).

`Stream` is the state machine, without IO: it is asked what to send `next` and told how each frame was `settled`
(`reply_stream` is the shell that asks and tells). Rules it keeps:

- Each frame holds the whole text so far, within 20,480 bytes; the newest text wins; one frame is in flight.
- Every stream that was opened is finished, once, with visible text.
- The last characters are held back until the finish, because a finish that equals the frame before it may be dropped.
- An old stream rolls over into a new one; one that WeCom refuses goes on as a push; what was pushed is never repeated.
"""

import logging
import secrets
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import frames, split
from .errors import ConnectionLost, RequestFailed, RequestTimeout, WecomError
from .frames import Frame
from .limits import SendingLimits

CONTENT_LIMIT = 20480
LIFETIME = 540.0
REFRESH = 30.0
MAX_BUBBLES = 5

# No source asks for a minimal interval; 100 ms to 1 s is practice (§9.2). The acks, 0.2-0.55 s each, slow it further.
INTERVAL = 0.12
# Bytes on the wire may grow to this many times the text's, so that an answer of 20 KB costs under 4 MB.
COST_BASE, COST_FACTOR = 250_000, 160

# Of the reasoning, only its end is shown.
THINKING_LIMIT = 4096
THINKING_LEAST = 64
NOTE_ROOM = 160

FINISH_REPEATS = 5
FAILURE_REPEATS = 2
BUSY_DELAY, BUSY_DELAY_MAX = 5.0, 60.0

CONFLICT = 6000
ANTI_SPAM = 40201
TOO_FAST = 45009
GONE = (846604, 846605, 846608)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What a bubble says in its own name, in the language of the deployment."""

    empty: str = "（没有内容）"
    continued: str = "（未完，下一条继续）"
    ended: str = "（以上是全部内容）"
    working: str = "仍在处理，稍后在下一条继续……"
    growing: str = "……后面还有，正在继续生成（已 {kilobytes} KB）"
    as_file: str = "内容较长，全文见随后的 Markdown 文件。"
    refused: str = "企业微信的内容安全策略没有放行这条回答。"
    stopped: str = "（已停止）"
    failed: str = "处理这条消息时出错了，请稍后再试。"


ENGLISH = Words(
    empty="(no content)",
    continued="(continued in the next message)",
    ended="(that is all)",
    working="Still working; continued in the next message…",
    growing="…more is coming ({kilobytes} KB so far)",
    as_file="This answer is long: the whole text follows as a Markdown file.",
    refused="WeCom's content policy did not let this answer through.",
    stopped="(stopped)",
    failed="Something went wrong with this message; please try again later.",
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an answer goes if it has to be pushed: `chat_type` 1 single, 2 group, 0 unknown (protocol §12)."""

    chat_id: str
    chat_type: int = 0


class Outcome(Enum):
    """How an answer ended. UNKNOWN: written, but no ack came (§9.4). OWED: the line closed before that."""

    ACKED = "acked"
    PUSHED = "pushed"
    UNKNOWN = "unknown"
    FAILED = "failed"
    OWED = "owed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an answer: over how many bubbles it went, and whether a file with the whole is to follow."""

    outcome: Outcome
    bubbles: int
    errcode: int | None = None
    as_file: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """A command to send now."""

    cmd: str
    req_id: str
    body: dict[str, Any]


class _Kind(Enum):
    FIRST = "first"
    REFRESH = "refresh"
    ROLL_OVER = "roll over"
    FINISH = "finish"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class _Flight:
    kind: _Kind
    content: str
    taken: int = 0
    prefix: str = ""


def think_block(thinking: str, limit: int = THINKING_LIMIT) -> str:
    """The native thinking fold (§9.6) with the end of `thinking`; without text it shows WeCom's animation.

    A raw `<` inside could swallow the answer, so it is replaced by its full-width form.
    """
    shown = thinking.strip().replace("<", "＜")
    if split.size(shown) > limit:
        shown = "…" + split.tail(shown, limit - 3)
    return f"<think>{shown}</think>"


class Stream:
    """The state of one answer on one req_id. All times are seconds of one monotonic clock.

    Args:
        req_id: of the callback that is answered.
        address: where to push if the req_id no longer serves; None gives such an answer up.
        limits: the conversation's sending limits.
        lifetime: seconds after which a bubble is finished and a new one begun (§9.3).
        feedback_id: asks for like and dislike buttons, at most 256 bytes.
        later: whether other messages went out on this req_id before.
        first_id: the stream id of the first bubble; made up unless given.
    """

    def __init__(
        self,
        req_id: str,
        address: Address | None,
        limits: SendingLimits,
        *,
        lifetime: float = LIFETIME,
        refresh: float = REFRESH,
        feedback_id: str | None = None,
        words: Words | None = None,
        later: bool = False,
        first_id: str | None = None,
    ) -> None:
        self.req_id, self.address = req_id, address
        self.words = words or Words()
        self.stream_id = first_id or new_stream_id()
        self.text = self.thinking = ""
        self.final = False
        self.delivery: Delivery | None = None
        self._limits = limits
        self._lifetime, self._refresh = lifetime, refresh
        self._feedback_id, self._later = feedback_id, later
        self._flight: _Flight | None = None
        self._pushing = False
        self._offset, self._prefix = 0, ""
        self._opened_at: float | None = None
        self._shown = ""
        self._sent_at = self._not_before = 0.0
        self._dirty = True
        self._spent = self._grown = 0
        self._repeats = self._failures = 0
        self._busy_delay = BUSY_DELAY
        self._bubbles = 0
        self._unknown = self._pushed = False
        self._as_file = self._muted = self._censored = False
        self._known = False  # whether WeCom acked a frame of the open bubble

    # --- from the one who writes

    def show(self, text: str, thinking: str = "") -> None:
        """The whole text and reasoning so far. Later calls replace earlier ones."""
        assert not self.final, "the answer is finished"
        if text != self.text or thinking != self.thinking:
            self._grown += split.size(text[len(self.text) :]) + split.size(thinking[len(self.thinking) :])
            self.text, self.thinking = text, thinking
            self._dirty = True

    def finish(self, text: str, thinking: str = "") -> None:
        """The whole text; nothing more will come. Without anything visible it becomes a short sentence."""
        if self.final:
            return
        self.text, self.thinking, self.final = text, thinking, True

    def close(self) -> None:
        """The line is closed for good: what was not sent is owed."""
        if self.delivery is None:
            self._deliver(Outcome.OWED)

    # --- from the shell

    def next(self, now: float) -> Send | float | None:
        """What to send now, or the time at which to ask again, or None: after the next input. The line must be up."""
        if self.delivery is not None or self._flight is not None:
            return None
        if now < self._not_before:
            return self._not_before
        if self._pushing:
            return self._next_push(now)
        if self._opened_at is None:
            if self.final and self._bubbles and not split.visible(self._rest()):
                self._deliver(self._outcome())
                return None
            wait = self._wait_for_limit(now)
            if wait:
                return now + wait
        if self.final:
            return self._send_finish(now)
        if self._opened_at is None:
            self._count(now)
            return self._send(_Flight(_Kind.FIRST, self._snapshot()), now)
        if now >= self._opened_at + self._lifetime:
            return self._send_roll_over(now)
        at = self._refresh_at(now)
        if now >= at:
            return self._send(_Flight(_Kind.REFRESH, self._snapshot()), now)
        return min(at, self._opened_at + self._lifetime)

    def settled(self, outcome: Frame | WecomError, certain: bool, now: float) -> None:
        """How the frame in flight ended; `certain` as in `session.Request`."""
        flight, self._flight = self._flight, None
        if flight is None or self.delivery is not None:
            return
        match outcome:
            case RequestFailed():
                self._refused(flight, outcome, now)
            case RequestTimeout():
                self._unanswered(flight, outcome)
            case ConnectionLost():
                self._lost(flight, outcome)
            case WecomError():
                self.close()
            case _:
                self._failures, self._busy_delay, self._known = 0, BUSY_DELAY, True
                if not certain and flight.kind is _Kind.FINISH and self._repeats < 1:
                    self._repeats += 1  # this ack may be an older frame's; a finish may be repeated
                else:
                    self._accepted(flight)

    # --- what the bubble shows

    def _rest(self) -> str:
        return self.text[self._offset :]

    def _snapshot(self) -> str:
        """An unfinished bubble: without the last character, and with a note when it is full."""
        rest = self._rest()[:-1]
        body = self._prefix + rest if split.visible(rest) else ""
        if not body:
            return think_block(self.thinking)
        if split.size(body) > CONTENT_LIMIT - NOTE_ROOM:
            body = split.cut(rest, CONTENT_LIMIT - NOTE_ROOM, self._prefix).piece
            body += "\n\n" + self.words.growing.format(kilobytes=split.size(self.text) // 1024)
            return body
        return self._with_thinking(body)

    def _with_thinking(self, body: str) -> str:
        if not self.thinking.strip() or self._offset:
            return body
        room = CONTENT_LIMIT - split.size(body) - len("<think></think>")
        return body if room < THINKING_LEAST else think_block(self.thinking, min(THINKING_LIMIT, room)) + body

    def _refresh_at(self, now: float) -> float:
        at = self._sent_at + self._refresh
        if self._dirty and not self._muted and self._spent + len(self._shown) <= COST_BASE + COST_FACTOR * self._grown:
            at = min(at, self._sent_at + INTERVAL)
        return at

    # --- what goes out

    def _send(self, flight: _Flight, now: float) -> Send:
        self._flight = flight
        finish = flight.kind in (_Kind.FINISH, _Kind.ROLL_OVER)
        content = flight.content
        if finish and content == self._shown:
            content += "\n"  # an identical finish may be dropped (§9.2)
        stream: dict[str, Any] = {"id": self.stream_id, "finish": finish, "content": content}
        if self._opened_at is None:
            self._opened_at = now
        if self._feedback_id and not self._known:
            stream["feedback"] = {"id": self._feedback_id}  # WeCom looks at a stream's first frame only
        self._dirty = False
        self._shown, self._sent_at = content, now
        self._spent += split.size(content)
        return Send(frames.RESPOND, self.req_id, {"msgtype": "stream", "stream": stream})

    def _send_finish(self, now: float) -> Send:
        rest = self._rest()
        if self._opened_at is None:
            self._count(now)
        if not split.visible(rest):
            body = self.words.ended if self._bubbles else self.words.empty
            return self._send(_Flight(_Kind.FINISH, self._with_thinking(body), len(rest)), now)
        one = split.cut(rest, CONTENT_LIMIT, self._prefix)
        if one.taken >= len(rest):
            return self._send(_Flight(_Kind.FINISH, self._with_thinking(one.piece), one.taken), now)
        if self._too_many(rest):
            self._as_file = True
            one = split.cut(rest, CONTENT_LIMIT - NOTE_ROOM, self._prefix)
            return self._send(_Flight(_Kind.FINISH, f"{one.piece}\n\n{self.words.as_file}", len(rest)), now)
        return self._send(_Flight(_Kind.FINISH, one.piece, one.taken, one.prefix), now)

    def _send_roll_over(self, now: float) -> Send:
        rest = self._rest()
        if not split.visible(rest):
            return self._send(_Flight(_Kind.ROLL_OVER, think_block(self.thinking) + self.words.working), now)
        one = split.seal(rest, self._prefix)
        if split.size(one.piece) > CONTENT_LIMIT - NOTE_ROOM:
            one = split.cut(rest, CONTENT_LIMIT - NOTE_ROOM, self._prefix)
        content = f"{one.piece.rstrip()}\n\n{self.words.continued}"
        return self._send(_Flight(_Kind.ROLL_OVER, content, one.taken, one.prefix), now)

    def _next_push(self, now: float) -> Send | float | None:
        if not self.final:
            return None
        if self.address is None:
            self._deliver(Outcome.FAILED, GONE[1])
            return None
        wait = self._wait_for_limit(now)
        if wait:
            return now + wait
        rest = self._rest()
        if not split.visible(rest):
            rest = self.words.ended if self._bubbles else self.words.empty
            self.text = self.text[: self._offset] + rest
        one = split.cut(rest, CONTENT_LIMIT, self._prefix)
        if one.taken < len(rest) and self._too_many(rest):
            self._as_file = True
            one = split.cut(rest, CONTENT_LIMIT - NOTE_ROOM, self._prefix)
            one = split.Cut(f"{one.piece}\n\n{self.words.as_file}", len(rest))
        self._count(now)
        self._flight = _Flight(_Kind.PUSH, one.piece, one.taken, one.prefix)
        return Send(frames.SEND, frames.new_req_id(frames.SEND), push_body(self.address, one.piece, self._feedback_id))

    def _too_many(self, rest: str) -> bool:
        if self._bubbles or split.size(rest) <= CONTENT_LIMIT:
            return False
        return len(split.split(self._prefix + rest, CONTENT_LIMIT)) > MAX_BUBBLES

    def _wait_for_limit(self, now: float) -> float:
        return self._limits.wait(self.address.chat_id, now) if self.address is not None else 0.0

    def _count(self, now: float) -> None:
        if self.address is not None:
            self._limits.take(self.address.chat_id, now)

    # --- how it went

    def _accepted(self, flight: _Flight) -> None:
        if flight.kind in (_Kind.FIRST, _Kind.REFRESH):
            return
        self._offset += flight.taken
        self._prefix = flight.prefix
        self._repeats = self._failures = 0
        self._bubbles += 1
        self._pushed = self._pushed or flight.kind is _Kind.PUSH
        if self.final and flight.kind is not _Kind.ROLL_OVER and not split.visible(self._rest()):
            self._deliver(self._outcome())
            return
        self._later, self._dirty, self._known = True, True, False
        self._opened_at, self._shown = None, ""
        self._spent = self._grown = 0
        self.stream_id = new_stream_id()

    def _outcome(self) -> Outcome:
        if self._unknown:
            return Outcome.UNKNOWN
        return Outcome.PUSHED if self._pushed else Outcome.ACKED

    def _refused(self, flight: _Flight, error: RequestFailed, now: float) -> None:
        closing = flight.kind in (_Kind.FINISH, _Kind.ROLL_OVER)
        opening = self._sent_at == self._opened_at and flight.kind is not _Kind.PUSH
        if error.errcode == CONFLICT and flight.kind is not _Kind.PUSH:
            if opening and self._later:
                self._push_instead(error)
            else:
                self._accepted(flight)
            return
        if error.errcode == TOO_FAST:
            self._not_before = now + self._busy_delay
            self._busy_delay = min(self._busy_delay * 2, BUSY_DELAY_MAX)
            self._reopen(opening)
            return
        if error.errcode in GONE and flight.kind is not _Kind.PUSH:
            self._push_instead(error)
            return
        _log.warning("a %s frame was refused: %s", flight.kind.value, error)
        self._failures += 1
        if error.errcode == ANTI_SPAM:
            self._muted = True
            if closing or flight.kind is _Kind.PUSH:
                if self._censored:
                    self._deliver(Outcome.FAILED, error.errcode)
                self._censored = True
                self.text, self.thinking = self.text[: self._offset] + self.words.refused, ""
        elif flight.kind is _Kind.PUSH:
            self._deliver(Outcome.FAILED, error.errcode)
        elif self._failures > FAILURE_REPEATS:
            self._push_instead(error)
        else:
            self._not_before = now + self._failures
        self._reopen(opening)

    def _reopen(self, opening: bool) -> None:
        """A refused first frame opened nothing."""
        self._dirty = True
        if opening and self._flight is None:
            self._opened_at, self._shown = None, ""

    def _push_instead(self, error: WecomError) -> None:
        _log.info("the stream on %s no longer serves (%s): the answer goes on as a push", self.req_id, error)
        self._pushing = True
        self._failures = 0

    def _unanswered(self, flight: _Flight, error: RequestTimeout) -> None:
        _log.warning("a %s frame on %s: %s", flight.kind.value, self.req_id, error)
        self._dirty = True
        if flight.kind is _Kind.PUSH:
            self._unknown = True
            self._accepted(flight)
        elif flight.kind in (_Kind.FINISH, _Kind.ROLL_OVER):
            self._repeats += 1
            if self._repeats >= FINISH_REPEATS:
                self._unknown = True
                self._accepted(flight)

    def _lost(self, flight: _Flight, error: ConnectionLost) -> None:
        self._dirty = True
        if flight.kind is not _Kind.PUSH:
            if not error.written:
                self._reopen(self._sent_at == self._opened_at)
        elif error.written:
            self._unknown = True
            self._accepted(flight)

    def _deliver(self, outcome: Outcome, errcode: int | None = None) -> None:
        self.delivery = Delivery(outcome, self._bubbles, errcode, self._as_file)


def new_stream_id() -> str:
    """A stream id that no other stream has."""
    return f"stream_{time.time_ns() // 1_000_000}_{secrets.token_hex(4)}"


def push_body(address: Address, content: str, feedback_id: str | None = None) -> dict[str, Any]:
    """A Markdown push (protocol §12)."""
    markdown: dict[str, Any] = {"content": content}
    if feedback_id:
        markdown["feedback"] = {"id": feedback_id}
    return addressed(address, {"msgtype": "markdown", "markdown": markdown})


def addressed(address: Address, body: dict[str, Any]) -> dict[str, Any]:
    """`body` with the fields that say where a push goes."""
    kind = {"chat_type": address.chat_type} if address.chat_type else {}
    return {"chatid": address.chat_id, **kind, **body}
