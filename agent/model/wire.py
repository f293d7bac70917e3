"""The way to the endpoint: proxy, trust, and a socket that costs little per token.

Knows sockets, TLS and proxies as httpx2's transport needs them. Does not know requests or models.

httpx2's own network backend (anyio) registers and unregisters the socket with the event loop on every read. A stream of
tokens is mostly reads of 300 bytes, so that this was the largest part of a token's cost: with the backend below 1000
chunks on 100 streams took 71, 93 and 136 ms of CPU at 50, 25 and 10 chunks a second each, with anyio 93, 139 and
214 ms (Python 3.11, 2 cores).
"""

import asyncio
import contextlib
import importlib.util
import ipaddress
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

# A reader that is slower than the model may fall this far behind before the socket is left alone.
BUFFER_LIMIT = 256 * 1024
# Between two turns; beyond what endpoints commonly hold a connection open, reuse fails more often than it helps.
KEEPALIVE_SECONDS = 30.0
# The delay of RFC 8305 before the next address is tried beside a silent one.
NEXT_ADDRESS_SECONDS = 0.25


def transport(base_url: str, ca_file: Path | None = None) -> httpx2.AsyncHTTPTransport:
    """A pool of connections for ``base_url``: through the environment's proxy unless it is loopback or excepted, with
    the system's certificates and those of ``ca_file``. Raises ValueError, naming the setting at fault."""
    made = httpx2.AsyncHTTPTransport(
        verify=_trust(ca_file),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEPALIVE_SECONDS),
        proxy=proxy_for(base_url),
    )
    # The pool takes a backend as an argument, the transport hands none on. If a release renames the attribute, anyio
    # serves again and only the cost above comes back; a test says so.
    with contextlib.suppress(AttributeError):
        made._pool._network_backend = Backend()
    return made


def proxy_for(url: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """The proxy for ``url`` as the environment (or the system) says: by scheme, else ALL_PROXY; None for loopback and
    for what NO_PROXY names: hosts with their subdomains, addresses, networks, ``*``, each with an optional port.

    ``proxies`` stands in for `urllib.request.getproxies`. Raises ValueError for a proxy that cannot be used.
    """
    proxies = urllib.request.getproxies() if proxies is None else proxies
    parts = urllib.parse.urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if (
        not proxy
        or _is_loopback(host)
        or any(_excepts(entry, host, port) for entry in proxies.get("no", "").split(","))
    ):
        return None
    if "://" not in proxy:
        proxy = "http://" + proxy
    scheme = urllib.parse.urlsplit(proxy).scheme
    if scheme not in ("http", "https", "socks5", "socks5h"):
        raise ValueError(f"a proxy of the kind {scheme!r} cannot be used; set HTTPS_PROXY to an http:// proxy")
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ValueError(
            f"a {scheme} proxy needs the package socksio; install it, or set HTTPS_PROXY to an http:// proxy"
        )
    return proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _excepts(entry: str, host: str, port: int) -> bool:
    entry = entry.strip().lower()
    if entry == "*":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal():
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return bool(entry) and (host == entry or host.endswith("." + entry))


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(
                f"the CA file {str(ca_file)!r} cannot be read: {error}; it must hold PEM certificates"
            ) from error
    return context


class Backend(httpcore2.AsyncNetworkBackend):
    """httpcore2's network on plain asyncio protocols."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore2's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        with _as_connect_errors():
            async with asyncio.timeout(timeout):
                transport, pipe = await asyncio.get_running_loop().create_connection(
                    _Pipe,
                    host,
                    port,
                    local_addr=(local_address, 0) if local_address else None,
                    happy_eyeballs_delay=NEXT_ADDRESS_SECONDS,
                )
            for option in socket_options or ():
                transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(pipe)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, pipe: "_Pipe") -> None:
        self._pipe = pipe

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        pipe = self._pipe
        if not pipe.buffer and not pipe.is_over:
            if timeout is None:  # as on every read of an answer, whose deadlines are the client's
                await pipe.wait()
            else:
                try:
                    async with asyncio.timeout(timeout):
                        await pipe.wait()
                except TimeoutError as error:
                    raise httpcore2.ReadTimeout(str(error)) from error
        return pipe.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        # Not waited for: the request is in memory anyway, and the caller's clock runs until the answer comes.
        if self._pipe.is_over:
            raise httpcore2.WriteError("the connection is closed")
        if buffer:
            self._pipe.transport.write(buffer)

    async def aclose(self) -> None:
        # At once, whatever is still under way: an endpoint stops generating when its socket goes.
        self._pipe.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        pipe = self._pipe
        try:
            with _as_connect_errors():
                async with asyncio.timeout(timeout):
                    secured = await asyncio.get_running_loop().start_tls(
                        pipe.transport, pipe, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            await self.aclose()
            raise
        assert isinstance(secured, asyncio.Transport)
        pipe.transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "is_readable":  # asked of idle connections: anything to read there is the end
                return bool(self._pipe.buffer) or self._pipe.is_over
            case "client_addr":
                return self._pipe.transport.get_extra_info("sockname")
            case "server_addr":
                return self._pipe.transport.get_extra_info("peername")
            case _:
                return self._pipe.transport.get_extra_info(info)


class _Pipe(asyncio.Protocol):
    """What came from one socket and was not read yet."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.is_over = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > BUFFER_LIMIT and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.is_over = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over = True
        self._error = error
        self._wake()

    async def wait(self) -> None:
        """Until there is something to take, or the end."""
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def take(self, size: int) -> bytes:
        """Up to ``size`` bytes; b"" at the end. Raises ReadError when the connection broke."""
        if not self.buffer and self._error is not None:
            raise httpcore2.ReadError(str(self._error)) from self._error
        if len(self.buffer) <= size:
            data = bytes(self.buffer)
            self.buffer.clear()
        else:
            data = bytes(self.buffer[:size])
            del self.buffer[:size]
        if self._is_paused and not self.buffer:
            self._is_paused = False
            if not self.is_over:
                self.transport.resume_reading()
        return data

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


@contextlib.contextmanager
def _as_connect_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:  # an OSError too, so it comes first
        raise httpcore2.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpcore2.ConnectError(str(error)) from error
