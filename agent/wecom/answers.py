"""From what a handler returned to what leaves: bubbles of one handler run, welcomes, card updates (protocol §8-§12)."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import frames, split
from .errors import RequestFailed
from .handlers import HandlerError
from .messages import EventReqMsg, ReqMsg
from .replies import RspMarkdownMsg, RspMediaMsg, RspMsg, RspStreamMsg, RspTemplateCardMsg, RspTextMsg
from .reply_stream import ReplyStream
from .stream import CONTENT_LIMIT, GONE
from .thinking import block, parted

if TYPE_CHECKING:
    from .server import WecomAIBotWsServer

# An answer to an event counts within 5 s of WeCom's clock (protocol §8.5).
EVENT_WINDOW = 4.5


@dataclass(slots=True)
class _Open:
    """A bubble that grows: what it shows, and whether a reply said that more will come."""

    bubble: ReplyStream
    content: str = ""
    growing: bool = False


class Answers:
    """The replies of one handler run: which streams it has open, so that all of them are finished at its end."""

    def __init__(self, server: "WecomAIBotWsServer", message: ReqMsg) -> None:
        self._server, self._message = server, message
        self._open: dict[str, _Open] = {}

    async def send(self, reply: Any, *, last: bool = True) -> None:
        """Sends one reply; `last` unless the handler may have more.

        Raises:
            HandlerError: it is no reply.
            WecomError: as `reply_message`.
        """
        if isinstance(reply, RspStreamMsg):
            await self._grow(reply, last)
        elif isinstance(reply, RspMsg | dict):
            await self._server.reply_message(self._message, reply)
        else:
            raise HandlerError(f"a handler returned {type(reply).__name__}; return RspTextMsg(…), a dict or None")

    async def _grow(self, reply: RspStreamMsg, last: bool) -> None:
        """Replies without an id share one bubble, which ends with the handler, or where `finish` follows its absence:
        `finish` is True unless said otherwise, so by itself it says nothing."""
        key, content = reply.stream_id or "", reply.content or ""
        one = self._open.get(key)
        if one is None:
            one = self._open[key] = _Open(
                self._server.open_stream(self._message, feedback_id=reply.feedback_id, stream_id=reply.stream_id)
            )
        thinking, text = parted(content)
        if reply.finish and (key or last or one.growing):
            del self._open[key]
            async with one.bubble:
                await one.bubble.finish(text, thinking)
        else:
            one.content, one.growing = content, one.growing or not reply.finish
            one.bubble.show(text, thinking)

    async def fail(self, reply: Any) -> None:
        """Shows that the handler failed: in the bubble that is open, else in one of its own."""
        if reply is None:
            reply = RspTextMsg(self._server.words.failed)
        try:
            if self._open and isinstance(reply, RspTextMsg | RspMarkdownMsg | RspStreamMsg):
                for one in self._open.values():
                    thinking, text = parted(one.content)
                    one.bubble.show(f"{text}\n\n{reply.content or ''}".strip(), thinking)
            elif self._message.req_id:
                await self.send(reply)
        except Exception:  # the failure itself has been logged; this one is only about showing it
            self._server.logger.exception("the failure could not be shown on %r", self._message)

    async def __aenter__(self) -> "Answers":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for one in self._open.values():
            try:
                await one.bubble.__aexit__(kind, error, None)
            except Exception:  # the next bubble has to be finished all the same
                self._server.logger.exception("a bubble was not finished on %r", self._message)


async def answer_event(server: "WecomAIBotWsServer", event: EventReqMsg, reply: Any, began: float) -> None:
    """Answers an event with the command that belongs to it; what comes too late or fits no such command is pushed."""
    body: dict[str, Any] | None
    match event.event_type:
        case "enter_chat":
            cmd, body = frames.WELCOME, _welcome_body(reply)
        case "template_card_event":
            cmd, body = frames.UPDATE_CARD, _update_body(reply, event)
        case other:
            server.logger.warning("dropped the answer to a %s: WeCom takes none (protocol §8)", other)
            return
    if body is not None and time.monotonic() - began <= EVENT_WINDOW:
        try:
            await server.line.request(cmd, body, req_id=event.req_id)
            return
        except RequestFailed as error:
            if error.errcode not in GONE:
                raise
            server.logger.warning("%s; answering by push", error)
    if event.chat_id is None or (isinstance(reply, dict) and not reply.get("msgtype")):
        server.logger.warning("dropped a late answer to %r: it cannot be pushed", event)
        return
    await server.send_active_message(event.chat_id, reply)


def body_of(reply: Any) -> dict[str, Any]:
    """The wire body of a reply. Raises `HandlerError` for what is none."""
    if isinstance(reply, dict):
        return reply
    if isinstance(reply, RspMsg):
        return reply.to_body()
    raise HandlerError(f"{type(reply).__name__} is no reply; use RspTextMsg(…), a dict or None")


def pushed_text(body: dict[str, Any]) -> str | None:
    """The text of a body that can only be pushed as Markdown, None for other bodies."""
    kind = body.get("msgtype")
    if kind not in ("text", "markdown", "stream"):
        return None
    part = body.get(kind)
    content = part.get("content") if isinstance(part, dict) else None
    return content if isinstance(content, str) else ""


def long_text(body: dict[str, Any]) -> RspMsg | None:
    """The reply that splits the text of a body over WeCom's limit, None for bodies that fit as they are."""
    text = pushed_text(body)
    if text is None or split.size(text) <= CONTENT_LIMIT:
        return None
    part = body[body["msgtype"]]
    feedback = part.get("feedback")
    feedback_id = feedback.get("id") if isinstance(feedback, dict) else None
    return RspStreamMsg(text, part.get("id"), part.get("finish") is not False, feedback_id=feedback_id)


def cut(content: str) -> str:
    """As much of an unfinished bubble as fits, its think block whole."""
    if split.size(content) <= CONTENT_LIMIT:
        return content
    thinking, text = parted(content)
    shown = block(thinking) if thinking else ""
    return shown + split.head(text, CONTENT_LIMIT - split.size(shown))


def _welcome_body(reply: Any) -> dict[str, Any] | None:
    """A welcome takes text and cards only (protocol §10); Markdown goes as text, None stands for what takes a push."""
    if isinstance(reply, RspMediaMsg):
        return None
    body = body_of(reply)
    text = pushed_text(body)
    if text is not None:
        return {"msgtype": "text", "text": {"content": text}}
    return body if body.get("msgtype") == "template_card" else None


def _update_body(reply: Any, event: EventReqMsg) -> dict[str, Any] | None:
    """The update of the clicked card (protocol §11), None for what has to be pushed instead."""
    match reply:
        case RspTemplateCardMsg():
            return _update(reply.template_card, event)
        case {"response_type": _}:
            return reply  # type: ignore[no-any-return]
        case {"template_card": dict(card)}:
            return _update(card, event)
        case RspMsg() | dict():
            return None
        case _:
            return body_of(reply)


def _update(card: dict[str, Any], event: EventReqMsg) -> dict[str, Any]:
    """A card with the task id of the one that was clicked: WeCom takes no other."""
    own = {"task_id": event.task_id} if event.task_id else {}
    return {"response_type": "update_template_card", "template_card": {**card, **own}}
