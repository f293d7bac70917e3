"""Two bots that know nothing but frames: ``Pure`` talks to the rules, ``Bot`` to a gateway over a socket."""

import asyncio
import base64
import hashlib
import itertools
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from agent.simulator import rules
from agent.simulator.gateway import Gateway
from agent.simulator.options import Options
from agent.simulator.world import Connection, Drop, Send, World

Json = dict[str, Any]
CHUNK = 512 * 1024


class Pure:
    """A world with a clock that the test moves, and a bot that acts in it. Acks leave at once."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.now = 1_700_000_000.0
        self.world = World(
            bot_id="bot", secret="secret", bot_name="Team Bot", options=Options(**options), folder=folder
        )
        self.world.base = "http://sim"
        self.people = Gateway(self.world, lambda: self.now)
        self.conn = self.connect()
        self._ids = itertools.count()

    def connect(self) -> Connection:
        return self.world.opened("127.0.0.1", self.now)

    def subscribe(self, conn: Connection | None = None, **body: Any) -> Json:
        frame = {"bot_id": "bot", "secret": "secret", **body}
        return self.ask("aibot_subscribe", frame, conn=conn)

    def ask(self, cmd: str, body: Json | None = None, *, req_id: str = "", conn: Connection | None = None) -> Json:
        """The ack of one command."""
        frame: Json = {"cmd": cmd, "headers": {"req_id": req_id or f"r{next(self._ids)}"}}
        if body is not None:
            frame["body"] = body
        return self.ask_frame(frame, conn=conn)

    def ask_frame(self, frame: Json, *, conn: Connection | None = None) -> Json:
        self.receive(json.dumps(frame), conn=conn)
        acks = [frame for to, frame in self.take() if to is (conn or self.conn) and "errcode" in frame]
        assert len(acks) == 1, acks
        return acks[0]

    def receive(self, data: str | bytes, *, conn: Connection | None = None) -> None:
        rules.receive(self.world, conn or self.conn, data, self.now)

    def take(self) -> list[tuple[Connection, Json]]:
        """Everything that left since the last call; callbacks are kept in ``callbacks`` too."""
        outbox, self.world.outbox = self.world.outbox, []
        frames = []
        for output in outbox:
            if isinstance(output, Send):
                if output.settles:
                    self.world.settle(output.conn, output.settles)
                frames += [(output.conn, json.loads(output.data))] * output.copies
        return frames

    def callback(self, conn: Connection | None = None) -> Json:
        """The one callback that left since the last call."""
        frames = [frame for to, frame in self.take() if to is (conn or self.conn) and frame.get("cmd", "") != "pong"]
        assert len(frames) == 1, frames
        return frames[0]

    def drops(self) -> list[Connection]:
        outbox, self.world.outbox = self.world.outbox, []
        return [output.conn for output in outbox if isinstance(output, Drop)]

    def tick(self, seconds: float = 0.0) -> None:
        self.now += seconds
        rules.tick(self.world, self.now)

    def say(self, text: str = "hello", user: str = "zhangsan", chat: str | None = None, **more: Any) -> str:
        """The req_id of a message that reached the bot."""
        sent = self.people.say(user, text, chat, **more)
        assert sent.delivered, sent
        self.take()
        return sent.req_id

    def stream(self, req_id: str, content: str, finish: bool = False, *, id: str = "S", **more: Any) -> Json:
        stream = {"id": id, "content": content, "finish": finish, **more}
        return self.ask("aibot_respond_msg", {"msgtype": "stream", "stream": stream}, req_id=req_id)

    def respond(self, req_id: str, msgtype: str, **part: Any) -> Json:
        return self.ask("aibot_respond_msg", {"msgtype": msgtype, msgtype: part}, req_id=req_id)

    def push(self, msgtype: str, part: Json, **target: Any) -> Json:
        return self.ask("aibot_send_msg", {**target, "msgtype": msgtype, msgtype: part})

    def upload(self, data: bytes, kind: str = "file", name: str = "a.bin") -> str:
        """The media_id of a complete upload."""
        chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
        md5 = hashlib.md5(data).hexdigest()
        init = {"type": kind, "filename": name, "total_size": len(data), "total_chunks": len(chunks), "md5": md5}
        upload_id = self.ask("aibot_upload_media_init", init)["body"]["upload_id"]
        for index, chunk in enumerate(chunks):
            body = {"upload_id": upload_id, "chunk_index": index, "base64_data": base64.b64encode(chunk).decode()}
            assert self.ask("aibot_upload_media_chunk", body)["errcode"] == 0
        media_id: str = self.ask("aibot_upload_media_finish", {"upload_id": upload_id})["body"]["media_id"]
        return media_id

    @property
    def rules_broken(self) -> list[str]:
        return [violation.rule for violation in self.world.violations]

    def close(self) -> None:
        self.world.uploads.close()


class Bot:
    """A socket that subscribes itself. Frames without a ``cmd`` are acks, all others callbacks."""

    def __init__(self, url: str, *, secret: str = "secret", subscribe: bool = True) -> None:
        self._url = url
        self._secret = secret
        self._subscribe = subscribe
        self._ids = itertools.count()
        self._callbacks: list[Json] = []
        self.socket: ClientConnection

    async def __aenter__(self) -> Self:
        self.socket = await connect(self._url, ping_interval=None, max_size=None)
        if self._subscribe:
            assert (await self.subscribe())["errcode"] == 0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.socket.close()

    async def subscribe(self) -> Json:
        return await self.ask("aibot_subscribe", {"bot_id": "bot", "secret": self._secret})

    async def send(self, cmd: str, body: Json | None = None, *, req_id: str = "") -> str:
        """The req_id that went out."""
        req_id = req_id or f"r{next(self._ids)}"
        frame: Json = {"cmd": cmd, "headers": {"req_id": req_id}}
        if body is not None:
            frame["body"] = body
        await self.socket.send(json.dumps(frame))
        return req_id

    async def ask(self, cmd: str, body: Json | None = None, *, req_id: str = "") -> Json:
        await self.send(cmd, body, req_id=req_id)
        return await self.ack()

    async def ask_raw_ping(self) -> Json:
        """The answer to a ping, whatever it looks like."""
        await self.send("ping")
        return await self.read()

    async def ack(self) -> Json:
        while "cmd" in (frame := await self.read()):
            self._callbacks.append(frame)
        return frame

    async def callback(self) -> Json:
        if self._callbacks:
            return self._callbacks.pop(0)
        frame = await self.read()
        assert "cmd" in frame, frame
        return frame

    async def read(self) -> Json:
        async with asyncio.timeout(10):
            frame: Json = json.loads(await self.socket.recv())
        return frame

    async def stream(self, req_id: str, content: str, finish: bool = False, *, id: str = "S") -> Json:
        stream = {"id": id, "content": content, "finish": finish}
        return await self.ask("aibot_respond_msg", {"msgtype": "stream", "stream": stream}, req_id=req_id)
