"""The socket under a session: opening it past proxies and certificates, and what a failure to do so means.

Knows the WebSocket library, TLS and proxies; nothing of frames, and nothing of when to connect.
"""

import asyncio
import ipaddress
import logging
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidURI, ProxyError, WebSocketException
from websockets.frames import Frame as SocketFrame
from websockets.frames import Opcode

DEFAULT_URL = "wss://openws.work.weixin.qq.com"

# Callbacks are text; the bound only keeps a mad peer from filling the memory.
MAX_MESSAGE_SIZE = 16 * 1024 * 1024
OPEN_TIMEOUT = 15.0
CLOSE_TIMEOUT = 1.0

# What opening may raise. ValueError: a URL or host name that cannot be read; ImportError: a SOCKS proxy without its
# library.
FAILURES = (OSError, WebSocketException, TimeoutError, EOFError, ValueError, ImportError)

_log = logging.getLogger(__name__)


class _Silent(logging.LoggerAdapter[logging.Logger]):
    """For the library's own lines: at DEBUG it would print every frame, the secret in the first one included."""

    def isEnabledFor(self, level: int) -> bool:
        return level > logging.DEBUG and super().isEnabledFor(level)


_silent = _Silent(_log, {})


def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine; such a connection never goes through a proxy."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's trust, and the certificates of `ca_file` with it.

    Raises:
        OSError: the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise _CaFileError(f"WECOM_CA_FILE {ca_file!r} cannot be used: {error}") from None
    return context


class _CaFileError(OSError):
    """The file with the private deployment's certificates is missing or holds none."""


class Socket(ClientConnection):
    """The library's connection with its message queue cut short: whole messages go straight to `on_message`."""

    on_message: Callable[[bytes], None] | None = None
    on_lost: Callable[[str], None] | None = None
    _parts: bytearray | None = None
    _flushing = False

    def process_event(self, event: Any) -> None:
        if self.on_message is None or not isinstance(event, SocketFrame):
            super().process_event(event)
            return
        match event.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if self._parts is None and event.fin:
                    self.on_message(bytes(event.data))
                    return
                if self._parts is None:
                    self._parts = bytearray()
                self._parts += event.data
                if event.fin:
                    whole, self._parts = bytes(self._parts), None
                    self.on_message(whole)
            case Opcode.CLOSE if self.on_lost is not None:
                self.on_lost(f"closed by the peer: {self.protocol.close_rcvd}")
            case _:
                super().process_event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.on_lost is not None:
            closed = self.protocol.close_exc
            self.on_lost(f"the socket closed: {exc or closed.__cause__ or closed}")

    def write(self, message: bytes) -> None:
        """Writes one text message: at once if it is the turn's first, else at the end of this turn of the loop.

        Raises:
            WebSocketException, ConnectionError: the socket is closed, the message did not go out.
        """
        if self.transport.is_closing():  # asyncio would drop the bytes without a word
            raise ConnectionError("the socket is closing")
        self.protocol.send_text(message)
        if not self._flushing:
            self._flushing = True
            self.send_data()
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Hands over what was written in this turn of the loop behind its first message, in one piece: that one leaves
        at once, and a hundred chats cost two system calls."""
        self._flushing = False
        if self.protocol.writes and not self.transport.is_closing():
            self.send_data()

    def send_data(self) -> None:
        writes = self.protocol.writes
        if len(writes) > 1 and all(writes):  # an empty one stands for the end of the stream
            self.protocol.writes = [b"".join(writes)]
        super().send_data()


async def open_socket(url: str, ca_file: str | None) -> Socket:
    """A connection to `url`, through the environment's proxy unless it is on this machine.

    Raises one of `FAILURES`; `explain` says what it means.
    """
    parts = urlsplit(url)
    extra: dict[str, Any] = {}
    if parts.scheme == "wss":
        extra["ssl"] = tls_context(ca_file)
    socket = await connect(
        url,
        logger=_silent,
        compression=None,
        proxy=None if is_loopback(parts.hostname) else True,
        open_timeout=OPEN_TIMEOUT,
        close_timeout=CLOSE_TIMEOUT,
        ping_interval=None,
        max_size=MAX_MESSAGE_SIZE,
        create_connection=Socket,
        **extra,
    )
    assert isinstance(socket, Socket)
    return socket


async def close(socket: Socket) -> None:
    """Says goodbye if the peer still listens; never takes longer than the close timeout."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT * 2):
            await socket.close()
    except (OSError, WebSocketException, TimeoutError):
        pass
    finally:
        socket.transport.abort()


def explain(error: Exception, url: str) -> str:
    """A failed connection attempt in words that name the remedy."""
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"{url} shows a certificate that is not trusted ({error.verify_message}); "
                "for a private deployment set WECOM_CA_FILE to its CA certificate"
            )
        case _CaFileError():
            return str(error)
        case InvalidURI():
            return f"{error}; WECOM_BOT_WS_URL looks like {DEFAULT_URL!r}"
        case InvalidProxy() | ImportError():
            return f"{error}; correct HTTPS_PROXY or exempt the host with NO_PROXY"
        case ProxyError():
            return f"the proxy does not let the connection through: {error}; correct HTTPS_PROXY or set NO_PROXY"
        case InvalidHandshake():
            return f"{url} does not answer as a WebSocket server: {error}"
        case TimeoutError():
            return f"{url} did not answer within {OPEN_TIMEOUT:g} s"
    return f"cannot reach {url}: {error or type(error).__name__}"
