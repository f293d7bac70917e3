"""Opening the socket: certificates, proxies, and what is said when it cannot be opened."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.wecom import frames
from agent.wecom.transport import is_loopback, tls_context
from tests.wecom import certificates
from tests.wecom.far import Far, far_side
from tests.wecom.lines import Running
from tests.wecom.proxies import proxy


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as one:
        yield one


# --- TLS


async def test_a_private_ca_is_accepted_with_its_file_and_refused_without(tmp_path: Path) -> None:
    private = certificates.make(tmp_path, "127.0.0.1")
    async with far_side(private.server) as far:
        async with Running(far.url, ca_file=str(private.ca_file)).up() as running:
            await running.line.request(frames.SEND, {})
        failure = await Running(far.url, max_reconnect_attempts=0).ends()
    assert "a certificate that is not trusted" in str(failure.__cause__)
    assert "set WECOM_CA_FILE to its CA certificate" in str(failure.__cause__)


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    private = certificates.make(tmp_path, "elsewhere.example")
    async with far_side(private.server) as far:
        failure = await Running(far.url, ca_file=str(private.ca_file), max_reconnect_attempts=0).ends()
    assert "not trusted" in str(failure.__cause__)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_ca_file_that_is_none_is_said(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    failure = await Running("wss://127.0.0.1:1", ca_file=str(path), max_reconnect_attempts=0).ends()
    assert f"WECOM_CA_FILE {str(path)!r} cannot be used" in str(failure.__cause__)
    with pytest.raises(OSError, match="WECOM_CA_FILE"):
        tls_context(str(path))


# --- proxies


HOST = "gateway.corp.example"


@pytest.mark.parametrize("spelling", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("login", ["", "user:p%40ss word"])
async def test_a_proxy_is_used_for_a_host_that_only_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str, login: str
) -> None:
    private = certificates.make(tmp_path, HOST)
    async with far_side(private.server) as far, proxy(login=login) as middle:
        monkeypatch.setenv(spelling, middle.url)
        port = far.url.rpartition(":")[2]
        async with Running(f"wss://{HOST}:{port}", ca_file=str(private.ca_file)).up() as running:
            await running.line.request(frames.SEND, {})
        assert middle.asked == [f"CONNECT {HOST}:{port} HTTP/1.1"]
    assert far.count(frames.SEND) == 1


async def test_no_proxy_goes_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy() as middle:
        monkeypatch.setenv("HTTPS_PROXY", middle.url)
        monkeypatch.setenv("NO_PROXY", "other.example,.corp.example")
        failure = await Running(f"wss://{HOST}", max_reconnect_attempts=0).ends()
        assert middle.asked == []
    assert "cannot reach" in str(failure.__cause__)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_this_machine_is_never_reached_through_a_proxy(
    far: Far, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with proxy() as middle:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, middle.url)
        async with Running(far.url.replace("127.0.0.1", name)).up() as running:
            await running.line.request(frames.SEND, {})
        assert middle.asked == []


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    async with proxy(status) as middle:
        monkeypatch.setenv("HTTPS_PROXY", middle.url)
        failure = await Running(f"wss://{HOST}", max_reconnect_attempts=0).ends()
    assert "the proxy does not let the connection through" in str(failure.__cause__)
    assert status[:3] in str(failure.__cause__)
    assert "HTTPS_PROXY" in str(failure.__cause__)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "socks5://127.0.0.1:1"])
async def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    failure = await Running(f"wss://{HOST}", max_reconnect_attempts=0).ends()
    assert "NO_PROXY" in str(failure.__cause__)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False),
        ("localhost.example", False), ("", False), (None, False), ("openws.work.weixin.qq.com", False),
    ],
)  # fmt: skip
def test_loopback(host: str | None, local: bool) -> None:
    assert is_loopback(host) is local
