"""AGENT_HTTP: what a supervisor and Prometheus are told, over a real socket."""

import asyncio
import contextlib
import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import health
from agent.health import CannotListen, Counts, Line, Metrics, exposition, listening, ready
from agent.store import chats, deliveries, turns
from agent.store.database import open_for_bot

AT = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
UP = Line("subscribed", "", "2026-11-23T01:30:00.000+00:00", 3)
DOWN = Line("down", "the socket closed: 1006", "2026-11-23T01:30:00.000+00:00", 3)
CHAT = chats.Address("bot/single/lisi", "bot", "single", "lisi")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "agent.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_for_bot(path)
    yield connection
    connection.close()


def ask(db: sqlite3.Connection, number: int) -> int:
    turn = turns.receive(
        db, chat=CHAT, msgid=f"m{number}", req_id="r", user_id="lisi", kind="text", text="hi", body={}, at=AT
    )
    assert turn is not None
    return turn


def answer(db: sqlite3.Connection, turn: int, error: str | None = None) -> None:
    turns.start(db, turn, AT, model='deep"seek')
    turns.answer(db, turn, AT, answer="ok", prompt_tokens=100, completion_tokens=20, error=error)


async def fetch(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    return parse(await exchange(port, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))


async def exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def parse(data: bytes) -> tuple[int, dict[str, str], str]:
    head, _, body = data.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def samples(text: str) -> dict[str, float]:
    """Metrics by name and labels; every line has to be one that Prometheus reads."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP wecom_agent_\w+ .+|TYPE wecom_agent_\w+ (counter|gauge))", line)
            continue
        match = re.fullmatch(r'(wecom_agent_\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})?) (\d+)', line)
        assert match, line
        found[match[1]] = float(match[2])
    return found


# --- the three answers


async def test_alive_and_ready_follow_the_line(path: Path, db: sqlite3.Connection) -> None:
    line = UP
    async with listening(("127.0.0.1", 0), path, lambda: line) as port:
        assert await fetch(port, "/healthz") == (200, _headers(3), "ok\n")
        status, headers, body = await fetch(port, "/readyz")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert json.loads(body) == {"state": "subscribed", "reason": "", "since": UP.since}
        line = DOWN
        status, _, body = await fetch(port, "/readyz")
        assert (status, json.loads(body)["reason"]) == (503, "the socket closed: 1006")
        assert (await fetch(port, "/healthz"))[0] == 200


def _headers(length: int) -> dict[str, str]:
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(length),
        "Cache-Control": "no-store",
        "Connection": "close",
    }


@pytest.mark.parametrize("state", ["starting", "connecting", "down"])
def test_only_subscribed_is_ready(state: str) -> None:
    assert ready(Line(state, "", "", 0)).status == 503


async def test_metrics_count_what_is_in_the_database(path: Path, db: sqlite3.Connection) -> None:
    answer(db, first := ask(db, 1))
    turns.deliver(db, first, AT)
    answer(db, second := ask(db, 2), error="overloaded")
    turns.fail(db, second, AT, error="overloaded")
    answer(db, ask(db, 3))
    deliveries.settle(db, deliveries.begin(db, turn=first, kind="stream", at=AT), "acked", AT)
    deliveries.begin(db, turn=second, kind="stream", at=AT)
    async with listening(("127.0.0.1", 0), path, lambda: UP) as port:
        status, headers, body = await fetch(port, "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = samples(body)
    assert found["wecom_agent_subscribed"] == 1
    assert found["wecom_agent_connections_total"] == 3
    assert found['wecom_agent_turns_total{state="delivered"}'] == 1
    assert found['wecom_agent_turns_total{state="failed"}'] == 1
    assert found['wecom_agent_turns_total{state="cancelled"}'] == 0
    assert found['wecom_agent_open_turns{state="answered"}'] == 1
    assert found['wecom_agent_errors_total{code="overloaded"}'] == 1
    assert found['wecom_agent_deliveries_total{state="acked"}'] == 1
    assert found["wecom_agent_open_deliveries"] == 1
    assert found['wecom_agent_tokens_total{model="deep\\"seek",kind="prompt"}'] == 300
    assert found['wecom_agent_tokens_total{model="deep\\"seek",kind="completion"}'] == 60


def test_the_text_format_has_a_type_for_each_metric() -> None:
    text = exposition(DOWN, Counts())
    assert samples(text)["wecom_agent_subscribed"] == 0
    named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name.partition("{")[0] for name in samples(text)} <= named
    assert all(name.endswith("_total") == (f"# TYPE {name} counter" in text) for name in named)


# --- counting


async def test_settled_rows_are_counted_once_and_open_ones_anew(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CACHE", 0.0)
    metrics = Metrics(path)
    first, second, third = (ask(db, number) for number in range(3))
    for turn in (first, third):
        answer(db, turn)
        turns.deliver(db, turn, AT)
    assert (await metrics.counts()).turns == {"delivered": 2, "received": 1}
    assert (await metrics.counts()).turns == {"delivered": 2, "received": 1}
    answer(db, second)
    turns.deliver(db, second, AT)
    counts = await metrics.counts()
    assert (counts.turns, counts.tokens['deep"seek', "prompt"]) == ({"delivered": 3}, 300)
    assert metrics._turn == third
    ask(db, 4)
    assert (await metrics.counts()).turns == {"delivered": 3, "received": 1}
    # A new process, which remembers nothing, counts the same.
    assert await Metrics(path).counts() == await metrics.counts()


async def test_many_scrapes_are_one_query(path: Path, db: sqlite3.Connection) -> None:
    metrics = Metrics(path)
    before = await metrics.counts()
    ask(db, 1)
    again = await asyncio.gather(*(metrics.counts() for _ in range(5)))
    assert all(counts is before for counts in again)


async def test_a_scrape_reads_while_the_bot_writes(path: Path, db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    ask(db, 1)
    assert (await Metrics(path).counts()).turns == {}
    db.execute("COMMIT")


async def test_a_database_that_cannot_be_read_is_said(path: Path) -> None:
    async with listening(("127.0.0.1", 0), path, lambda: UP) as port:
        status, _, body = await fetch(port, "/metrics")
        assert (status, "no database at" in body) == (503, True)
        assert (await fetch(port, "/healthz"))[0] == 200


# --- the address


async def test_off_by_default(path: Path) -> None:
    async with listening(None, path, lambda: UP) as port:
        assert port == 0


async def test_a_taken_port_names_the_setting_and_the_remedy(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            async with listening(("127.0.0.1", port), path, lambda: UP):
                pass
    assert str(caught.value).startswith(f"AGENT_HTTP: cannot listen on 127.0.0.1:{port} (address already in use); stop")


async def test_ipv6(path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        async with listening(("::1", 0), path, lambda: UP) as port:
            reader, writer = await asyncio.open_connection("::1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert parse(await reader.read())[0] == 200
            writer.close()
            await writer.wait_closed()
    except CannotListen as error:
        pytest.skip(f"this machine has no IPv6: {error}")


# --- odd requests


async def test_head_has_no_body_and_a_query_is_ignored(path: Path) -> None:
    async with listening(("127.0.0.1", 0), path, lambda: UP) as port:
        status, headers, body = await fetch(port, "/healthz?verbose=1", "HEAD")
        assert (status, headers["Content-Length"], body) == (200, "3", "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /secret HTTP/1.1\r\n\r\n", 404),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"GET /healthz HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /" + "年".encode() + b" HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_is_not_served_is_refused(path: Path, request_: bytes, status: int) -> None:
    async with listening(("127.0.0.1", 0), path, lambda: UP) as port:
        assert parse(await exchange(port, request_))[0] == status
        assert (await fetch(port, "/healthz"))[0] == 200


async def test_a_head_that_is_too_long_or_never_ends_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    async with listening(("127.0.0.1", 0), path, lambda: UP) as port:
        assert await exchange(port, b"GET /healthz HTTP/1.1\r\n") == b""
        with_reset = asyncio.gather(exchange(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000), return_exceptions=True)
        (answered,) = await with_reset
        assert answered == b"" or isinstance(answered, ConnectionResetError)
        assert (await fetch(port, "/healthz"))[0] == 200


async def test_the_end_does_not_wait_for_a_silent_client(path: Path) -> None:
    async with listening(("127.0.0.1", 0), path, lambda: UP) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await fetch(port, "/healthz")  # the silent one was accepted before
    async with asyncio.timeout(2):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
