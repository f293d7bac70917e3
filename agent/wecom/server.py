"""`WecomAIBotWsServer`: one bot, its handlers, and everything that it can send.

from agent.wecom import RspTextMsg, WecomAIBotWsServer

def handle(message, server):
    return RspTextMsg(f"You said: {message.content}")

server = WecomAIBotWsServer(name="my-bot")   # WECOM_BOT_ID and WECOM_BOT_SECRET from the environment
server.set_message_handler(handle)
server.run()
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from . import frames, split, stream, thinking
from .answers import Answers, answer_event, body_of, cut, long_text, pushed_text
from .connection import Line, LineSettings
from .download import SIZE_LIMIT, Downloader, SavedFile
from .errors import MediaUnavailable, WecomError
from .frames import Frame
from .handlers import Handler, each, is_generator
from .messages import EventReqMsg, ReqMsg, parse
from .replies import RspMarkdownMsg, RspMediaMsg, RspMsg, RspStreamMsg, RspTextMsg
from .reply_stream import CLOSING_GRACE, ReplyStream
from .sending import Sending
from .stream import CONTENT_LIMIT, Address, Delivery, Stream
from .transport import DEFAULT_URL
from .upload import Media
from .words import Words

MESSAGES_REMEMBERED = 10_000
CHATS_REMEMBERED = 10_000
# How long running handlers may take at the end, in milliseconds: a script that is told to stop is expected to stop.
DRAIN, SCRIPT_DRAIN = 10_000, 1_000
SINGLE, GROUP = 1, 2
_CHAT_TYPES = {"single": SINGLE, "group": GROUP}

_log = logging.getLogger(__name__)


class WecomAIBotWsServer:
    """A bot on the WebSocket long connection. Times are milliseconds, as in the settings' names.

    Args:
        name: the bot's name in WeCom, whose leading mention is taken off group messages (`WECOM_BOT_NAME`).
        bot_id, secret: from the admin console (`WECOM_BOT_ID`, `WECOM_BOT_SECRET`).
        ws_url: for private deployments (`WECOM_BOT_WS_URL`).
        reconnect_interval: first delay before a reconnect; doubles up to 30 s.
        max_reconnect_attempts: attempts since the line was last up; -1 for ever, 0 never.
        heartbeat_interval: between pings.
        request_timeout: until a command without ack counts as unknown; uploads wait at least 30 s.
        logger: where the framework's own lines go.
        ca_file: certificates of a private deployment (`WECOM_CA_FILE`).
        words: what the bot says in its own name; Chinese unless given.
        stream_lifetime: seconds until a growing bubble is continued in a new one (protocol §9.3).
    """

    def __init__(
        self,
        name: str | None = None,
        bot_id: str | None = None,
        secret: str | None = None,
        ws_url: str | None = None,
        reconnect_interval: int = 1000,
        max_reconnect_attempts: int = -1,
        heartbeat_interval: int = 30000,
        request_timeout: int = 10000,
        logger: logging.Logger | None = None,
        *,
        ca_file: str | None = None,
        words: Words | None = None,
        stream_lifetime: float = stream.LIFETIME,
    ) -> None:
        environ = os.environ
        self.name = name or environ.get("WECOM_BOT_NAME", "")
        self.bot_id = bot_id or environ.get("WECOM_BOT_ID") or environ.get("WX_BOT_ID") or ""
        self.secret = secret or environ.get("WECOM_BOT_SECRET") or environ.get("WX_BOT_SECRET") or ""
        self.ws_url = ws_url or environ.get("WECOM_BOT_WS_URL") or DEFAULT_URL
        self.reconnect_interval = reconnect_interval
        self.max_reconnect_attempts = max_reconnect_attempts
        self.heartbeat_interval = heartbeat_interval
        self.request_timeout = request_timeout
        self.logger = logger or _log
        self.words = words or Words()
        self._ca_file = ca_file or environ.get("WECOM_CA_FILE") or None
        self._stream_lifetime = stream_lifetime
        self._message_handler: Handler | None = None
        self._event_handler: Handler | None = None
        self._late_handler: Handler | None = None
        self._error_handler: Handler | None = None
        self._state_handler: Callable[[str, str], None] | None = None
        self._line: Line | None = None
        self._downloader = Downloader(self._ca_file)
        self._sending = Sending(lambda: self.line, request_timeout / 1000, self.logger)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._chat_types: OrderedDict[str, int] = OrderedDict()
        # By req_id that was answered: the stream of it that `reply_message` left open, if any.
        self._answered: OrderedDict[str, str | None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._line_task: asyncio.Task[None] | None = None
        self._stopped: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._accepting = False
        self._ended: WecomError | None = None

    # --- handlers

    def set_message_handler(self, handler: Callable[..., Any]) -> None:
        """`f(message, server)` or `f(message)`, sync or async: returns a reply, a dict (sent as the body), None, or a
        sync or async generator of these."""
        self._message_handler = Handler(handler)

    def set_event_handler(self, handler: Callable[..., Any]) -> None:
        """`f(event, server)` or `f(event)`. What it returns answers `enter_chat` as the welcome, and a card's click as
        the card's update (a card) or as a push (anything else); both count within 5 s."""
        self._event_handler = Handler(handler)

    def set_late_handler(self, handler: Callable[..., Any]) -> None:
        """`f(message, server)` or `f(message)`: gets a message that arrives while the server is stopping, in place of
        the message handler, to keep it for later: WeCom does not send it again. What it returns is not sent. Without
        this handler such messages are dropped."""
        self._late_handler = Handler(handler)

    def set_error_handler(self, handler: Callable[..., Any]) -> None:
        """`f(error, frame, server)` or shorter, called when another handler raised; may return what the person sees."""
        self._error_handler = Handler(handler, 2)

    def set_state_handler(self, handler: Callable[[str, str], None]) -> None:
        """`f(state, reason)`, sync and quick: "connecting", "subscribed" or "down"."""
        self._state_handler = handler

    # --- life

    def run(self, drain_time: int = SCRIPT_DRAIN) -> None:
        """Serves until Ctrl-C, SIGTERM or `disconnect()`; running handlers then get `drain_time` milliseconds.

        Raises:
            ValueError: Bot ID or Secret is missing.
            CredentialsRefused, Displaced, ReconnectExhausted: what ended it.
        """
        asyncio.run(self._run_with_signals(drain_time))

    async def _run_with_signals(self, drain_time: int) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        asked = False

        def stop() -> None:
            nonlocal asked
            if asked:  # the second Ctrl-C waits for nothing, and a third one is the system's
                task.cancel()
                for number in numbers:
                    loop.remove_signal_handler(number)
            asked = True
            self.stop()

        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, stop)
        with contextlib.suppress(asyncio.CancelledError):
            await self.run_async(drain_time)

    async def run_async(self, drain_time: int = DRAIN) -> None:
        """The same inside a running loop; leaves signals alone. May be called again after it has ended."""
        if not self.bot_id or not self.secret:
            raise ValueError("bot_id and secret are required: pass them or set WECOM_BOT_ID and WECOM_BOT_SECRET")
        if self._line is not None:
            raise RuntimeError("this server is running already")
        self._line = Line(self._line_settings(), self._on_callback, self._on_state)
        self._stopped, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._accepting, self._ended = True, None
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._line_task = group.create_task(self._run_line())
                drain = 0.0
                try:
                    await self._stopped.wait()
                    drain = drain_time / 1000
                finally:
                    self._accepting = False
                    await self._drain(drain)
                    self._line_task.cancel()
        finally:
            self._group = self._line_task = self._line = self._loop = None
            self._accepting = False
            await self._downloader.aclose()
        if self._ended is not None:
            raise self._ended

    async def _run_line(self) -> None:
        assert self._line is not None
        assert self._stopped is not None
        try:
            await self._line.run()
        except WecomError as error:
            self._ended = error
        finally:
            self._stopped.set()

    async def _drain(self, seconds: float) -> None:
        """Gives running handlers `seconds` to end; the others are cancelled and their bubbles closed with a note."""
        try:
            if self._tasks and seconds and self.line.closed is None:
                await asyncio.wait(self._tasks, timeout=seconds)
        finally:  # a cancellation ends the time, not the bubbles
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLOSING_GRACE + 1)

    def stop(self) -> None:
        """Begins the end of `run`: no new messages, running handlers get their time. Returns at once, on any thread."""
        self._accepting = False
        if self._loop is not None and self._stopped is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
                self._loop.call_soon_threadsafe(self._stopped.set)

    async def disconnect(self) -> None:
        """Ends `run` and waits until the line is closed. From inside a handler it only begins the end."""
        self.stop()
        task = self._line_task
        if task is not None and asyncio.current_task() not in self._tasks:
            await asyncio.wait([task])

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` beside the handlers, as one of them: at the end it is given the same time and then cancelled.

        What it raises is logged. Raises `RuntimeError` unless the server runs.
        """
        if self._group is None:
            work.close()
            raise RuntimeError("the server is not running: call run() or run_async() first")
        task = self._group.create_task(self._alone(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _alone(self, work: Coroutine[Any, Any, None]) -> None:
        """One task's failure is its own."""
        try:
            await work
        except Exception:
            self.logger.exception("a task beside the line failed")

    @property
    def line(self) -> Line:
        """The connection. Raises `RuntimeError` unless the server runs."""
        if self._line is None:
            raise RuntimeError("the server is not running: call run() or run_async() first")
        return self._line

    @property
    def is_connected(self) -> bool:
        """Whether the line is subscribed at this moment."""
        return self._line is not None and self._line.subscribed

    def _line_settings(self) -> LineSettings:
        return LineSettings(
            self.bot_id,
            self.secret,
            self.ws_url,
            reconnect_interval=self.reconnect_interval / 1000,
            max_reconnect_attempts=self.max_reconnect_attempts,
            heartbeat=self.heartbeat_interval / 1000,
            request_timeout=self.request_timeout / 1000,
            ca_file=self._ca_file,
        )

    def _on_state(self, state: str, reason: str) -> None:
        if self._state_handler is not None:
            try:
                self._state_handler(state, reason)
            except Exception:  # called from the transport, where it would cost the line
                self.logger.exception("the state handler failed on %r", state)

    # --- in

    def _on_callback(self, frame: Frame) -> None:
        """Runs in the transport's callback: parse, drop what was seen, start a task."""
        if self._group is None or not (self._accepting or self._late_handler):
            return
        message = parse(frame, self.name)
        if not message.msg_type:
            self.logger.warning("dropped a callback without msgtype (req_id %s)", frame.req_id)
            return
        if message.msg_id:
            if message.msg_id in self._seen:
                self.logger.info("dropped msgid %s: it came before", message.msg_id)
                return
            _remember(self._seen, message.msg_id, None, MESSAGES_REMEMBERED)
        if message.chat_id:
            _remember(self._chat_types, message.chat_id, _CHAT_TYPES.get(message.chat_type, 0), CHATS_REMEMBERED)
        if isinstance(message, EventReqMsg):
            if self._accepting:
                self.start(self._handle_event(message))
        else:
            self.start(self._handle_message(message) if self._accepting else self._handle_late(message))

    async def _handle_message(self, message: ReqMsg) -> None:
        if self._message_handler is None:
            self.logger.warning("no message handler is set; nobody answers %r", message)
            return
        async with Answers(self, message) as answers:
            try:
                result = await self._message_handler.call(message, self)
                async with contextlib.aclosing(each(result)) as replies:
                    async for reply in replies:
                        await answers.send(reply, last=not is_generator(result))
            except BaseException as error:  # one handler's failure is its own message's
                if not _is_own(error):
                    raise
                self.logger.exception("the message handler failed on %r", message)
                await answers.fail(await self._error_reply(error, message))

    async def _handle_late(self, message: ReqMsg) -> None:
        assert self._late_handler is not None
        await self._late_handler.call(message, self)

    async def _handle_event(self, event: EventReqMsg) -> None:
        if self._event_handler is None:
            self.logger.info("no event handler is set for %s", event.event_type)
            return
        began = time.monotonic()
        try:
            async with contextlib.aclosing(each(await self._event_handler.call(event, self))) as replies:
                async for reply in replies:
                    await answer_event(self, event, reply, began)
        except BaseException as error:  # as above
            if not _is_own(error):
                raise
            self.logger.exception("the event handler failed on %r", event)
            await self._error_reply(error, event)

    async def _error_reply(self, error: BaseException, message: ReqMsg) -> Any:
        """What the error handler wants to be shown; None without one."""
        if self._error_handler is None:
            return None
        try:
            result = await self._error_handler.call(error, message.frame, self)
            async with contextlib.aclosing(each(result)) as replies:
                async for reply in replies:
                    return reply
        except BaseException as second:  # it must not hide the first error
            if not _is_own(second):
                raise
            self.logger.exception("the error handler failed")
        return None

    # --- replies

    def open_stream(
        self,
        message: ReqMsg,
        *,
        feedback_id: str | None = None,
        stream_id: str | None = None,
        lifetime: float | None = None,
    ) -> ReplyStream:
        """A bubble that grows under `message`; finish it on every path (it is an async context manager for that).

        `feedback_id` (at most 256 bytes) gives it like and dislike buttons; `lifetime` replaces `stream_lifetime`.
        """
        req_id, address = message.req_id, self.address_of(message)
        state = Stream(
            req_id,
            address,
            self._sending.limits,
            lifetime=lifetime or self._stream_lifetime,
            feedback_id=feedback_id,
            words=self.words,
            later=req_id in self._answered and (stream_id is None or self._answered[req_id] != stream_id),
            first_id=stream_id,
            pushes=isinstance(message, EventReqMsg),
        )
        _remember(self._answered, req_id, None, MESSAGES_REMEMBERED)
        answerable = None if isinstance(message, EventReqMsg) else req_id
        return ReplyStream(
            self.line,
            state,
            lambda text: self._sending.send_whole(answerable, address, text),
            lambda text: self._post(message, text),
        )

    def address_of(self, message: ReqMsg) -> Address | None:
        """Where a push to the message's conversation goes."""
        if message.chat_id is None:
            return None
        return Address(message.chat_id, _CHAT_TYPES.get(message.chat_type, 0))

    async def reply_message(self, frame: Frame | ReqMsg, reply: RspMsg | dict[str, Any]) -> Delivery | Frame:
        """Answers a callback with one reply, and waits for WeCom's ack.

        Text and Markdown leave as a finished stream and `RspStreamMsg` as one frame of its stream; a `finish=False` is
        the caller's to finish. Files are uploaded. A dict is the body; only a text over WeCom's limit is split.

        Raises:
            WecomError: as `Line.request`; MediaError for files.
        """
        message = frame if isinstance(frame, ReqMsg) else parse(frame, self.name)
        if isinstance(message, EventReqMsg):
            await answer_event(self, message, reply, time.monotonic())
            return message.frame or Frame("", message.req_id)
        if isinstance(reply, dict):
            reply = long_text(reply) or reply
        match reply:
            case RspStreamMsg(stream_id=str(stream_id), finish=False):
                body = {"id": stream_id, "content": cut(reply.content or ""), "finish": False}
                if reply.feedback_id:
                    body["feedback"] = {"id": reply.feedback_id}
                _remember(self._answered, message.req_id, stream_id, MESSAGES_REMEMBERED)
                return await self._sending.request(
                    frames.RESPOND, {"msgtype": "stream", "stream": body}, message.req_id
                )
            case RspTextMsg() | RspMarkdownMsg() | RspStreamMsg():
                return await self._reply_text(message, reply)
            case RspMediaMsg():
                body = await self._sending.media_body(reply)
            case _:
                body = body_of(reply)
        _remember(self._answered, message.req_id, None, MESSAGES_REMEMBERED)
        return await self._sending.respond(message.req_id, self.address_of(message), body)

    async def _reply_text(self, message: ReqMsg, reply: RspTextMsg | RspMarkdownMsg | RspStreamMsg) -> Delivery:
        own = getattr(reply, "stream_id", None) or None
        bubble = self.open_stream(message, feedback_id=getattr(reply, "feedback_id", None), stream_id=own)
        async with bubble:
            reasoning, text = thinking.parted(reply.content or "")
            return await bubble.finish(text, reasoning)

    async def upload_media(self, content: bytes | str | Path, kind: str = "file", name: str | None = None) -> Media:
        """Uploads a file as "file", "image", "voice" or "video" (what does not fit its kind goes as a file).

        Raises:
            MediaTooLarge, MediaWrongKind, OSError: before anything is sent.
            RequestFailed, RequestTimeout, ConnectionLost: WeCom did not take it.
        """
        return await self._sending.upload(content, kind, name)

    async def _post(self, message: ReqMsg, text: str) -> bool:
        """Answers over HTTP, at the callback's `response_url`: it takes one message, without the line (§17)."""
        if not message.response_url:
            return False
        content = text if split.size(text) <= CONTENT_LIMIT else split.cut(text, CONTENT_LIMIT - 4).piece + "…"
        try:
            answer = await self._downloader.post(message.response_url, RspMarkdownMsg(content).to_body())
        except MediaUnavailable as error:
            self.logger.warning("the response_url of %r: %s", message, error)
            return False
        if answer.get("errcode") != 0:
            self.logger.warning("the response_url of %r was refused with errcode %r", message, answer.get("errcode"))
        return answer.get("errcode") == 0

    # --- pushes

    async def send_active_message(
        self, chat_id: str, reply: RspMsg | dict[str, Any], chat_type: int | str | None = None
    ) -> Frame:
        """Pushes to a group (`chat_id`) or a person (user id), who must have written to the bot before (protocol §12).

        `chat_type` is 1 or "single", 2 or "group"; None takes what the chat's messages said, else lets WeCom find out.
        Markdown over 20,480 bytes goes in several messages. Returns the last ack.

        Raises:
            RequestFailed: 93006 for a conversation that never wrote to the bot, see protocol §18.
            RequestTimeout: the outcome is unknown; do not repeat, it could show twice.
            ConnectionLost: `written` says whether it may have gone out.
        """
        kind = _CHAT_TYPES.get(chat_type, 0) if isinstance(chat_type, str) else chat_type
        address = Address(chat_id, self._chat_types.get(chat_id, 0) if kind is None else kind)
        if isinstance(reply, RspMediaMsg):
            return await self._sending.push(address, await self._sending.media_body(reply))
        body = body_of(reply)
        text = pushed_text(body)
        if text is None:
            return await self._sending.push(address, body)
        part = body.get("markdown")
        rest = {"feedback": part["feedback"]} if isinstance(part, dict) and "feedback" in part else {}
        ack = Frame("", "")
        text = thinking.escaped(text) if split.visible(text) else self.words.empty
        for piece in split.split(text, CONTENT_LIMIT):
            ack = await self._sending.push(address, {"msgtype": "markdown", "markdown": {"content": piece, **rest}})
        return ack

    async def send_text(self, chat_id: str, content: str, chat_type: int | str | None = None) -> Frame:
        """Leaves as Markdown: WeCom refuses pushed text (40008)."""
        return await self.send_active_message(chat_id, RspMarkdownMsg(content), chat_type)

    async def send_markdown(self, chat_id: str, content: str, chat_type: int | str | None = None) -> Frame:
        return await self.send_active_message(chat_id, RspMarkdownMsg(content), chat_type)

    async def send_image(self, chat_id: str, file_path: str, chat_type: int | str | None = None) -> Frame:
        return await self.send_active_message(chat_id, RspMediaMsg(str(file_path), media_type="image"), chat_type)

    async def send_voice(self, chat_id: str, file_path: str, chat_type: int | str | None = None) -> Frame:
        return await self.send_active_message(chat_id, RspMediaMsg(str(file_path), media_type="voice"), chat_type)

    async def send_video(self, chat_id: str, file_path: str, chat_type: int | str | None = None) -> Frame:
        return await self.send_active_message(chat_id, RspMediaMsg(str(file_path), media_type="video"), chat_type)

    async def send_file(self, chat_id: str, file_path: str, chat_type: int | str | None = None) -> Frame:
        return await self.send_active_message(chat_id, RspMediaMsg(str(file_path), media_type="file"), chat_type)

    # --- downloads

    async def download_file(
        self, url: str, aes_key: str | None = None, limit: int = SIZE_LIMIT
    ) -> tuple[bytes, str | None]:
        """(decrypted bytes, file name or None) of a media link; for large files see `save_file`.

        Raises:
            MediaUndecryptable: no key or a wrong one; nothing undecrypted is handed on.
            MediaTooLarge: over `limit` bytes.
            MediaUnavailable: the link has expired (they live five minutes), or the storage kept failing.
        """
        return await self._downloader.fetch(url, aes_key, limit)

    async def save_file(self, url: str, aes_key: str | None, folder: str | Path, limit: int = SIZE_LIMIT) -> SavedFile:
        """Streams a media link into `folder` in bounded memory: path, name, size in bytes, MIME type by content.

        The file appears under its name only when it is whole and its padding verified. Errors as `download_file`.
        """
        return await self._downloader.save(url, aes_key, folder, limit)


def _remember(memory: OrderedDict[str, Any], key: str, value: Any, most: int) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)


def _is_own(error: BaseException) -> bool:
    """Whether a handler's failure is its own: no cancellation of its task from outside, no Ctrl-C."""
    if isinstance(error, asyncio.CancelledError):  # it may have waited for something else that was cancelled
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return not isinstance(error, KeyboardInterrupt | GeneratorExit)
