"""What stands between a bot and the far side: a company's HTTP proxy, or a network that goes dead."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit


class Proxy:
    """An HTTP proxy that knows CONNECT only, and takes every name for this machine.

    `login` (as in a URL) is asked for; `asked` are the request lines that came with it.
    """

    def __init__(self, status: str, login: str) -> None:
        self.status, self.login = status, login
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = self.status
        if self.login:
            token = base64.b64encode(unquote(self.login).encode()).decode()
            if f"proxy-authorization: basic {token}\r\n".lower() not in request.lower():
                status = "407 Proxy Authentication Required"
        if status == self.status:
            self.asked.append(request.split("\r\n")[0])
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await writer.drain()
        if status.startswith("200"):
            port = int(request.split()[1].rpartition(":")[2])
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        writer.close()


@asynccontextmanager
async def proxy(status: str = "200 Connection established", login: str = "") -> AsyncIterator[Proxy]:
    one = Proxy(status, login)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    user = f"{login.replace(' ', '%20')}@" if login else ""
    one.url = f"http://{user}127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield one


class Relay:
    """Passes bytes both ways; while it `swallows`, it takes them and passes none, and no socket closes."""

    def __init__(self) -> None:
        self.swallows = False
        self.url = ""

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def relay(url: str) -> AsyncIterator[Relay]:
    one, there = Relay(), urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(there.hostname, there.port)
        await asyncio.gather(one.pass_on(reader, there_writer), one.pass_on(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.url = f"{there.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield one


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await Relay().pass_on(reader, writer)
