"""One connection's protocol state, without IO: subscribe, liveness, acks (protocol §1–§4).

Bytes of messages go in through `receive`, time through `tick`; events come back as return values and the messages to
write collect in `outgoing`. Requests are settled through a callback, each exactly once: by an ack, a timeout, or the
end of the connection. Knows nothing of sockets, of reconnecting, or of what a callback means.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from . import frames
from .errors import BadFrame, ConnectionLost, CredentialsRefused, RequestFailed, RequestTimeout, WecomError
from .frames import Frame

NOT_SUBSCRIBED = 846609
INVALID_CREDENTIALS = 853000
MISSING_FIELD = 40058

# A ping is asked again after a sixth of the heartbeat, at most 5 s (acks take 0.2-0.55 s, §9.4), then given up as soon:
# a line that dies right after a ping's ack is noticed 30 + 5 + 5 s later.
PATIENCE_SHARE = 1 / 6
PATIENCE_MIN, PATIENCE_MAX = 0.2, 5.0

# A late ack is waited for this many timeouts long; after that it is taken for lost.
LATE_ACK_TIMEOUTS = 3

_log = logging.getLogger(__name__)

Settle = Callable[["Frame | WecomError", bool], None]


@dataclass(slots=True, eq=False)
class Request:
    """A command that waits for its ack.

    `settle(outcome, certain)` is called once. `certain` is False when an earlier frame on the same req_id timed out, so
    that this ack may have been meant for that one (protocol §9.4).
    """

    cmd: str
    req_id: str
    data: bytes
    timeout: float
    settle: Settle
    deadline: float = 0.0
    hint: tuple[int, str] | None = None
    written: bool = True


@dataclass(slots=True)
class _Lane:
    """Requests on one req_id: one in flight, the others behind it.

    `owed` acks of timed-out frames may still come; as long as they may, an ack can be another frame's (§9.4).
    """

    waiting: Request | None = None
    queue: deque[Request] = field(default_factory=deque)
    owed: int = 0
    owed_until: float = 0.0


class State(Enum):
    NEW = "new"
    SUBSCRIBING = "subscribing"
    SUBSCRIBED = "subscribed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscribe ack came: the session is ready."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A message or an event of a person."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Ended:
    """The session cannot go on. `error` says why; `displaced` when another connection took the bot over."""

    error: WecomError
    displaced: bool = False


Event = Subscribed | Callback | Ended


class Session:
    """The state of one connection from its opening to its end.

    Args:
        bot_id, secret: the credentials of the long connection.
        heartbeat: seconds between pings.
        timeout: seconds until an unacked subscribe ends the session.
    """

    def __init__(self, bot_id: str, secret: str, *, heartbeat: float = 30.0, timeout: float = 10.0) -> None:
        self._credentials = {"bot_id": bot_id, "secret": secret}
        self._heartbeat = heartbeat
        self._patience = min(max(heartbeat * PATIENCE_SHARE, PATIENCE_MIN), PATIENCE_MAX)
        self._timeout = timeout
        self.state = State.NEW
        self.outgoing: list[bytes] = []
        self._subscribe_id = ""
        self._lanes: dict[str, _Lane] = {}
        self._asked = 0
        self._alive_at = self._asked_at = self._ping_at = self._deadline = 0.0
        self.next_at = float("inf")
        """When `tick` wants to be called next, or earlier: acks that came meanwhile do not move it."""

    # --- from the caller

    def subscribe(self, now: float) -> None:
        """Puts the subscribe frame out; it is the first frame of a connection (§2)."""
        assert self.state is State.NEW
        self.state = State.SUBSCRIBING
        self._subscribe_id = frames.new_req_id(frames.SUBSCRIBE)
        self._deadline = self.next_at = now + self._timeout
        self.outgoing.append(frames.build(frames.SUBSCRIBE, self._subscribe_id, dict(self._credentials)))

    def send(self, request: Request, now: float) -> None:
        """Sends `request`, or queues it behind the one in flight on the same req_id."""
        if self.state is not State.SUBSCRIBED:
            request.settle(ConnectionLost("not subscribed", written=False), True)
            return
        lane = self._lanes.get(request.req_id)
        if lane is None:
            lane = self._lanes[request.req_id] = _Lane()
        if lane.waiting is None:
            self._put(lane, request, now)
        else:
            lane.queue.append(request)

    def unwritten(self, messages: list[bytes]) -> None:
        """The socket did not take these of the `outgoing` messages: it is closed, and so is the session."""
        self.state = State.ENDED
        refused = {id(message) for message in messages}
        for lane in self._lanes.values():
            if lane.waiting is not None and id(lane.waiting.data) in refused:
                lane.waiting.written = False

    def end(self, reason: str) -> None:
        """Settles every waiter: the connection is gone."""
        self.state = State.ENDED
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            if lane.waiting is not None:
                lane.waiting.settle(ConnectionLost(reason, written=lane.waiting.written), True)
            for request in lane.queue:
                request.settle(ConnectionLost(reason, written=False), True)

    # --- from the socket

    def receive(self, data: bytes, now: float) -> Event | None:
        """Takes one message of the socket. A frame that cannot be read is logged and skipped."""
        try:
            frame = frames.parse(data)
        except BadFrame as error:
            _log.warning("skipped a frame of %d bytes that cannot be read: %s", len(data), error)
            return None
        self._alive(now)
        if frame.cmd in (frames.MESSAGE, frames.EVENT):
            return self._callback(frame)
        if frame.cmd and frame.cmd != frames.PONG:
            _log.info("ignored a frame with the unknown cmd %r", frame.cmd)
            return None
        lane = self._lanes.get(frame.req_id)
        if lane is not None:
            return self._acked(frame, lane, now)
        if self.state is State.SUBSCRIBING and frame.req_id in (self._subscribe_id, ""):
            return self._subscribe_acked(frame, now)
        return self._orphan(frame) if frame.errcode else None

    def tick(self, now: float) -> Ended | None:
        """Does what is due at `now`: timeouts, pings, and the end of a line that no longer answers."""
        self.next_at = float("inf")
        ended = self._tick(now)
        if self.state is State.SUBSCRIBING:
            self._wake_by(self._deadline)
        elif self.state is State.SUBSCRIBED:
            self._wake_by(self._ping_at)
            for lane in self._lanes.values():
                self._wake_by(lane.waiting.deadline if lane.waiting is not None else lane.owed_until)
        return ended

    # --- inside

    def _tick(self, now: float) -> Ended | None:
        if self.state is State.SUBSCRIBING:
            if now >= self._deadline:
                return self._lost(f"no subscribe ack within {self._timeout:g} s")
            return None
        if self.state is not State.SUBSCRIBED:
            return None
        for req_id, lane in list(self._lanes.items()):
            self._expire(req_id, lane, now)
        if now < self._ping_at:
            return None
        if self._asked == 2:
            return self._lost(f"half-open: nothing came for {now - self._alive_at:.1f} s, two pings unanswered")
        if not self._asked:
            self._asked_at = now
        self._asked += 1
        self._ping_at = now + self._patience
        self.outgoing.append(frames.build(frames.PING, frames.new_req_id(frames.PING)))
        return None

    def _wake_by(self, at: float) -> None:
        if at < self.next_at:
            self.next_at = at

    def _put(self, lane: _Lane, request: Request, now: float) -> None:
        lane.waiting = request
        request.deadline = now + request.timeout
        self._wake_by(request.deadline)
        self.outgoing.append(request.data)

    def _alive(self, now: float) -> None:
        self._alive_at = now
        if self._asked:
            self._asked = 0
            self._ping_at = self._asked_at + self._heartbeat

    def _callback(self, frame: Frame) -> Event | None:
        if self.state not in (State.SUBSCRIBING, State.SUBSCRIBED):  # a callback may overtake the subscribe ack
            return None
        event = frame.body.get("event")
        if isinstance(event, dict) and event.get("eventtype") == "disconnected_event":
            self.state = State.ENDED
            return Ended(ConnectionLost("displaced by another connection", written=False), displaced=True)
        return Callback(frame)

    def _subscribe_acked(self, frame: Frame, now: float) -> Event | None:
        if not frame.req_id and not frame.errcode:
            return None
        if frame.errcode in (INVALID_CREDENTIALS, MISSING_FIELD):
            self.state = State.ENDED
            return Ended(CredentialsRefused(frame.errcode, frame.errmsg))
        if frame.errcode:
            return self._lost(f"subscribe was answered with errcode {frame.errcode}: {frame.errmsg!r}")
        self.state = State.SUBSCRIBED
        self._ping_at = now + self._heartbeat
        self._wake_by(self._ping_at)
        return Subscribed()

    def _acked(self, frame: Frame, lane: _Lane, now: float) -> Ended | None:
        request = lane.waiting
        if frame.errcode == NOT_SUBSCRIBED:
            ended = self._unsubscribed(frame)  # first, so that what the waiter sends again waits for the next session
            if request is not None:
                lane.waiting = None
                request.settle(ConnectionLost("errcode 846609, not subscribed", written=False), True)
            return ended
        if request is None:  # the ack of a frame that had timed out
            lane.owed -= 1
        else:
            lane.waiting = None
            if lane.queue and self.state is State.SUBSCRIBED:
                self._put(lane, lane.queue.popleft(), now)
            if lane.owed:
                # Every ack may be one frame late now; only a pause tells that none is missing any more.
                lane.owed_until = now + request.timeout * LATE_ACK_TIMEOUTS
            outcome = RequestFailed(request.cmd, frame.errcode, frame.errmsg) if frame.errcode else frame
            request.settle(outcome, lane.owed == 0)
        if lane.waiting is None and not lane.queue and lane.owed <= 0:
            del self._lanes[frame.req_id]
        return None

    def _unsubscribed(self, frame: Frame) -> Ended:
        return self._lost(f"the subscription is gone (errcode 846609: {frame.errmsg!r})")

    def _orphan(self, frame: Frame) -> Ended | None:
        """An error for a ping, a frame that was given up, or one whose req_id WeCom left out (§1.1)."""
        if frame.errcode == NOT_SUBSCRIBED:
            return self._unsubscribed(frame)
        unacked = [lane.waiting for lane in self._lanes.values() if lane.waiting is not None]
        suspect = max(unacked, key=lambda request: request.deadline - request.timeout, default=None)
        if not frame.req_id and suspect is not None:
            suspect.hint = (frame.errcode or 0, frame.errmsg)
        _log.warning(
            "an ack that belongs to no request: errcode %s %r, req_id %r; the newest frame without ack is %s on %s",
            frame.errcode,
            frame.errmsg,
            frame.req_id,
            suspect.cmd if suspect else None,
            suspect.req_id if suspect else None,
        )
        return None

    def _expire(self, req_id: str, lane: _Lane, now: float) -> None:
        request = lane.waiting
        if request is not None and now >= request.deadline:
            lane.owed += 1
            lane.owed_until = now + request.timeout * LATE_ACK_TIMEOUTS
            lane.waiting = None
            if lane.queue:
                self._put(lane, lane.queue.popleft(), now)
            request.settle(RequestTimeout(request.cmd, request.timeout, request.hint), True)
        if now >= lane.owed_until:
            lane.owed = 0
        if lane.waiting is None and not lane.owed and self._lanes.get(req_id) is lane:
            del self._lanes[req_id]

    def _lost(self, reason: str) -> Ended:
        self.state = State.ENDED
        return Ended(ConnectionLost(reason, written=False))


def request_for(cmd: str, req_id: str, body: dict[str, Any] | None, timeout: float, settle: Settle) -> Request:
    """A request with its frame already built."""
    return Request(cmd, req_id, frames.build(cmd, req_id, body), timeout, settle)
