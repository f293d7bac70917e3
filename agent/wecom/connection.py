"""The shell of a session: a socket after the other, the clock, and the reconnect loop (protocol §1–§5).

`Line` keeps one subscribed connection to WeCom. Incoming messages are handled where they arrive, in the transport's
callback: no reader task, no queue, so that nothing a handler does can delay an ack. Knows nothing of messages and
replies; it carries frames.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import WebSocketException

from . import frames
from .errors import (
    ConnectionLost,
    CredentialsRefused,
    Displaced,
    ReconnectExhausted,
    RequestFailed,
    RequestTimeout,
    WecomError,
)
from .frames import Frame
from .session import Callback, Ended, Request, Session, Settle, State, Subscribed, request_for
from .transport import DEFAULT_URL, FAILURES, Socket, close, explain, open_socket

RECONNECT_LEAST, RECONNECT_CAP = 0.1, 30.0
JITTER = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Where and how to connect; seconds throughout.

    `max_reconnect_attempts` counts attempts since the last subscribe ack; -1 is for ever, 0 never.
    `ca_file` adds the certificates of a private deployment to the system's.
    """

    bot_id: str
    secret: str
    url: str = DEFAULT_URL
    reconnect_interval: float = 1.0
    max_reconnect_attempts: int = -1
    heartbeat: float = 30.0
    request_timeout: float = 10.0
    ca_file: str | None = None


def backoff(interval: float, draw: Callable[[], float] = random.random) -> Iterator[float]:
    """Delays in seconds before the attempts in a row: `interval` doubling up to 30 s, each ±20 % (protocol §5).

    Never under 0.1 s: a gateway that accepts and drops at once must not make the process spin.
    """
    delay = min(max(interval, RECONNECT_LEAST), RECONNECT_CAP)
    while True:
        yield delay * (1 - JITTER + 2 * JITTER * draw())
        delay = min(delay * 2, RECONNECT_CAP)


class Line:
    """One bot's connection to WeCom, kept for as long as `run` runs.

    Args:
        settings: where and how.
        on_callback: called with each message or event frame, in the transport's callback: must return at once.
        on_state: called with "connecting", "subscribed" or "down" and a reason, likewise.
    """

    def __init__(
        self,
        settings: LineSettings,
        on_callback: Callable[[Frame], None],
        on_state: Callable[[str, str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_callback = on_callback
        self._on_state = on_state or (lambda state, reason: None)
        self._session: Session | None = None
        self._socket: Socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._ended: asyncio.Future[Ended] | None = None
        self._up_waiters: list[Callable[[], None]] = []
        self._closed: WecomError | None = None
        self.epoch = 0
        """Counts the connections that were subscribed; a reply belongs to one of them."""

    # --- what others ask for

    @property
    def subscribed(self) -> bool:
        return self._session is not None and self._session.state is State.SUBSCRIBED

    @property
    def closed(self) -> WecomError | None:
        """Why the line is down for good; None while it is up or will come back."""
        return self._closed

    def send(self, cmd: str, req_id: str, body: dict[str, Any], settle: Settle, seconds: float | None = None) -> None:
        """Sends a command; `settle(outcome, certain)` is called once with the ack's frame or a `WecomError`.

        The cheap way, without a task or a future: may call `settle` before it returns.
        """
        session = self._session
        request = request_for(cmd, req_id, body, seconds or self._settings.request_timeout, settle)
        if session is None or self._socket is None:
            settle(self._closed or ConnectionLost("not connected", written=False), True)
            return
        self._put(session, request)

    async def request(
        self, cmd: str, body: dict[str, Any], *, req_id: str | None = None, seconds: float | None = None
    ) -> Frame:
        """Sends a command and waits for its ack; requests on one `req_id` follow one another.

        Raises:
            ConnectionLost, RequestFailed: see there.
            RequestTimeout: no ack within `seconds`, by default the settings' `request_timeout`.
        """
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

        timeout = seconds or self._settings.request_timeout

        def settle(outcome: Frame | WecomError, certain: bool) -> None:
            if future.done():
                return
            if isinstance(outcome, RequestFailed) and not certain:  # it may be another frame that was refused
                outcome = RequestTimeout(cmd, timeout, (outcome.errcode, outcome.errmsg))
            if isinstance(outcome, Frame):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

        self.send(cmd, req_id or frames.new_req_id(cmd), body, settle, timeout)
        return await future

    async def ready(self) -> None:
        """Waits until the line is subscribed. Raises what closed it for good, if it is closed."""
        while not self.subscribed:
            if self._closed is not None:
                raise self._closed
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def wake(waiter: asyncio.Future[None] = future) -> None:
                if not waiter.done():
                    waiter.set_result(None)

            self.when_up(wake)
            try:
                await future
            finally:
                with contextlib.suppress(ValueError):  # it is still there when the wait was cancelled
                    self._up_waiters.remove(wake)

    def when_up(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once, at the next subscribe ack or when the line closes for good (see `closed`)."""
        if self._closed is not None:
            callback()
        else:
            self._up_waiters.append(callback)

    async def writable(self) -> None:
        """Waits until the socket's buffer has room: for those who send megabytes."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the line is lost: whoever writes next is told
                await self._socket.drain()

    async def run(self) -> None:
        """Connects, subscribes, and reconnects until cancelled.

        Raises:
            CredentialsRefused, Displaced, ReconnectExhausted: what ended it.
        """
        attempts, delays = 0, backoff(self._settings.reconnect_interval)
        try:
            while True:
                epoch = self.epoch
                failure = await self._connection()
                if self.epoch != epoch:  # only the subscribe ack resets the backoff
                    attempts, delays = 0, backoff(self._settings.reconnect_interval)
                attempts += 1
                if -1 < self._settings.max_reconnect_attempts < attempts:
                    raise ReconnectExhausted(self._settings.max_reconnect_attempts, failure) from failure
                delay = next(delays)
                _log.warning("%s; attempt %d in %.1f s", failure, attempts, delay)
                await asyncio.sleep(delay)
        except WecomError as error:
            self._closed = error
            raise
        finally:
            self._closed = self._closed or ConnectionLost("stopped", written=False)
            self._wake()

    # --- one connection

    async def _connection(self) -> WecomError:
        """Opens a connection, lives through it, and returns why it ended."""
        self._on_state("connecting", "")
        try:
            socket = await open_socket(self._settings.url, self._settings.ca_file)
        except FAILURES as error:
            reason = explain(error, self._settings.url)
            self._on_state("down", reason)
            return ConnectionLost(reason, written=False)
        loop = asyncio.get_running_loop()
        session = Session(
            self._settings.bot_id,
            self._settings.secret,
            heartbeat=self._settings.heartbeat,
            timeout=self._settings.request_timeout,
        )
        self._session, self._socket, self._ended = session, socket, loop.create_future()
        reason = "stopped"
        try:
            socket.on_lost = lambda why: self._end(Ended(ConnectionLost(why, written=False)))
            socket.on_message = lambda data: self._received(session, data)
            session.subscribe(time.monotonic())
            self._flush(session)
            ended = await self._ended
            reason = str(ended.error)
        finally:
            self._session = self._socket = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            socket.on_lost = None
            session.end(reason)
            self._on_state("down", reason)
            await close(socket)
        if ended.displaced:
            raise Displaced
        if isinstance(ended.error, CredentialsRefused):
            raise ended.error
        return ended.error

    def _received(self, session: Session, data: bytes) -> None:
        if session is not self._session:
            return
        event = session.receive(data, time.monotonic())
        self._flush(session)
        match event:
            case Callback(frame):
                try:
                    self._on_callback(frame)
                except Exception:  # an exception here would reach the transport and cost the line
                    _log.exception("a callback on req_id %r could not be taken", frame.req_id)
            case Subscribed():
                self.epoch += 1
                _log.info("subscribed to WeCom as %s (connection %d)", self._settings.bot_id, self.epoch)
                self._on_state("subscribed", "")
                self._wake()
            case Ended():
                self._end(event)

    def _put(self, session: Session, request: Request) -> None:
        session.send(request, time.monotonic())
        self._flush(session)

    def _flush(self, session: Session) -> None:
        """Writes what the session put out, and sees to it that its next deadline is met."""
        if session is not self._session or self._socket is None:
            return
        while session.outgoing:
            outgoing, session.outgoing = session.outgoing, []
            for index, message in enumerate(outgoing):
                try:
                    self._socket.write(message)
                except (WebSocketException, OSError, RuntimeError) as error:
                    session.unwritten(outgoing[index:])
                    self._end(Ended(ConnectionLost(f"cannot write: {error}", written=False)))
                    return
        if self._timer is not None:
            if session.next_at >= self._timer_at:
                return
            self._timer.cancel()
        self._timer_at = session.next_at
        delay = max(0.0, session.next_at - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick, session)

    def _tick(self, session: Session) -> None:
        self._timer = None
        if session is not self._session:
            return
        ended = session.tick(time.monotonic())
        if ended is not None:
            self._end(ended)
        else:
            self._flush(session)

    def _end(self, ended: Ended) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(ended)

    def _wake(self) -> None:
        waiters, self._up_waiters = self._up_waiters, []
        for waiter in waiters:
            waiter()
