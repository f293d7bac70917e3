"""A pretend object storage: serves what the test says, byte for byte, over plain HTTP or TLS."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES = bytes(range(32))
KEY = base64.b64encode(KEY_BYTES).decode().rstrip("=")
PIECE = 256 * 1024


def encrypt(plain: bytes, key: bytes = KEY_BYTES, block: int = 32, padding: bytes | None = None) -> bytes:
    """AES-256-CBC as WeCom does it (protocol §7): IV is the key's first half, PKCS#7 to `block` bytes."""
    if padding is None:
        count = block - len(plain) % block
        padding = bytes([count]) * count
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return encryptor.update(plain + padding) + encryptor.finalize()


@dataclass(slots=True)
class Answer:
    """One response. `pieces` are written one after the other; `announced` is the Content-Length, None for none.

    `cut` ends the connection after so many bytes of the body.
    """

    pieces: Iterable[bytes] = ()
    status: int = 200
    headers: dict[str, bytes] = field(default_factory=dict)
    announced: int | None = None
    cut: int | None = None

    @classmethod
    def of(cls, body: bytes, status: int = 200, **headers: bytes) -> "Answer":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls([body], status, named, len(body))


class Storage:
    """`answers` are given one after the other, the last one for ever; `asked` are the paths."""

    def __init__(self, *answers: Answer | Callable[[], Answer]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.split(b" ", 2)[1].decode())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            await self._give(answer() if callable(answer) else answer, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _give(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        headers = dict(answer.headers)
        if answer.announced is not None:
            headers["Content-Length"] = str(answer.announced).encode()
        lines = [
            f"HTTP/1.1 {answer.status} X".encode(),
            *(name.encode() + b": " + value for name, value in headers.items()),
        ]
        writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
        left = answer.cut
        for piece in answer.pieces:
            writer.write(piece if left is None else piece[:left])
            await writer.drain()
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    writer.transport.abort()
                    return


@asynccontextmanager
async def storage(*answers: Answer | Callable[[], Answer], tls: ssl.SSLContext | None = None) -> AsyncIterator[Storage]:
    """A storage on a free port of this machine; `url` is where a file is."""
    far = Storage(*answers)
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    far.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/object?sign=s"
    async with server:
        yield far
