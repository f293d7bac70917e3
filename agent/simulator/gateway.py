"""The gateway: a WebSocket server over the rules, and what tests and the playground call.

The server here owns sockets and timers and decides nothing; the rules know neither. Acks leave at the end of the loop
iteration in which their commands were read, so commands that arrived together were in flight together.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from agent.simulator import people, rules, streams
from agent.simulator.bubbles import Bubble, Message
from agent.simulator.chats import Chat
from agent.simulator.faults import Faults, nonsense
from agent.simulator.media import Medium
from agent.simulator.people import Part, Quote, Sent
from agent.simulator.trace import TraceEntry
from agent.simulator.violations import RULES, Violation
from agent.simulator.wire import Json
from agent.simulator.world import Drop, Freeze, News, Send, World

_log = logging.getLogger(__name__)

TICK = 0.05  # seconds between looks at the clock
BACKLOG_LIMIT = 64 * 1024 * 1024  # bytes that a bot may leave unread before its socket is cut
# Bots send no Origin; a browser always does, and only a page of this machine may speak to a loopback server.
_ORIGINS = (None, re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?"))

Content = bytes | Path | tuple[bytes | Path, str]  # a medium: bytes or a file, or one of both with its name


class Gateway:
    """People write and click through it; what the bot does shows in ``messages``, ``trace`` and ``violations``.

    A chat is the userid of a single chat (or ``user:<userid>``) or the chatid of a group.
    """

    def __init__(self, world: World, now: Callable[[], float]) -> None:
        self.world = world
        self.now = now
        self._server: Server | None = None
        self._sockets: dict[int, ServerConnection] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._group: asyncio.TaskGroup | None = None
        self._clock: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._answers: dict[str, list[asyncio.Future[None]]] = {}
        self._conditions: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.faults = Faults(
            {
                "drop": self._drop,
                "lose_subscription": self._lose_subscription,
                "freeze": partial(self._freeze, True),
                "thaw": partial(self._freeze, False),
                "garbage": self._garbage,
                "redeliver": self._redeliver,
                "forget_requests": world.callbacks.forget,
                "expire_streams": self._expire_streams,
                "inject": self._inject,
            }
        )
        world.faults = self.faults
        world.watchers.append(self._heard)

    # -- server ----------------------------------------------------------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        """Listens on ``host`` and ``port`` (0: any free one) and returns the port. OSError when it is taken."""
        self._loop = asyncio.get_running_loop()
        self.world.wake = self._wake
        self._server = await serve(
            self._serve,
            host,
            port,
            process_request=self._greet,
            origins=[Origin(o) if isinstance(o, str) else o for o in _ORIGINS],
            compression=None,
            ping_interval=None,
            close_timeout=1,
            max_size=self.world.options.frame_limit,
            server_header=None,
        )
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    def start(self, group: asyncio.TaskGroup) -> None:
        """Lets time pass: until ``stop`` the clock's task runs in ``group``."""
        self._group = group
        self._clock = group.create_task(self._watch_clock(), name="simulator clock")

    def stop(self) -> None:
        self._group = None
        if self._clock is not None:
            self._clock.cancel()

    async def close(self) -> None:
        """Ends every socket with 1001 (frozen ones by a reset) and records what was left unfinished."""
        self.world.wake = lambda: None
        self._closing.set()
        if self._server is not None:
            for conn in list(self.world.connections.values()):
                if conn.frozen:
                    self._sockets[conn.number].transport.abort()
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        waiting = [future for futures in self._answers.values() for future in futures]
        for future in [*waiting, *(future for _, future in self._conditions)]:
            if not future.done():
                future.set_exception(ConnectionError("the gateway was closed while this was awaited"))
        for violation in self._unfinished():
            self.world.violate(violation.rule, violation.detail, violation.conn, violation.at)
        self.world.uploads.close()
        if self.world.violation_count:
            first = "; ".join(map(str, self.world.violations[:5]))
            _log.warning("the bot broke %d rules of the protocol, the first: %s", self.world.violation_count, first)

    async def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        how = self.faults.refused_connection()
        if not how:
            return None
        if how == "reset":
            connection.transport.abort()
        elif how == "stall":
            await self._closing.wait()  # or the opening handshake's own timeout
        return connection.respond(503, "refused by a fault on demand\n")

    async def _serve(self, socket: ServerConnection) -> None:
        peer = socket.remote_address[0] if socket.remote_address else "?"
        conn = self.world.opened(peer, self.now())
        self._sockets[conn.number] = socket
        try:
            while True:
                data = await socket.recv()
                if not conn.frozen:
                    rules.receive(self.world, conn, data, self.now())
        except ConnectionClosed:
            pass
        finally:
            del self._sockets[conn.number]
            self.world.closed(conn)

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            rules.tick(self.world, self.now())

    def _wake(self) -> None:
        assert self._loop is not None
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        outbox, self.world.outbox = self.world.outbox, []
        for output in outbox:
            match output:
                case Send(delay=0):
                    self._write(output)
                case Send():
                    assert self._loop is not None
                    self._loop.call_later(output.delay, self._write, output)
                case Drop():
                    self._end(output)
                case Freeze():
                    self._hold(output)

    def _write(self, output: Send) -> None:
        socket = self._sockets.get(output.conn.number)
        if output.settles:
            self.world.settle(output.conn, output.settles)
        if socket is None or output.conn.frozen:
            return
        for _ in range(output.copies):
            broadcast((socket,), output.data)
        if socket.transport.get_write_buffer_size() > BACKLOG_LIMIT:
            _log.warning("connection %d leaves %d bytes unread; it is cut", output.conn.number, BACKLOG_LIMIT)
            socket.transport.abort()

    def _end(self, output: Drop) -> None:
        socket = self._sockets.get(output.conn.number)
        if socket is None:
            return
        if output.code is None or output.conn.frozen or self._group is None:
            socket.transport.abort()
        else:
            self._group.create_task(socket.close(output.code), name="simulator close")

    def _hold(self, output: Freeze) -> None:
        socket = self._sockets.get(output.conn.number)
        if socket is not None:
            if output.on:
                socket.transport.pause_reading()
            else:
                socket.transport.resume_reading()

    # -- people ----------------------------------------------------------------------------------------------------

    def say(
        self,
        user: str,
        text: str,
        chat: str | None = None,
        *,
        quote: str | Quote | None = None,
        mention: bool = True,
    ) -> Sent:
        """``user`` types ``text``: to the bot alone, or in the group ``chat``, where it begins with "@Bot " unless
        ``mention`` is False (then the bot hears nothing). ``quote`` is the id of a message."""
        return self.send(user, "text", text, chat=chat, quote=quote, mention=mention)

    def send(
        self,
        user: str,
        msgtype: str,
        *contents: str | Content | Medium,
        chat: str | None = None,
        quote: str | Quote | None = None,
        mention: bool = True,
    ) -> Sent:
        """``user`` sends one text (for voice its transcript), one medium, or for mixed several of both in order.

        A medium is bytes, a path, or either with its name. A path is read when the bot downloads it, and its file must
        stay until then. ValueError for contents that do not fit the type, KeyError for an unknown quoted message.
        """
        parts = [self._part(msgtype, content) for content in contents]
        single = msgtype in people.KINDS and msgtype != "mixed"
        texts = sum(isinstance(part, str) for part in parts)
        if not parts or (single and (len(parts) > 1 or bool(texts) != (msgtype in ("text", "voice")))):
            raise ValueError(f"a {msgtype} cannot be made of {len(parts)} contents with {texts} texts")
        if isinstance(quote, str):
            quote = people.quote_of(self.world, self.world.bubbles[quote])
        where = people.find_chat(self.world, chat, user)
        return people.send(self.world, where, user, msgtype, parts, self.now(), quote=quote, mention=mention)

    def _part(self, msgtype: str, content: str | Content | Medium) -> Part:
        if isinstance(content, str | Medium):
            return content
        data, name = content if isinstance(content, tuple) else (content, "")
        if not name and isinstance(data, Path):
            name = data.name
        kind = "image" if msgtype == "mixed" else msgtype
        medium = self.world.shelf.put(kind, name, data, self.now())
        if kind in ("file", "video") and medium.size > people.FILE_LIMIT:
            raise ValueError(f"{name!r} has {medium.size} bytes; people can send {people.FILE_LIMIT} (protocol §6.1)")
        return medium

    def group(self, chatid: str, title: str = "", members: Iterable[str] = (), *, has_bot: bool = True) -> Chat:
        """Makes a group or adds to it. Without the bot, pushes are refused with 93001."""
        chat = self.world.chats.group(chatid, title, members)
        chat.has_bot = has_bot
        self.world.tell("chat", chat)
        return chat

    def enter(self, user: str, *, again: bool = False) -> Sent:
        """``user`` opens the single chat: an event once a day, or each time with ``again``."""
        return people.enter(self.world, user, self.now(), again=again)

    def click(self, user: str, message_id: str, key: str, selected: Mapping[str, Sequence[str]] | None = None) -> Sent:
        """``user`` presses what has ``key`` on a card; ``selected`` maps question keys to option ids (None: the card's
        own). KeyError for an unknown message."""
        return people.click(self.world, user, self.world.bubbles[message_id], key, selected, self.now())

    def feedback(self, user: str, message_id: str, type: int, content: str = "", reasons: Sequence[int] = ()) -> Sent:
        """1 like, 2 dislike, 3 withdrawn. KeyError for an unknown message."""
        return people.feedback(self.world, user, self.world.bubbles[message_id], type, content, reasons, self.now())

    # -- what happened ---------------------------------------------------------------------------------------------

    def messages(self, chat: str) -> list[Message]:
        """What a person sees in ``chat``, in first-frame order; nothing for an unknown chat."""
        found = self.world.chats.find(chat)
        return [bubble.message() for bubble in found.log.values()] if found else []

    def message(self, message_id: str) -> Message:
        """KeyError for one that is unknown or no longer kept."""
        return self.world.bubbles[message_id].message()

    @property
    def trace(self) -> Sequence[TraceEntry]:
        return self.world.trace.entries

    @property
    def violations(self) -> list[Violation]:
        return self.world.violations

    def check(self) -> list[Violation]:
        """Everything that the bot did wrong so far, streams that it has not finished yet included."""
        return [*self.world.violations, *self._unfinished()]

    def _unfinished(self) -> list[Violation]:
        now = self.now()
        return [
            Violation(
                "unfinished-stream",
                RULES["unfinished-stream"],
                f"stream {bubble.stream_id!r} in {bubble.chat} is still open after {now - bubble.created:.1f} s",
                bubble.conn,
                now,
            )
            for bubble in self.world.open_streams.values()
            if not bubble.excused
        ]

    def media_bytes(self, media_id: str) -> bytes:
        """The content of what the bot uploaded or a person sent. KeyError when it is not kept."""
        medium = self.world.shelf.get(media_id)
        if medium is None:
            raise KeyError(media_id)
        return medium.path.read_bytes()

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def subscribed(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - what a test reads best
        """Returns once a bot is subscribed. TimeoutError."""
        await self.until(lambda: self.world.owner is not None, timeout)

    async def answered(
        self,
        sent: Sent,
        timeout: float = 10.0,  # noqa: ASYNC109
        *,
        count: int = 1,
    ) -> list[Message]:
        """What the bot showed in answer to ``sent``: at least ``count`` messages, and no stream of it still open.

        Pushes belong to no message and are not among them. TimeoutError.
        """
        if not self._is_answered(sent.req_id, count):
            future = asyncio.get_running_loop().create_future()
            self._answers.setdefault(sent.req_id, []).append(future)
            try:
                async with asyncio.timeout(timeout):
                    while not self._is_answered(sent.req_id, count):
                        if future.done():
                            self._answers[sent.req_id].remove(future)
                            future = asyncio.get_running_loop().create_future()
                            self._answers[sent.req_id].append(future)
                        await future
            except TimeoutError:
                seen = [(b.kind, b.finished, len(b.content)) for b in self._shown(sent.req_id)]
                raise TimeoutError(
                    f"not answered within {timeout} s; delivered: {sent.delivered} {sent.why}; (kind, finished, "
                    f"characters) shown: {seen}"
                ) from None
            finally:
                waiting = self._answers[sent.req_id]
                waiting.remove(future)
                if not waiting:
                    del self._answers[sent.req_id]
        return [bubble.message() for bubble in self._shown(sent.req_id)]

    async def until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:  # noqa: ASYNC109
        """Returns once ``condition()`` holds; it is asked again at every change of chats, bot and violations."""
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._conditions.append(entry)
        try:
            async with asyncio.timeout(timeout):
                await future
        finally:
            self._conditions.remove(entry)

    def _shown(self, req_id: str) -> list[Bubble]:
        callback = self.world.callbacks.get(req_id)
        return callback.shown if callback else []

    def _is_answered(self, req_id: str, count: int) -> bool:
        shown = self._shown(req_id)
        return len(shown) >= count and all(bubble.finished or bubble.expired for bubble in shown)

    def _heard(self, kind: News, value: Any) -> None:
        req_id = value.req_id if kind == "message" else value if kind == "answered" else ""
        if req_id in self._answers:
            for future in self._answers[req_id]:
                if not future.done():
                    future.set_result(None)
        if kind != "trace":
            for condition, future in self._conditions:
                if not future.done() and condition():
                    future.set_result(None)

    # -- faults ----------------------------------------------------------------------------------------------------

    def _drop(self, code: int = 1006) -> None:
        for conn in self.world.connections.values():
            self.world.put(Drop(conn, None if code == 1006 else code))

    def _lose_subscription(self, *, pings_pass: bool = False) -> None:
        conn = self.world.owner
        if conn is not None:
            conn.subscribed, conn.lost, conn.lost_pings_pass = False, True, pings_pass
            self.world.owner = None
            self.world.tell("bot", self.world.bot_state)

    def _freeze(self, on: bool) -> None:
        for conn in self.world.connections.values():
            conn.frozen = on
            self.world.put(Freeze(conn, on))

    def _garbage(self, kind: str) -> None:
        data = nonsense(kind)
        if self.world.owner is not None:
            self.world.raw(self.world.owner, data, f"garbage: {kind}", self.now())

    def _redeliver(self, msgid: str, *, new_req_id: bool = False) -> None:
        people.redeliver(self.world, msgid, self.now(), new_req_id=new_req_id)

    def _expire_streams(self) -> None:
        for bubble in list(self.world.open_streams.values()):
            bubble.excused = True  # not the bot's doing
            streams.expire(self.world, bubble, self.now())

    def _inject(self, frame: Json) -> None:
        people.inject(self.world, frame, self.now())
