"""The way to the endpoint: proxies, TLS, and the network backend under httpx2."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.model import wire
from agent.model.client import ModelClient
from agent.model.errors import Unreachable
from agent.model.stream import Finished, Text
from tests.model.conftest import HASTE, KEY
from tests.model.far import Far, answers, far_side, refuses
from tests.model.test_client import QUESTION, ask, fails

# The proxy


@pytest.mark.parametrize(
    ("url", "proxies", "proxy"),
    [
        ("https://a.com/v1", {}, None),
        ("https://a.com/v1", {"https": "http://p:1"}, "http://p:1"),
        ("https://a.com/v1", {"https": "p:1"}, "http://p:1"),
        ("https://a.com/v1", {"http": "http://p:1"}, None),
        ("http://a.com/v1", {"http": "http://p:1", "https": "http://q:1"}, "http://p:1"),
        ("https://a.com/v1", {"all": "http://p:1"}, "http://p:1"),
        ("https://a.com/v1", {"all": "socks5://p:1", "https": "http://q:1"}, "http://q:1"),
        # never for loopback
        ("http://127.0.0.1:8000/v1", {"all": "http://p:1"}, None),
        ("http://127.8.8.8/v1", {"all": "http://p:1"}, None),
        ("http://localhost:11434/v1", {"all": "http://p:1"}, None),
        ("http://LocalHost:11434/v1", {"all": "http://p:1"}, None),
        ("http://ollama.localhost/v1", {"all": "http://p:1"}, None),
        ("http://[::1]:1/v1", {"all": "http://p:1"}, None),
        ("http://localhost.example.com/v1", {"all": "http://p:1"}, "http://p:1"),
    ],
)
def test_proxy(url: str, proxies: dict[str, str], proxy: str | None) -> None:
    assert wire.proxy_for(url, proxies) == proxy


@pytest.mark.parametrize(
    ("excepted", "host", "is_direct"),
    [
        ("*", "a.com", True),
        ("a.com", "a.com", True),
        ("A.com", "a.COM", True),
        ("a.com", "x.a.com", True),
        (".a.com", "x.a.com", True),
        ("*.a.com", "x.a.com", True),
        ("a.com", "ba.com", False),
        ("b.com, a.com ,c.com", "a.com", True),
        ("a.com:443", "a.com", True),
        ("a.com:8443", "a.com", False),
        ("a.com:8443", "a.com:8443", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.0.0.0/8", "a.com", False),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("", "a.com", False),
        (",,", "a.com", False),
        (".", "a.com", False),
    ],
)
def test_no_proxy(excepted: str, host: str, is_direct: bool) -> None:
    proxy = wire.proxy_for(f"https://{host}/v1", {"https": "http://p:1", "no": excepted})
    assert (proxy is None) == is_direct


@pytest.mark.parametrize(("proxy", "said"), [("socks5://u:pw@p:1", "socksio"), ("ftp://u:pw@p:1", "'ftp'")])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(proxy: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        wire.proxy_for("https://a.com/v1", {"https": proxy})
    assert "HTTPS_PROXY" in str(caught.value)
    assert "pw" not in str(caught.value)


@contextlib.asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that leads everything to one port of this machine: its address, and the request lines it saw."""
    seen: list[str] = []
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0].decode())
        if b"Proxy-Authorization: Basic dTpw" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writers.append(back)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            back.write(head)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, back))
            group.create_task(pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


def port_of(far: Far) -> int:
    return int(far.url.rpartition(":")[2].partition("/")[0])


async def test_through_a_proxy_in_the_clear(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    far.will(answers("OK"))
    async with proxy_to(port_of(far)) as (address, seen):
        monkeypatch.setenv("HTTP_PROXY", f"http://u:p@{address}")
        async with ModelClient("http://model.example/v1", KEY, patience=HASTE) as client:
            assert Text("OK") in await ask(client)
    assert seen == ["POST http://model.example/v1/chat/completions HTTP/1.1"]


async def test_loopback_is_never_proxied(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    far.will(answers("OK"))
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with ModelClient(far.url, KEY, patience=HASTE) as client:
        assert Text("OK") in await ask(client)


async def test_a_proxy_that_refuses(far: Far, monkeypatch: pytest.MonkeyPatch, trust: "Trust") -> None:
    async with proxy_to(port_of(far)) as (address, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://u:wrong@{address}")
        async with ModelClient(
            "https://model.example/v1", KEY, ca_file=trust.ca, patience=replace(HASTE, retries=0)
        ) as client:
            _, error = await fails(client, Unreachable)
    assert "407" in str(error)
    assert "wrong" not in str(error)


# TLS


class Trust:
    """A private CA, and a server that it vouches for."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), _name("Private CA")
        ca = _certificate(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=None))
        self.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("model.example")]
        )
        leaf = _certificate(_name("model.example"), ca_name, key, ca_key, names)
        pem = folder / "server.pem"
        pem.write_bytes(
            leaf.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(pem)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any, signer: Any, extension: Any) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(True, False, False, False, False, subject == issuer, subject == issuer, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(extension, critical=subject == issuer)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trust]:
    yield Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture
async def tls(trust: Trust) -> AsyncIterator[Far]:
    async with far_side(trust.server) as side:
        yield side


async def test_a_private_ca(tls: Far, trust: Trust) -> None:
    tls.will(answers("OK"))
    async with ModelClient(tls.url, KEY, ca_file=trust.ca, patience=HASTE) as client:
        for _ in range(3):
            assert (await ask(client))[-1] == Finished("stop")
    assert tls.connections == 1


async def test_a_certificate_that_nobody_vouches_for(tls: Far) -> None:
    tls.will(answers("OK"))
    async with ModelClient(tls.url, KEY, patience=replace(HASTE, retries=0)) as client:
        _, error = await fails(client, Unreachable)
    assert "certificate verify failed" in str(error).lower()
    assert tls.requests == []


async def test_through_a_tunnel(tls: Far, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    tls.will(answers("OK"))
    async with proxy_to(port_of(tls)) as (address, seen):
        monkeypatch.setenv("HTTPS_PROXY", f"http://u:p@{address}")
        async with ModelClient("https://model.example/v1", KEY, ca_file=trust.ca, patience=HASTE) as client:
            for _ in range(2):
                assert Text("OK") in await ask(client)
    assert seen == ["CONNECT model.example:443 HTTP/1.1"]
    assert tls.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "proxy-authorization" not in tls.requests[0].headers


async def test_plain_http_where_tls_is_spoken() -> None:
    patience = replace(HASTE, retries=0)
    async with (
        _greets(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        ModelClient(f"https://127.0.0.1:{port}/v1", KEY, patience=patience) as client,
    ):
        _, error = await fails(client, Unreachable)
    assert "SSL" in str(error)


async def test_a_handshake_that_never_ends() -> None:
    async with _greets() as port:
        patience = replace(HASTE, retries=0, connect=0.1)
        async with ModelClient(f"https://127.0.0.1:{port}/v1", KEY, patience=patience) as client:
            _, error = await fails(client, Unreachable)
    assert "in time" in str(error)


async def test_cancelled_in_the_handshake() -> None:
    async with _greets() as port, ModelClient(f"https://127.0.0.1:{port}/v1", KEY, patience=HASTE) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask(client)


@contextlib.asynccontextmanager
async def _greets(greeting: bytes = b"") -> AsyncIterator[int]:
    """A server that accepts, says one thing or nothing, and hears nothing."""
    writers: list[asyncio.StreamWriter] = []

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(greeting)

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
async def test_a_ca_file_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"ca\.pem"):
        async with ModelClient("https://a.com/v1", KEY, ca_file=path):
            pass


# The backend


async def test_the_backend_is_in_use(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the attribute through which it is handed in: without it all works, at half as much CPU again."""
    opened: list[int] = []
    connect = wire.Backend.connect_tcp

    async def counted(self: wire.Backend, host: str, port: int, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        opened.append(port)
        return await connect(self, host, port, **kwargs)

    monkeypatch.setattr(wire.Backend, "connect_tcp", counted)
    far.will(answers("OK"))
    async with ModelClient(far.url, KEY, patience=HASTE) as client:
        await ask(client)
    assert opened == [port_of(far)]


async def test_a_connection_that_the_endpoint_closed_is_not_used_again(far: Far) -> None:
    async def answers_once(line: Any) -> None:
        await answers("OK")(line)
        line.writer.close()
        closed.set()

    closed = asyncio.Event()
    far.will(answers_once)
    async with ModelClient(far.url, KEY, patience=replace(HASTE, retries=0)) as client:
        for _ in range(3):
            assert Text("OK") in await ask(client)
            await closed.wait()
            closed.clear()
            await asyncio.sleep(0.01)  # for the FIN to be seen
    assert far.connections == 3


async def test_an_early_refusal_of_a_large_request_is_read(far: Far) -> None:
    far.will(refuses(413))
    image = "data:image/png;base64," + "A" * 3_000_000
    question = [*QUESTION, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}]}]
    async with ModelClient(far.url, KEY, patience=HASTE) as client, client.stream(question, model="m") as answer:
        with pytest.raises(Exception, match="413"):
            await anext(answer)
    assert far.bodies[0]["messages"] == question


async def test_stream_and_pipe_by_themselves() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4) * 2)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    backend = wire.Backend()
    stream = await backend.connect_tcp("127.0.0.1", port, timeout=5)
    with pytest.raises(httpcore2.ReadTimeout):
        await stream.read(100, timeout=0.01)
    assert not stream.get_extra_info("is_readable")
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
    assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
    assert stream.get_extra_info("ssl_object") is None
    await stream.write(b"ping")
    assert await stream.read(3) == b"pin"
    assert stream.get_extra_info("is_readable")
    rest = b""
    while data := await stream.read(100):
        rest += data
    assert rest == b"gping"
    assert await stream.read(100) == b""
    with pytest.raises(httpcore2.WriteError):
        await stream.write(b"x")
    await stream.aclose()
    server.close()
    with pytest.raises(httpcore2.ConnectError):
        await backend.connect_tcp("127.0.0.1", port)
