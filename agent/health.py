"""AGENT_HTTP: `/healthz`, `/readyz` and `/metrics` over plain HTTP, for supervisors and Prometheus.

`/healthz` answers 200 while the process and its event loop live. `/readyz` answers 200 only while the bot is
subscribed, else 503, with JSON: `state`, `reason`, `since` (ISO 8601, UTC). `/metrics` is Prometheus' text format.

Counts come from the database, so that they survive restarts, over a read-only connection in a thread of its own: the
bot's writes never wait for a scrape. Rows that will not change any more are counted once and then remembered.
Knows HTTP as far as GET and HEAD without a body.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agent import __version__
from agent.store import StoreError, read

# A scrape within so many seconds of the last one gets the same numbers.
CACHE = 5.0

# Limits on a request: seconds until its head is there, its bytes, and how many are served at a time.
PATIENCE = 5.0
HEAD_LIMIT = 8192
CONNECTIONS = 64

_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """How the line is: its state ("subscribed", "connecting", "down", "starting"), why, since when (ISO 8601), and how
    many connections were subscribed in this process's life."""

    state: str
    reason: str
    since: str
    connections: int


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: str
    kind: str = _TEXT


class CannotListen(OSError):
    """The address of AGENT_HTTP cannot be used."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(
            f"AGENT_HTTP: cannot listen on {shown} ({reason}); stop the program that uses it, or give another address"
        )


def reason(error: OSError) -> str:
    """Why an address cannot be listened on, in the system's words: asyncio's repeat the address."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


@contextlib.asynccontextmanager
async def listening(address: tuple[str, int] | None, database: Path, line: Callable[[], Line]) -> AsyncIterator[int]:
    """Serves on `address` (host, port; port 0 picks a free one) for the block; yields the port, 0 without an address.

    Raises CannotListen.
    """
    if address is None:
        yield 0
        return
    metrics = Metrics(database)

    async def answer(path: str) -> Response:
        match path:
            case "/healthz":
                return Response(200, "ok\n")
            case "/readyz":
                return ready(line())
            case "/metrics":
                return Response(200, exposition(line(), await metrics.counts()), _PROMETHEUS)
            case _:
                return Response(404, "there are /healthz, /readyz and /metrics\n")

    host, port = address
    connections: set[asyncio.StreamWriter] = set()
    try:
        server = await asyncio.start_server(partial(_serve, answer, connections), host, port, limit=HEAD_LIMIT)
    except OSError as error:
        raise CannotListen(host, port, reason(error)) from error
    listened: int = server.sockets[0].getsockname()[1]
    _log.info("health and metrics on http://%s:%d", f"[{host}]" if ":" in host else host, listened)
    try:
        yield listened
    finally:
        server.close()
        for writer in list(connections):
            writer.transport.abort()
        await server.wait_closed()


# --- HTTP


async def _serve(
    answer: Callable[[str], Awaitable[Response]],
    connections: set[asyncio.StreamWriter],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """One request, one response, and the connection is closed."""
    connections.add(writer)
    try:
        if len(connections) > CONNECTIONS:
            return
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        method, response = await _respond(answer, head)
        writer.write(_encoded(response, with_body=method != "HEAD"))
        async with asyncio.timeout(PATIENCE):
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # who asks and does not listen gets no answer
    finally:
        connections.discard(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _respond(answer: Callable[[str], Awaitable[Response]], head: bytes) -> tuple[str, Response]:
    """(method, response) for the head of a request."""
    try:
        method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    except ValueError:
        return "", Response(400, "this is not HTTP\n")
    if not version.startswith("HTTP/1."):
        return method, Response(400, "HTTP/1.1 is spoken here\n")
    if method not in ("GET", "HEAD"):
        return method, Response(405, "only GET and HEAD\n")
    try:
        return method, await answer(target.partition("?")[0])
    except StoreError as error:
        _log.warning("no metrics: %s", error)
        return method, Response(503, f"{error}\n")


def _encoded(response: Response, *, with_body: bool) -> bytes:
    body = response.body.encode()
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"Content-Type: {response.kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if response.status == 405:
        lines.append("Allow: GET, HEAD")
    return "\r\n".join([*lines, "", ""]).encode() + (body if with_body else b"")


# --- answers


def ready(line: Line) -> Response:
    """200 while subscribed, else 503."""
    said = {"state": line.state, "reason": line.reason, "since": line.since}
    body = json.dumps(said, ensure_ascii=False) + "\n"
    return Response(200 if line.state == "subscribed" else 503, body, "application/json")


@dataclass(slots=True)
class Counts:
    """Turns and deliveries by state, errors by code, tokens by (model, "prompt" or "completion")."""

    turns: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)

    def plus(self, other: "Counts") -> "Counts":
        return Counts(
            self.turns + other.turns,
            self.errors + other.errors,
            self.tokens + other.tokens,
            self.deliveries + other.deliveries,
        )


_OPEN_TURNS = ("received", "answering", "answered")
_OPEN_DELIVERIES = ("open", "written")


def exposition(line: Line, counts: Counts) -> str:
    """The metrics in Prometheus' text format."""
    turns, deliveries = counts.turns, counts.deliveries
    families: tuple[tuple[str, str, str, Iterable[tuple[dict[str, str], int]]], ...] = (
        ("info", "gauge", "The running version.", [({"version": __version__}, 1)]),
        ("subscribed", "gauge", "1 while the line to WeCom is subscribed.", [({}, int(line.state == "subscribed"))]),
        ("connections_total", "counter", "Subscribed connections since the start.", [({}, line.connections)]),
        (
            "turns_total",
            "counter",
            "Turns that ended, by state.",
            [({"state": name}, turns[name]) for name in ("delivered", "failed", "cancelled")],
        ),
        (
            "open_turns",
            "gauge",
            "Turns that are owed, by state.",
            [({"state": each}, turns[each]) for each in _OPEN_TURNS],
        ),
        (
            "errors_total",
            "counter",
            "Turns with an error, by code.",
            [({"code": code}, number) for code, number in sorted(counts.errors.items())],
        ),
        (
            "deliveries_total",
            "counter",
            "Bubbles, pushes and files that ended, by state.",
            [({"state": name}, deliveries[name]) for name in ("acked", "unknown", "failed")],
        ),
        (
            "open_deliveries",
            "gauge",
            "Bubbles, pushes and files under way.",
            [({}, sum(deliveries[each] for each in _OPEN_DELIVERIES))],
        ),
        (
            "tokens_total",
            "counter",
            "Tokens as the endpoint counted them.",
            [({"model": model, "kind": kind}, number) for (model, kind), number in sorted(counts.tokens.items())],
        ),
    )
    lines: list[str] = []
    for name, kind, words, samples in families:
        lines += [f"# HELP wecom_agent_{name} {words}", f"# TYPE wecom_agent_{name} {kind}"]
        lines += [f"wecom_agent_{name}{_labels(labels)} {number}" for labels, number in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# --- counts


class Metrics:
    """Counts what is in the database: one query a scrape, over the rows that are new or may still change.

    A delivery counts as settled once it is `unknown`; the late ack that may still come is not seen any more.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._settled = Counts()
        self._turn = self._delivery = 0  # everything up to these ids is in `_settled`
        self._counts = Counts()
        self._at = -CACHE
        self._lock = asyncio.Lock()

    async def counts(self) -> Counts:
        """At most `CACHE` seconds old. Raises StoreError."""
        async with self._lock:
            if time.monotonic() - self._at >= CACHE:
                self._counts = await asyncio.to_thread(self._count)
                self._at = time.monotonic()
            return self._counts

    def _count(self) -> Counts:
        with read(self._database) as db:
            rows = db.execute(_QUERY, {"turn": self._turn, "delivery": self._delivery}).fetchall()
        settled, moving = Counts(), Counts()
        for row in rows:
            _add(settled if row["settled"] else moving, row)
            if row["settled"] and row["kind"] == "turn":
                self._turn = max(self._turn, row["last"])
            elif row["settled"]:
                self._delivery = max(self._delivery, row["last"])
        self._settled = self._settled.plus(settled)
        return self._settled.plus(moving)


# What is settled ends before the oldest row that may still change; those are found by the partial indexes.
_QUERY = """
    WITH
        first_open_turn AS (
            SELECT coalesce(min(id), 9223372036854775807) AS id FROM turns
            WHERE state IN ('received', 'answering', 'answered')
        ),
        first_open_delivery AS (
            SELECT coalesce(min(id), 9223372036854775807) AS id FROM deliveries WHERE state IN ('open', 'written')
        )
    SELECT
        'turn' AS kind, turns.id < first_open_turn.id AS settled, state, error, model,
        count(*) AS number, max(turns.id) AS last,
        coalesce(sum(prompt_tokens), 0) AS prompt, coalesce(sum(completion_tokens), 0) AS completion
    FROM turns, first_open_turn WHERE turns.id > :turn GROUP BY 2, 3, 4, 5
    UNION ALL
    SELECT
        'delivery', deliveries.id < first_open_delivery.id, state, NULL, NULL, count(*), max(deliveries.id), 0, 0
    FROM deliveries, first_open_delivery WHERE deliveries.id > :delivery GROUP BY 2, 3
"""


def _add(counts: Counts, row: sqlite3.Row) -> None:
    if row["kind"] == "delivery":
        counts.deliveries[row["state"]] += row["number"]
        return
    counts.turns[row["state"]] += row["number"]
    if row["error"]:
        counts.errors[row["error"]] += row["number"]
    if row["model"]:
        counts.tokens[row["model"], "prompt"] += row["prompt"]
        counts.tokens[row["model"], "completion"] += row["completion"]
