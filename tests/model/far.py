"""The far side of the model client: an HTTP/1.1 server on loopback that does what a test tells it, byte by byte.

It shares no code with the client and knows nothing of uvicorn or the like, so that it can also misbehave: break a
chunked body in the middle, fall silent, dribble keep-alive comments, answer with something that is no SSE.
"""

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Line:
    """One connection, while one request is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        self.reader, self.writer, self.request = reader, writer, request

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", "Transfer-Encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        await self.writer.drain()

    async def send(self, data: bytes | str | dict[str, Any]) -> None:
        """One HTTP chunk: raw bytes, or an SSE event."""
        if isinstance(data, dict):
            data = json.dumps(data, ensure_ascii=False)
        if isinstance(data, str):
            data = f"data: {data}\n\n".encode()
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Until the client closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1024):
                pass


Script = Callable[[Line], Awaitable[None]]


class Far:
    """Answers the n-th request by the n-th script; the last one serves for the rest."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.scripts: deque[Script] = deque()
        self.connections = 0
        self.url = ""

    def will(self, *scripts: Script) -> None:
        self.scripts.extend(scripts)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await _request(reader)
                self.requests.append(request)
                script = self.scripts.popleft() if len(self.scripts) > 1 else self.scripts[0]
                line = Line(reader, writer, request)
                await script(line)
                if writer.transport.is_closing():
                    break
        writer.transport.abort()

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.requests]


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(data) if data else None)


@contextlib.asynccontextmanager
async def far_side(tls: ssl.SSLContext | None = None) -> AsyncIterator[Far]:
    far = Far()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await far.serve(reader, writer)
        except asyncio.CancelledError:  # the test is over
            writer.transport.abort()
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    far.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"
    try:
        yield far
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
        await asyncio.sleep(0)


# What a script sends


def delta(content: Any = ..., **fields: Any) -> dict[str, Any]:
    """A chunk as OpenAI writes it."""
    if content is not ...:
        fields["content"] = content
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": fields, "finish_reason": None}],
    }


def finish(reason: str = "stop", **fields: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], **fields}


def usage(prompt: int = 10, completion: int = 5) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def says(*chunks: dict[str, Any] | str | bytes, done: bool = True) -> Script:
    """A whole stream, each chunk an event."""

    async def script(line: Line) -> None:
        await line.head()
        for chunk in chunks:
            await line.send(chunk)
        if done:
            await line.send("[DONE]")
        await line.end()

    return script


def answers(text: str = "OK") -> Script:
    return says(delta(role="assistant", content=""), delta(text), finish(), usage())


def refuses(status: int, error: Any = None, **headers: str) -> Script:
    """An HTTP status with an error body."""

    async def script(line: Line) -> None:
        await line.head(status, "application/json", **headers)
        await line.send(json.dumps({"error": error} if isinstance(error, dict) else error or {}).encode())
        await line.end()

    return script


def breaks(*chunks: dict[str, Any]) -> Script:
    """A stream that loses its connection."""

    async def script(line: Line) -> None:
        await line.head()
        for chunk in chunks:
            await line.send(chunk)
        # The client reads what was sent before it sees the end: FIN, not RST.
        line.writer.close()

    return script


def raw(data: bytes) -> Script:
    """Bytes instead of an HTTP answer."""

    async def script(line: Line) -> None:
        line.writer.write(data)
        line.writer.close()

    return script
