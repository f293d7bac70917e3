"""Sending what may be sent once: replies, pushes and files, within WeCom's limits (protocol §9, §12-§14).

Knows bodies and where they go; what a handler meant is in `answers`, growing answers are in `stream`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import frames, split
from .connection import Line
from .errors import ConnectionLost, RequestFailed, RequestTimeout, WecomError
from .frames import Frame
from .handlers import HandlerError
from .limits import SendingLimits
from .replies import RspMarkdownMsg, RspMediaMsg, RspVideoMsg
from .stream import CONFLICT, CONTENT_LIMIT, GONE, Address, addressed
from .upload import Media, upload

# How often a message that was never written is tried on a new line.
LINE_LOSSES = 5


class Sending:
    """What one bot sends on a line that comes and goes.

    Args:
        line: the connection at this moment; raises `RuntimeError` without one.
        patience: seconds for which a gap in the line is waited out.
    """

    def __init__(self, line: Callable[[], Line], patience: float, logger: logging.Logger) -> None:
        self._line, self._patience, self._logger = line, patience, logger
        self.limits = SendingLimits()

    async def respond(self, req_id: str | None, address: Address | None, body: dict[str, Any]) -> Frame:
        """Answers with `body`; where the req_id no longer serves, pushes it. At most once. Without a `req_id` (a card's
        click takes no such answer) it is pushed."""
        if req_id is None and address is not None:
            return await self.push(address, body)
        if body.get("msgtype") != "stream" and address is not None:  # refreshes do not count (§13)
            await self._respect_limits(address.chat_id)
        try:
            return await self.request(frames.RESPOND, body, req_id)
        except RequestFailed as error:
            if error.errcode not in (*GONE, CONFLICT) or address is None or body.get("msgtype") == "stream":
                raise
            self._logger.info("the req_id %s no longer serves (%s); answering by push", req_id, error)
        return await self.push(address, body, counted=True)

    async def push(self, address: Address, body: dict[str, Any], *, counted: bool = False) -> Frame:
        """Pushes `body`; `counted` when it has taken its place within the limits already."""
        if not counted:
            await self._respect_limits(address.chat_id)
        return await self.request(frames.SEND, addressed(address, body))

    async def request(self, cmd: str, body: dict[str, Any], req_id: str | None = None) -> Frame:
        """Sends what may be sent once: again on the next line only if it was not written, or not taken (846609)."""
        losses = 0
        while True:
            line = self._line()
            if not line.subscribed:
                await self._wait_for_line()
                line = self._line()
            try:
                return await line.request(cmd, body, req_id=req_id)
            except ConnectionLost as error:
                losses += 1
                if error.written or losses >= LINE_LOSSES or self._line().closed is not None:
                    raise

    async def _respect_limits(self, chat_id: str) -> None:
        while wait := self.limits.wait(chat_id, time.monotonic()):
            self._logger.info("chat %s has had its messages for now; waiting %.1f s", chat_id, wait)
            await asyncio.sleep(wait)
        self.limits.take(chat_id, time.monotonic())

    async def _wait_for_line(self) -> None:
        """A short gap in the line is waited out; a longer one is the caller's to decide."""
        if self._line().subscribed:
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._line().ready()
        except TimeoutError:
            raise ConnectionLost("not connected", written=False) from None

    # --- files

    async def media_body(self, reply: RspMediaMsg) -> dict[str, Any]:
        """The body of a file, uploaded if it has to be. Errors as in `upload`; HandlerError for a reply of nothing."""
        if reply.media_id:
            return reply.to_body()
        if not reply.file_path:
            raise HandlerError(f"{type(reply).__name__} needs a file_path or a media_id")
        media = await self.upload(reply.file_path, reply.media_type)
        if media.kind == "video" and isinstance(reply, RspVideoMsg):
            return RspVideoMsg(None, media.media_id, reply.title, reply.description).to_body()
        return {"msgtype": media.kind, media.kind: {"media_id": media.media_id}}

    async def upload(self, content: bytes | str | Path, kind: str = "file", name: str | None = None) -> Media:
        """Errors as in `upload.upload`."""
        await self._wait_for_line()
        media = await upload(self._line(), content, kind, name)
        if media.reason:
            self._logger.info("%r goes as a file: %s", media.name, media.reason)
        return media

    async def send_whole(self, req_id: str | None, address: Address | None, text: str) -> bool:
        """A text that is too long for bubbles as a Markdown file; as bubbles after all where that is refused."""
        name = f"answer-{time.strftime('%Y%m%d-%H%M%S')}.md"
        try:
            media = await self.upload(text.encode("utf-8", "replace"), "file", name)
        except (WecomError, OSError):
            self._logger.exception("the file with a long answer could not be uploaded; sending the text in pieces")
            return address is not None and await self._push_pieces(address, text)
        try:
            await self.respond(req_id, address, RspMediaMsg(media_id=media.media_id).to_body())
        except WecomError as error:
            self._logger.warning("the file with a long answer: %s", error)
            if _may_have_arrived(error):
                return False
            return address is not None and await self._push_pieces(address, text)
        return True

    async def _push_pieces(self, address: Address, text: str) -> bool:
        """The whole text in as many pushes as it takes; whether all of them were acked."""
        complete = True
        for piece in split.split(text, CONTENT_LIMIT):
            try:
                await self.push(address, RspMarkdownMsg(piece).to_body())
            except WecomError as error:
                self._logger.warning("a piece of a long answer: %s", error)
                complete = False
                if not _may_have_arrived(error):
                    break
        return complete


def _may_have_arrived(error: WecomError) -> bool:
    return isinstance(error, RequestTimeout) or (isinstance(error, ConnectionLost) and error.written)
