"""What every test gets: loopback only, nothing blocks the loop, nothing fails unseen.

- A connect to anything but loopback raises (a test that needs it says so by failing).
- A callback that holds the event loop for longer than ``SLOW_CALLBACK`` seconds fails the test.
- An exception that a task or callback swallowed fails the test.
- ``sim`` is the far side, strict to its end; ``play`` a whole bot on it.

Property tests try the same examples in every run, so that a failure is a change's own; to look for new ones:
``HYPOTHESIS_PROFILE=random python -m tests``.
"""

import asyncio
import gc
import ipaddress
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from agent.simulator import Simulator
from tests.bot import Play, running

# Generous: two busy cores and a cold import may take this long; a blocking call of a second or more may not.
SLOW_CALLBACK = 1.0

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
for name in list(os.environ):
    if name.upper() in PROXIES or name.startswith(("WECOM_BOT", "OPENAI_", "AGENT_")):
        del os.environ[name]


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = address[0]
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def pytest_make_parametrize_id(val: object) -> str | None:
    """A file's bytes are no name for a test: some of them hold the time of day, and workers would disagree."""
    return "bytes" if isinstance(val, bytes) and len(val) > 40 else None


def pytest_collection_finish() -> None:
    """Modules live for ever: looking through them after each test would cost more than most tests do."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_local(address):
            raise AssertionError(f"a test reached for {address!r}; tests use loopback only")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if not _is_local(address):
            raise AssertionError(f"a test reached for {address!r}; tests use loopback only")
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)


@pytest.fixture(autouse=True)
def loop_watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test whose event loop was blocked, or whose loop met an exception that nobody retrieved."""
    run = asyncio.Handle._run
    slow: list[str] = []
    swallowed: list[str] = []

    def timed(self: asyncio.Handle) -> None:
        started = time.perf_counter()
        run(self)
        seconds = time.perf_counter() - started
        if seconds > SLOW_CALLBACK:
            slow.append(f"{seconds:.2f} s in {self!r}")

    def report(self: Any, context: dict[str, Any]) -> None:
        swallowed.append(f"{context.get('message')}: {context.get('exception')!r}")

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    monkeypatch.setattr(asyncio.BaseEventLoop, "default_exception_handler", report)
    yield
    gc.collect()
    if slow:
        pytest.fail("the event loop was blocked: " + "; ".join(slow[:3]))
    if swallowed:
        pytest.fail("an exception that nobody retrieved: " + "; ".join(swallowed[:3]))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(bot_name="小 助手") as simulator:
        yield simulator
        assert not simulator.gateway.check()
        assert not simulator.script.violations


@pytest.fixture
async def play(sim: Simulator, tmp_path: Path) -> AsyncIterator[Play]:
    async with running(sim, tmp_path) as one:
        yield one
