"""One growing answer: stream frames, their pace, and what happens when WeCom no longer takes them (protocol §9).

`Stream` is the state machine, without IO: it is asked what to send `next` and told how each frame was `settled`
(`reply_stream` is the shell that asks and tells). Rules it keeps:

- Each frame holds the whole text so far, within 20,480 bytes; the newest text wins; one frame is in flight.
- Every stream that was opened is finished, once, with visible text.
- The last character is held back until the finish, because a finish that equals the frame before it may be dropped.
- An old stream rolls over into a new one; one that WeCom refuses goes on as a push; what was pushed is never repeated.
- A closing frame whose outcome is unknown is repeated as it was: WeCom may have locked the bubble with just that text.
"""

import logging
import secrets
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import frames, split, thinking
from .errors import ConnectionLost, RequestFailed, RequestTimeout, WecomError
from .frames import Frame
from .limits import SendingLimits
from .pace import Pace
from .words import Words

CONTENT_LIMIT = 20480
FEEDBACK_ID_LIMIT = 256
LIFETIME = 540.0
REFRESH = 30.0
MAX_BUBBLES = 5

# With less room than this beside the text, the reasoning is not shown.
THINKING_LEAST = 64
# Room kept free in an unfinished bubble; a longer note takes more, up to its limit.
NOTE_ROOM, NOTE_LIMIT = 160, 2048
# A blank line, and the digits that the figure in a note may grow by.
NOTE_GROWTH = 12

FINISH_REPEATS = 5
FAILURE_REPEATS = 2
BUSY_DELAY, BUSY_DELAY_MAX = 5.0, 60.0

CONFLICT = 6000
ANTI_SPAM = 40201
TOO_FAST = 45009
GONE = (846604, 846605, 846608)
# A conversation that cannot be pushed to, perhaps because nobody has written in it yet (§12).
NOWHERE = (86201, 93001, 93006)

_log = logging.getLogger(__name__)


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


_CLOSING = (_Kind.FINISH, _Kind.ROLL_OVER)


@dataclass(frozen=True, slots=True)
class _Flight:
    """A frame on its way. Once it is accepted `told` is what people have read of the text, `prefix` how it goes on."""

    kind: _Kind
    content: str
    told: str = ""
    prefix: str = ""
    as_file: bool = False
    opening: bool = False


class Stream:
    """The state of one answer on one req_id. All times are seconds of one monotonic clock.

    Args:
        req_id: of the callback that is answered.
        address: where to push if the req_id no longer serves; None gives such an answer up.
        limits: the conversation's sending limits.
        lifetime: seconds after which a bubble is finished and a new one begun (§9.3).
        refresh: seconds after which a silent bubble is refreshed.
        feedback_id: asks for like and dislike buttons, at most 256 bytes.
        words: what the bubble says in its own name.
        later: whether other messages went out on this req_id before.
        first_id: the stream id of the first bubble; made up unless given.
        pushes: no stream is possible, as after a card's click (§8.2): nothing is shown before the finish, a push.

    Raises:
        ValueError: the feedback id is too long.
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
        pushes: bool = False,
    ) -> None:
        if feedback_id and split.size(feedback_id) > FEEDBACK_ID_LIMIT:
            raise ValueError(f"the feedback id {feedback_id!r} is longer than WeCom's {FEEDBACK_ID_LIMIT} bytes")
        self.req_id, self.address = req_id, address
        self.words = words or Words()
        self.stream_id = first_id or new_stream_id()
        self.text = self.thinking = ""
        self.final = False
        self.delivery: Delivery | None = None
        self._limits, self._pace = limits, Pace(refresh)
        self._lifetime = lifetime
        self._feedback_id, self._later = feedback_id, later
        self._flight: _Flight | None = None
        self._again: _Flight | None = None
        self._told = self._prefix = ""
        self._opened_at: float | None = None
        self._shown = self._agreed = ""
        self._full: str | None = None
        self._fits = False
        self._not_before = 0.0
        self._dirty = True
        self._repeats = self._failures = 0
        self._busy_delay = BUSY_DELAY
        self._bubbles = 0
        self._pushing, self._unknown, self._pushed = pushes, False, False
        self.pushes = pushes
        self._as_file = self._muted = self._censored = False
        # Of the open bubble: whether WeCom acked a frame, and whether it was counted as a message.
        self._known = self._counted = False

    # --- from the one who writes

    def show(self, text: str, reasoning: str = "") -> None:
        """The whole text and reasoning so far. Later calls replace earlier ones."""
        assert not self.final, "the answer is finished"
        text = thinking.escaped(text)
        if text != self.text or reasoning != self.thinking:
            self._pace.grew(text[len(self.text) :], reasoning[len(self.thinking) :])
            self._replace(text, reasoning)
            self._dirty = True

    def finish(self, text: str, reasoning: str = "") -> None:
        """The whole text; nothing more will come. Without anything visible it becomes a short sentence."""
        if self.final:
            return
        self._replace(thinking.escaped(text), reasoning)
        self.final = True

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
        if self._again is not None:
            return self._send(self._again, now)
        if self._opened_at is None:
            if self.final and self._bubbles and not split.visible(self._rest()):
                self._deliver(self._outcome())
                return None
            wait = self._wait_for_limit(now)
            if wait:
                return now + wait
            self._count(now)
            return self._send(self._finish() if self.final else _Flight(_Kind.FIRST, self._snapshot()), now)
        if self.final:
            return self._send(self._finish(), now)
        if now >= self._opened_at + self._lifetime:
            return self._send(self._roll_over(), now)
        at = self._pace.next_at(self._dirty)
        if now >= at:
            content = self._snapshot()
            if content != self._agreed or now >= self._pace.silent_at:
                return self._send(_Flight(_Kind.REFRESH, content), now)
            self._dirty = False
            at = self._pace.silent_at
        return min(at, self._opened_at + self._lifetime)

    def settled(self, outcome: Frame | WecomError, certain: bool, now: float) -> None:
        """How the frame in flight ended; `certain` as in `session.Request`."""
        flight, self._flight = self._flight, None
        if flight is None or self.delivery is not None:
            return
        match outcome:
            case RequestFailed():
                self._refused(flight, outcome, certain, now)
            case RequestTimeout():
                self._unanswered(flight, outcome)
            case ConnectionLost():
                self._lost(flight, outcome)
            case WecomError():
                self.close()
            case _:
                self._failures, self._busy_delay = 0, BUSY_DELAY
                self._known = self._known or certain
                self._agreed = flight.content
                if not certain and flight.kind in _CLOSING and self._repeats < 1:
                    self._repeats += 1  # this ack may be an older frame's; a closing frame may be repeated
                    self._again = flight
                else:
                    self._accepted(flight)

    # --- what the bubble shows

    def _replace(self, text: str, reasoning: str) -> None:
        if not text.startswith(self.text):
            self._full = None
        self.text, self.thinking = text, reasoning
        self._tell(self._told, self._prefix)

    def _tell(self, told: str, prefix: str) -> None:
        """People have read `told`; of a text that no longer begins so, everything is told anew."""
        if not self.text.startswith(told):
            told, prefix = told.rstrip(), ""
            if not self.text.startswith(told):
                told = ""
        self._told, self._prefix = told, prefix

    def _rest(self) -> str:
        return self.text[len(self._told) :]

    def _snapshot(self) -> str:
        """An unfinished bubble: without the last character, and with a note when it is full."""
        if self._muted:
            return self._agreed or thinking.block("")
        rest = self._rest()[:-1]
        if not split.visible(rest):
            return thinking.block(self.thinking)
        if split.size(self._prefix) + split.size(rest) <= CONTENT_LIMIT - NOTE_ROOM:
            return self._with_thinking(self._prefix + rest)
        note = split.head(self.words.growing.format(kilobytes=split.size(self.text) // 1024), NOTE_LIMIT)
        if self._full is None:  # found once: what comes later does not change it
            room = max(NOTE_ROOM, split.size(note) + NOTE_GROWTH)
            self._full = split.cut(rest, CONTENT_LIMIT - room, self._prefix).piece.rstrip()
        return f"{self._full}\n\n{note}"

    def _with_thinking(self, body: str) -> str:
        if self._muted or self._told or not self.thinking or self.thinking.isspace():
            return body
        room = CONTENT_LIMIT - 1 - split.size(body) - len(thinking.OPEN + thinking.CLOSE)
        return body if room < THINKING_LEAST else thinking.block(self.thinking, min(thinking.LIMIT, room)) + body

    def _noted(self, rest: str, note: str) -> split.Cut:
        """As much of `rest` as fits beside `note`."""
        note = "\n\n" + split.head(note, NOTE_LIMIT)
        one = split.cut(rest, CONTENT_LIMIT - split.size(note), self._prefix)
        return split.Cut(one.piece.rstrip() + note, one.taken, one.prefix)

    # --- what goes out

    def _send(self, flight: _Flight, now: float) -> Send:
        content, finish = flight.content, flight.kind in _CLOSING
        if finish and self._again is None and content == self._shown and split.size(content) < CONTENT_LIMIT:
            content += "\n"  # an identical finish may be dropped (§9.2)
        self._again = None
        stream: dict[str, Any] = {"id": self.stream_id, "finish": finish, "content": content}
        opening = self._opened_at is None
        if opening:
            self._opened_at = now
        if self._feedback_id and not self._known:
            stream["feedback"] = {"id": self._feedback_id}  # WeCom looks at a stream's first frame only
        self._flight = _Flight(flight.kind, content, flight.told, flight.prefix, flight.as_file, opening)
        self._dirty, self._shown = False, content
        self._pace.sent(content, now)
        return Send(frames.RESPOND, self.req_id, {"msgtype": "stream", "stream": stream})

    def _finish(self) -> _Flight:
        rest = self._rest()
        if not split.visible(rest):
            body = self.words.ended if self._bubbles else self.words.empty
            return _Flight(_Kind.FINISH, self._with_thinking(body), self.text)
        return self._piece(_Kind.FINISH, rest)

    def _piece(self, kind: _Kind, rest: str) -> _Flight:
        """The next bubble of a text that is complete: all of `rest`, a part, or a part and the word of a file."""
        one = split.cut(rest, CONTENT_LIMIT, self._prefix)
        if one.taken >= len(rest):
            content = self._with_thinking(one.piece) if kind is _Kind.FINISH else one.piece
            return _Flight(kind, content, self.text)
        if self._too_many(rest):
            return _Flight(kind, self._noted(rest, self.words.as_file).piece, self.text, as_file=True)
        return _Flight(kind, one.piece, self._told + rest[: one.taken], one.prefix)

    def _roll_over(self) -> _Flight:
        rest = self._rest()
        if self._muted or not split.visible(rest):
            return _Flight(_Kind.ROLL_OVER, self._with_thinking(self.words.working), self._told, self._prefix)
        one = split.seal(rest, self._prefix)
        content = f"{one.piece.rstrip()}\n\n{split.head(self.words.continued, NOTE_LIMIT)}"
        if split.size(content) > CONTENT_LIMIT - NOTE_ROOM:
            one = self._noted(rest, self.words.continued)
            content = one.piece
        return _Flight(_Kind.ROLL_OVER, self._with_thinking(content), self._told + rest[: one.taken], one.prefix)

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
        if split.visible(rest):
            flight = self._piece(_Kind.PUSH, rest)
        else:
            flight = _Flight(_Kind.PUSH, self.words.ended if self._bubbles else self.words.empty, self.text)
        self._count(now)
        self._flight = flight
        return Send(
            frames.SEND, frames.new_req_id(frames.SEND), push_body(self.address, flight.content, self._feedback_id)
        )

    def _too_many(self, rest: str) -> bool:
        """Whether a complete text would take more than five bubbles; once it does not, it stays so."""
        if not self._fits:
            if split.size(rest) > MAX_BUBBLES * CONTENT_LIMIT:
                return True
            pieces = split.split(self._prefix + rest, CONTENT_LIMIT)
            self._fits = self._bubbles + len(pieces) <= MAX_BUBBLES
        return not self._fits

    def _wait_for_limit(self, now: float) -> float:
        if self.address is None or self._counted:
            return 0.0
        return self._limits.wait(self.address.chat_id, now)

    def _count(self, now: float) -> None:
        if self.address is not None and not self._counted:
            self._limits.take(self.address.chat_id, now)
        self._counted = True

    # --- how it went

    def _accepted(self, flight: _Flight) -> None:
        if flight.kind in (_Kind.FIRST, _Kind.REFRESH):
            return
        self._tell(flight.told, flight.prefix)
        self._as_file = self._as_file or flight.as_file
        self._repeats = self._failures = 0
        self._bubbles += 1
        self._pushed = self._pushed or flight.kind is _Kind.PUSH
        if self.final and flight.kind is not _Kind.ROLL_OVER and not split.visible(self._rest()):
            self._deliver(self._outcome())
            return
        self._later, self._dirty, self._known, self._counted = True, True, False, False
        self._opened_at, self._shown, self._agreed, self._full = None, "", "", None
        self.stream_id = new_stream_id()

    def _outcome(self) -> Outcome:
        if self._unknown:
            return Outcome.UNKNOWN
        return Outcome.PUSHED if self._pushed else Outcome.ACKED

    def _refused(self, flight: _Flight, error: RequestFailed, certain: bool, now: float) -> None:
        if flight.kind is not _Kind.PUSH:
            if error.errcode == CONFLICT:
                if flight.opening and self._later and certain:
                    self._push_instead(error)
                else:
                    self._accepted(flight)
                return
            if error.errcode in GONE:
                self._push_instead(error)
                return
        if error.errcode == TOO_FAST:
            self._not_before = now + self._busy_delay
            self._busy_delay = min(self._busy_delay * 2, BUSY_DELAY_MAX)
            self._unopened(flight)
            return
        _log.warning("a %s frame was refused: %s", flight.kind.value, error)
        if error.errcode == ANTI_SPAM and (not self._muted or flight.kind in (_Kind.FINISH, _Kind.PUSH)):
            self._censor(flight, error)
            return
        self._failures += 1
        if self._failures <= FAILURE_REPEATS and error.errcode not in NOWHERE:
            self._not_before = now + self._failures
            self._unopened(flight)
        elif flight.kind is _Kind.PUSH:
            self._deliver(Outcome.FAILED, error.errcode)
        else:
            self._push_instead(error)

    def _censor(self, flight: _Flight, error: RequestFailed) -> None:
        """WeCom does not let the text through, now or later: nothing of it is shown any more (protocol §18)."""
        self._muted = True
        if flight.content == self._agreed:
            self._agreed = ""
        if flight.kind in (_Kind.FINISH, _Kind.PUSH):
            if self._censored:
                self._deliver(Outcome.FAILED, error.errcode)
                return
            self._censored = True
            self.text, self.thinking = self._told + self.words.refused, ""
            self._prefix = ""
        self._unopened(flight, repeat=False)

    def _unopened(self, flight: _Flight, *, repeat: bool = True) -> None:
        """The frame was not taken: one that opens a bubble opened nothing, one that closes it is repeated."""
        self._dirty = True
        if flight.opening:
            self._opened_at, self._shown = None, ""
        elif repeat and flight.kind in _CLOSING:
            self._again = flight

    def _push_instead(self, error: WecomError) -> None:
        _log.info("the stream on %s no longer serves (%s): the answer goes on as a push", self.req_id, error)
        self._pushing, self._counted = True, False
        self._failures = 0

    def _unanswered(self, flight: _Flight, error: RequestTimeout) -> None:
        _log.warning("a %s frame on %s: %s", flight.kind.value, self.req_id, error)
        self._dirty = True
        if flight.kind is _Kind.PUSH:
            self._unknown = True
            self._accepted(flight)
        elif flight.kind in _CLOSING:
            self._repeats += 1
            if self._repeats < FINISH_REPEATS:
                self._again = flight
            else:
                self._unknown = True
                self._accepted(flight)

    def _lost(self, flight: _Flight, error: ConnectionLost) -> None:
        self._dirty = True
        if not error.written:
            self._unopened(flight)
        elif flight.kind is _Kind.PUSH:
            self._unknown = True
            self._accepted(flight)
        elif flight.kind in _CLOSING:
            self._again = flight

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
