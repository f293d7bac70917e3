"""From what a handler returned to what leaves: bubbles of one handler run, welcomes, card updates (protocol §8-§12)."""

import time
from typing import TYPE_CHECKING, Any

from . import frames
from .errors import RequestFailed
from .handlers import HandlerError
from .messages import EventReqMsg, ReqMsg
from .replies import RspMsg, RspStreamMsg, RspTemplateCardMsg, RspTextMsg
from .reply_stream import ReplyStream
from .stream import GONE

if TYPE_CHECKING:
    from .server import WecomAIBotWsServer

# An answer to an event counts within 5 s of WeCom's clock (protocol §8.5).
EVENT_WINDOW = 4.5
_THINK_OPEN, _THINK_CLOSE = "<think>", "</think>"


class Answers:
    """The replies of one handler run: which streams it has open, so that all of them are finished at its end."""

    def __init__(self, server: "WecomAIBotWsServer", message: ReqMsg) -> None:
        self._server, self._message = server, message
        self._open: dict[str, tuple[ReplyStream, str]] = {}
        self._sent = False

    async def send(self, reply: Any) -> None:
        if isinstance(reply, RspStreamMsg):
            await self._grow(reply)
        elif isinstance(reply, RspMsg | dict):
            await self._server.reply_message(self._message, reply)
        else:
            raise HandlerError(f"a handler returned {type(reply).__name__}; return RspTextMsg(…), a dict or None")
        self._sent = True

    async def _grow(self, reply: RspStreamMsg) -> None:
        key, content = reply.stream_id or "", reply.content or ""
        bubble = self._open.get(key, (None, ""))[0] or self._server.open_stream(
            self._message, feedback_id=reply.feedback_id, stream_id=reply.stream_id
        )
        thinking, text = parted(content)
        if reply.finish:
            self._open.pop(key, None)
            async with bubble:
                await bubble.finish(text, thinking)
        else:
            self._open[key] = (bubble, content)
            bubble.show(text, thinking)

    async def fail(self, reply: Any) -> None:
        """Shows that the handler failed: in the bubble that is open, else in one of its own."""
        try:
            if reply is not None:
                await self.send(reply)
            elif not self._open and self._message.req_id:
                await self._server.reply_message(self._message, RspTextMsg(self._server.words.failed))
        except Exception:  # the failure itself has been logged; this one is only about showing it
            self._server.logger.exception("the failure could not be shown on %r", self._message)
        for key, (bubble, content) in list(self._open.items()):
            thinking, text = parted(content)
            self._open[key] = (bubble, content)
            note = "" if reply is not None else self._server.words.failed
            bubble.show(f"{text}\n\n{note}".strip(), thinking)

    async def __aenter__(self) -> "Answers":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for bubble, _ in self._open.values():
            await bubble.__aexit__(kind, error, None)


def parted(content: str) -> tuple[str, str]:
    """(reasoning, text) of content that begins with WeCom's think block, closed or not."""
    if not content.startswith(_THINK_OPEN):
        return "", content
    thinking, closed, text = content[len(_THINK_OPEN) :].partition(_THINK_CLOSE)
    return thinking, text if closed else ""


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
    if event.chat_id is not None and not isinstance(reply, dict):
        await server.send_active_message(event.chat_id, reply)


def body_of(reply: RspMsg | dict[str, Any]) -> dict[str, Any]:
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


def _welcome_body(reply: Any) -> dict[str, Any]:
    """A welcome takes text and cards only (protocol §10); Markdown goes as text."""
    body = body_of(reply)
    text = pushed_text(body)
    return body if text is None else {"msgtype": "text", "text": {"content": text}}


def _update_body(reply: Any, event: EventReqMsg) -> dict[str, Any] | None:
    """The update of the clicked card (protocol §11), None for what has to be pushed instead."""
    if isinstance(reply, dict):
        return (
            reply
            if "response_type" in reply or "template_card" not in reply
            else _update(reply["template_card"], event)
        )
    if isinstance(reply, RspTemplateCardMsg):
        return _update(reply.template_card, event)
    return None


def _update(card: dict[str, Any], event: EventReqMsg) -> dict[str, Any]:
    return {"response_type": "update_template_card", "template_card": {"task_id": event.task_id, **card}}
