"""The shell of a `Stream`: it sends what the state wants sent, on a line that comes and goes.

Driven by callbacks (an ack, a timer, the line's return), without a task of its own: a hundred growing answers cost a
hundred small objects.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from . import split
from .connection import Line
from .errors import WecomError
from .frames import Frame
from .stream import NOWHERE, Delivery, Outcome, Send, Stream

# How long the end of a cancelled answer may take.
CLOSING_GRACE = 3.0


class ReplyStream:
    """A growing answer on a line: `show` as often as you like, then `await finish`.

    As an async context manager it finishes the bubble on every path: with what was shown, and a visible note when the
    body raised or was cancelled (where nothing was shown, because it comes as a push, a cancelled one stays owed). Then
    its end is waited for only a few seconds; what is not settled by then goes on by itself for as long as the line
    lives.

    Args:
        line: the connection.
        stream: the state.
        send_file: called with the whole text when it is too long for bubbles; sends it as a file, True if that worked.
        last_resort: called with the whole text when it can neither be streamed nor pushed; True if that worked.
    """

    def __init__(
        self,
        line: Line,
        stream: Stream,
        send_file: Callable[[str], Awaitable[bool]] | None = None,
        last_resort: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._line, self._stream = line, stream
        self._send_file, self._last_resort = send_file, last_resort
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._file_sent = False
        self._waiting_for_line = self._pumping = False
        self._done: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    @property
    def stream_id(self) -> str:
        """The id of the bubble that is open now."""
        return self._stream.stream_id

    @property
    def delivery(self) -> Delivery | None:
        """None until the answer is finished and settled."""
        return self._stream.delivery

    def open(self) -> None:
        """Shows WeCom's thinking animation at once."""
        self._pump()

    def show(self, text: str, thinking: str = "") -> None:
        """Shows the whole text so far, and the reasoning in the native fold; returns at once, newest text wins."""
        if not self._stream.final:
            self._stream.show(text, thinking)
            self._pump()

    async def finish(self, text: str, thinking: str = "") -> Delivery:
        """Shows the whole text for good and waits until WeCom has it, over as many bubbles as it takes."""
        self._stream.finish(text, thinking)
        self._pump()
        delivery = await asyncio.shield(self._done)
        if delivery.as_file and self._send_file is not None and not self._file_sent:
            self._file_sent = True
            await self._send_file(self._stream.text)
        if delivery.errcode in NOWHERE and self._last_resort is not None and await self._last_resort(self._stream.text):
            return Delivery(Outcome.PUSHED, 1)
        return delivery

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        words, text, thinking = self._stream.words, self._stream.text, self._stream.thinking
        try:
            if error is None:
                await self.finish(text, thinking)
        except asyncio.CancelledError as cancelled:
            error = cancelled
            raise
        finally:
            if self._stream.pushes and not self._stream.final and isinstance(error, asyncio.CancelledError):
                self._stream.close()
            elif error is not None:
                note = words.stopped if isinstance(error, asyncio.CancelledError) else words.failed
                text = f"{text}\n\n{note}" if split.visible(text) else note
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSING_GRACE):
                        await self.finish(text, thinking)

    def _pump(self) -> None:
        """Asks the state what to do and does it, until it has to wait for something."""
        if self._pumping or self._waiting_for_line:
            return
        self._pumping = True
        try:
            while self._stream.delivery is None:
                if self._line.closed is not None:
                    self._stream.close()
                elif not self._line.subscribed:
                    self._waiting_for_line = True
                    self._line.when_up(self._line_up)
                    return
                else:
                    action = self._stream.next(time.monotonic())
                    if not isinstance(action, Send):
                        self._wake_at(action)
                        return
                    self._line.send(action.cmd, action.req_id, action.body, self._settled)
        finally:
            self._pumping = False
            self._settle_delivery()

    def _settled(self, outcome: Frame | WecomError, certain: bool) -> None:
        self._stream.settled(outcome, certain, time.monotonic())
        self._pump()

    def _line_up(self) -> None:
        self._waiting_for_line = False
        self._pump()

    def _wake_at(self, at: float | None) -> None:
        if self._timer is not None:
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump()

    def _settle_delivery(self) -> None:
        if self._stream.delivery is not None:
            self._wake_at(None)
            if not self._done.done():
                self._done.set_result(self._stream.delivery)
