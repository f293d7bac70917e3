"""The HTTP side: media downloads, the control API, the live feed, the page and the scripted model on one port.

It translates between JSON and the gateway; it decides nothing about WeCom. Who may come in stands in ``door``.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.simulator import faults, live, media, people
from agent.simulator.bubbles import is_visible
from agent.simulator.cards import check
from agent.simulator.chats import Chat
from agent.simulator.door import Guard
from agent.simulator.gateway import Gateway
from agent.simulator.media import Link, Medium
from agent.simulator.wire import Json, Refusal

_SHOWN_AS = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".mp4": "video/mp4",
}  # fmt: skip


class Rejected(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def application(gateway: Gateway, others: Sequence[BaseRoute], *, loopback: bool, token: str) -> Starlette:
    """Every route of the simulator; ``others`` are the page's and the model's."""
    api = _Api(gateway)
    routes: list[BaseRoute] = [
        WebSocketRoute("/api/live", api.live),
        Route("/api/state", api.state, methods=["GET"]),
        Route("/api/chats", api.create, methods=["POST"]),
        Route("/api/chats/{chat}/messages", api.messages, methods=["GET"]),
        Route("/api/chats/{chat}/say", api.say, methods=["POST"]),
        Route("/api/chats/{chat}/send", api.send, methods=["POST"]),
        Route("/api/chats/{chat}/enter", api.enter, methods=["POST"]),
        Route("/api/messages/{message}/click", api.click, methods=["POST"]),
        Route("/api/messages/{message}/feedback", api.feedback, methods=["POST"]),
        Route("/api/trace", api.trace, methods=["GET"]),
        Route("/api/violations", api.violations, methods=["GET"]),
        Route("/api/faults", api.list_faults, methods=["GET"]),
        Route("/api/faults", api.apply_fault, methods=["POST"]),
        Route("/media/{token}", api.download, methods=["GET"]),
        Route("/files/{media_id}", api.file, methods=["GET"]),
        Route("/cgi-bin/aibot/response", api.respond, methods=["POST"]),
        *others,
    ]
    guard = Middleware(Guard, loopback=loopback, token=token)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={Rejected: _rejected})


async def _rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    return JSONResponse({"error": {"message": str(error)}}, error.status)


# -- reading requests ----------------------------------------------------------------------------------------------


async def _body(request: Request) -> Json:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise Rejected(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Rejected(400, "the body must be a JSON object")
    return body


def _text(body: Json, name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or (default is None and not value):
        raise Rejected(400, f"{name} must be a string, not {value!r}")
    return value


def _quote(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Rejected(400, f"quote must be the id of a message, not {value!r}")
    return value


# -- the control API -----------------------------------------------------------------------------------------------


class _Api:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._world = gateway.world

    def _chat(self, request: Request) -> Chat:
        chat = self._world.chats.by_id.get(request.path_params["chat"])
        if chat is None:
            raise Rejected(404, f"there is no chat {request.path_params['chat']!r}")
        return chat

    def _sent(self, act: Callable[[], people.Sent]) -> Response:
        try:
            return JSONResponse(asdict(act()))
        except KeyError as error:
            raise Rejected(404, f"there is no message {error}") from None
        except (ValueError, TypeError) as error:
            raise Rejected(400, str(error)) from None

    async def live(self, socket: WebSocket) -> None:
        await socket.accept()
        feed = live.Feed(self._world)

        async def send(event: Json) -> None:
            await socket.send_text(json.dumps(event, ensure_ascii=True))

        try:
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(feed.run(send))
                while (await socket.receive())["type"] != "websocket.disconnect":
                    pass  # the page has nothing to say here
                sender.cancel()
        except* (WebSocketDisconnect, RuntimeError):
            pass  # the browser left while something was being sent to it

    async def state(self, request: Request) -> Response:
        world = self._world
        return JSONResponse(
            {
                "bot": live.bot(world),
                "chats": [chat.as_json() for chat in world.chats.by_id.values()],
                "options": asdict(world.options),
                "faults": world.faults.state(),
                "violations": world.violation_count,
            }
        )

    async def create(self, request: Request) -> Response:
        body = await _body(request)
        members = body.get("members", [])
        if not isinstance(members, list) or not members or not all(isinstance(m, str) and m for m in members):
            raise Rejected(400, f"members must be a list of userids, not {members!r}")
        title = _text(body, "title", "")
        try:
            match body.get("type"):
                case "single":
                    chat = self._world.chats.single(members[0])
                    chat.title = title or chat.title
                case "group":
                    chat = self._world.chats.group(_text(body, "id", "wr" + token_hex(15)), title, members)
                case other:
                    raise Rejected(400, f"type must be single or group, not {other!r}")
        except ValueError as error:
            raise Rejected(400, str(error)) from None
        self._world.tell("chat", chat)
        return JSONResponse(chat.as_json())

    async def messages(self, request: Request) -> Response:
        return JSONResponse([bubble.message().as_json() for bubble in self._chat(request).log.values()])

    async def say(self, request: Request) -> Response:
        chat, body = self._chat(request), await _body(request)
        user, text, quote = _text(body, "user"), _text(body, "text", ""), _quote(body.get("quote"))
        mention = body.get("mention", True) is True
        return self._sent(lambda: self._gateway.say(user, text, chat.id, quote=quote, mention=mention))

    async def send(self, request: Request) -> Response:
        chat = self._chat(request)
        async with request.form(max_files=20, max_part_size=1024 * 1024) as form:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            files = [value for name, value in form.multi_items() if name == "files" and isinstance(value, UploadFile)]
            user, kind, text = _text(fields, "user"), _text(fields, "kind"), _text(fields, "text", "")
            kept = [await self._keep("image" if kind == "mixed" else kind, file) for file in files]
        contents: list[str | Medium] = [text] if text or not kept else []
        quote, mention = _quote(fields.get("quote")), fields.get("mention", "true") != "false"
        contents += kept
        if kind not in ("text", "voice", "mixed") and kept:
            contents = [*kept]  # only these three carry words
        return self._sent(lambda: self._gateway.send(user, kind, *contents, chat=chat.id, quote=quote, mention=mention))

    async def _keep(self, kind: str, file: UploadFile) -> Medium:
        if (file.size or 0) > people.FILE_LIMIT:
            raise Rejected(413, f"people can send {people.FILE_LIMIT} bytes (protocol §6.1), not {file.size}")
        path = self._world.shelf.new_path()
        await asyncio.to_thread(_copy, file.file, path)
        return self._world.shelf.adopt(kind, file.filename or "", path, self._gateway.now())

    async def enter(self, request: Request) -> Response:
        chat, body = self._chat(request), await _body(request)
        if chat.type != "single":
            raise Rejected(400, "only single chats are entered")
        return self._sent(lambda: self._gateway.enter(chat.user, again=body.get("again", True) is True))

    async def click(self, request: Request) -> Response:
        body, message = await _body(request), request.path_params["message"]
        user, key, selected = _text(body, "user"), _text(body, "key"), body.get("selected")
        if selected is not None and not isinstance(selected, dict):
            raise Rejected(400, f"selected must map question keys to option ids, not {selected!r}")
        return self._sent(lambda: self._gateway.click(user, message, key, selected))

    async def feedback(self, request: Request) -> Response:
        body, message = await _body(request), request.path_params["message"]
        user, kind, content = _text(body, "user"), body.get("type"), _text(body, "content", "")
        reasons = body.get("reasons", [])
        if not isinstance(kind, int) or not isinstance(reasons, list):
            raise Rejected(400, f"type must be 1, 2 or 3 and reasons a list, not {kind!r} and {reasons!r}")
        return self._sent(lambda: self._gateway.feedback(user, message, kind, content, reasons))

    async def trace(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdigit():
            raise Rejected(400, f"after must be a number, not {after!r}")
        return JSONResponse([entry._asdict() for entry in self._world.trace.after(int(after))])

    async def violations(self, request: Request) -> Response:
        return JSONResponse([live.violation(found) for found in self._gateway.check()])

    async def list_faults(self, request: Request) -> Response:
        names = {name: list(arguments) for name, arguments in faults.NAMES.items()}
        return JSONResponse({"names": names, "state": self._world.faults.state()})

    async def apply_fault(self, request: Request) -> Response:
        body = await _body(request)
        name = _text(body, "name")
        try:
            self._world.faults.apply(name, {key: value for key, value in body.items() if key != "name"})
        except ValueError as error:
            raise Rejected(400, str(error)) from None
        return JSONResponse(self._world.faults.state())

    # -- files -----------------------------------------------------------------------------------------------------

    async def download(self, request: Request) -> Response:
        """What a link of a callback leads to (protocol §7)."""
        link = self._world.links.get(request.path_params["token"])
        if link is None or not link.medium.path.exists():
            return _storage_error(404, "NoSuchKey", "The specified key does not exist.")
        if self._gateway.now() >= link.expires:
            return _storage_error(403, "AccessDenied", "Request has expired")
        status, damage = self._world.faults.media_fate()
        if status != 200:
            return _storage_error(status, "ServiceUnavailable", "fault on demand (invented)")
        options = self._world.options
        size = media.encrypted_size(link.medium.size, options.padding) - (5 if damage == "short" else 0)
        headers = {"Content-Length": str(size), "Accept-Ranges": "none"}
        if disposition := media.disposition(link.medium.name, options.disposition):
            headers["Content-Disposition"] = disposition
        body = self._pieces(link, size, damage)
        return StreamingResponse(body, headers=headers, media_type="application/octet-stream")

    async def _pieces(self, link: Link, size: int, damage: str) -> AsyncIterator[bytes]:
        world = self._world
        await asyncio.sleep(world.faults.media_delay)
        left = size // 2 if damage == "cut" else size
        # Pages of a file that was just written come from memory, and a piece takes a fraction of a millisecond: cheaper
        # here than a hop to a thread for each.
        with link.medium.path.open("rb") as file:
            for piece in media.encrypt(file, link.key, world.options.padding, broken=damage == "garbled"):
                for part in _slow(piece, world.faults.media_rate):
                    yield part[:left]
                    left -= len(part)
                    if left <= 0:
                        return
                    if world.faults.media_rate:
                        await asyncio.sleep(len(part) / world.faults.media_rate)

    async def file(self, request: Request) -> Response:
        """What the bot uploaded or a person sent, for the page: never run, never guessed."""
        medium = self._world.shelf.get(request.path_params["media_id"])
        if medium is None or not medium.path.exists():
            raise Rejected(404, "there is no such file, or it is no longer kept")
        kind = _SHOWN_AS.get(Path(medium.name).suffix.lower(), "application/octet-stream")
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
        return FileResponse(medium.path, headers=headers, media_type=kind, filename=medium.name or medium.kind)

    async def respond(self, request: Request) -> Response:
        """``response_url`` (protocol §17): works once; a second POST is answered with 0 and shows nothing."""
        code, world, now = request.query_params.get("response_code", ""), self._world, self._gateway.now()
        entry = world.response_codes.get(code)
        if entry is None:
            return JSONResponse({"errcode": 40058, "errmsg": "invalid response_code (invented)"})
        chat, made = world.chats.by_id[entry[0]], entry[1]
        if now - made > world.options.response_url_lifetime:
            return JSONResponse({"errcode": 846604, "errmsg": "response_code is over (invented)"})
        body = await _body(request)
        kind: Any = body.get("msgtype")
        part: Any = body.get(kind) if isinstance(kind, str) else None
        bubble = world.new_bubble(chat, "bot", str(kind), now)
        try:
            if kind == "template_card":
                bubble.card = check(part)
            elif kind != "markdown" or not isinstance(part, dict) or not is_visible(str(part.get("content", ""))):
                return JSONResponse({"errcode": 40008, "errmsg": "invalid message type"})
            else:
                bubble.content = str(part["content"])
        except Refusal as refusal:
            return JSONResponse({"errcode": refusal.errcode, "errmsg": refusal.errmsg})
        if not world.use_response_code(code):
            return JSONResponse({"errcode": 0, "errmsg": "ok"})
        world.show(chat, bubble)
        return JSONResponse({"errcode": 0, "errmsg": "ok"})


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)


def _slow(piece: bytes, rate: int) -> list[bytes]:
    """Small parts for a slow download, so that it trickles instead of jumping."""
    step = max(1, rate // 10) if rate else len(piece)
    return [piece[start : start + step] for start in range(0, len(piece), step)]


def _storage_error(status: int, code: str, text: str) -> Response:
    """As object storage answers: XML."""
    body = f"<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>"
    return Response(body, status, media_type="application/xml")
