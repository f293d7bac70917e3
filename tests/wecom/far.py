"""A pretend gateway of a few lines that does whatever a test tells it to; `agent.simulator` is the faithful one."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agent.wecom import frames

Frame = dict[str, Any]
# What to send back for a frame: one frame, several, none; or an exception that ends the connection.
Reply = Frame | list[Frame] | None


def ok(frame: Frame, **body: Any) -> Frame:
    ack = {"headers": frame["headers"], "errcode": 0, "errmsg": "ok"}
    return {**ack, "body": body} if body else ack


def error(frame: Frame, errcode: int) -> Frame:
    return {"headers": frame["headers"], "errcode": errcode, "errmsg": "refused"}


def text(content: str = "hello", req_id: str = "REQ", **body: Any) -> Frame:
    """A text message of a single chat."""
    message = {"msgid": f"M-{req_id}", "aibotid": "bot", "chattype": "single", "from": {"userid": "zhangsan"}}
    return {
        "cmd": frames.MESSAGE,
        "headers": {"req_id": req_id},
        "body": {**message, "msgtype": "text", "text": {"content": content}, **body},
    }


class Far:
    """`frames` is everything that came, with the number of its connection; `answer` decides what goes back."""

    def __init__(self) -> None:
        self.url = ""
        self.sockets: list[ServerConnection] = []
        self.frames: list[tuple[int, Frame]] = []
        self.opened_at: list[float] = []
        self.closed: list[int] = []
        self.answer: Callable[[int, Frame], Reply] = lambda _number, frame: ok(frame)
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def serve(self, socket: ServerConnection) -> None:
        number = len(self.sockets)
        self.sockets.append(socket)
        self.opened_at.append(asyncio.get_running_loop().time())
        self.tell()
        try:
            async for data in socket:
                frame = json.loads(data)
                self.frames.append((number, frame))
                reply = self.answer(number, frame)
                for one in reply if isinstance(reply, list) else [reply] if reply else []:
                    await socket.send(json.dumps(one))
                self.tell()
        except ConnectionClosed:
            pass
        finally:
            self.closed.append(number)
            self.tell()

    def tell(self) -> None:
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """Waits until `condition` holds; it is asked again whenever something came or a connection opened or closed."""
        if condition():
            return
        entry = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await entry[1]
        except TimeoutError:
            raise TimeoutError(
                f"in vain; there were {[(number, one.get('cmd')) for number, one in self.frames]}"
            ) from None
        finally:
            self._waiters.remove(entry)

    async def send(self, frame: Frame | str | bytes, number: int = -1) -> None:
        await self.sockets[number].send(json.dumps(frame) if isinstance(frame, dict) else frame)

    def drop(self, number: int = -1) -> None:
        """Ends a connection without a close frame (1006)."""
        self.sockets[number].transport.abort()

    def count(self, cmd: str) -> int:
        return sum(frame.get("cmd") == cmd for _, frame in self.frames)

    def bodies(self, cmd: str) -> list[dict[str, Any]]:
        return [frame["body"] for _, frame in self.frames if frame.get("cmd") == cmd]

    def contents(self) -> list[str]:
        """Contents of the stream frames."""
        return [body["stream"]["content"] for body in self.bodies(frames.RESPOND) if body["msgtype"] == "stream"]


@asynccontextmanager
async def far_side(tls: ssl.SSLContext | None = None) -> AsyncIterator[Far]:
    far = Far()
    async with serve(
        far.serve, "127.0.0.1", 0, ping_interval=None, compression=None, ssl=tls, close_timeout=0.2, max_size=None
    ) as server:
        port = server.sockets[0].getsockname()[1]
        far.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        yield far
