"""The PyPI framework ``wecom-ai-bot-ws-svr`` judges the simulator."""

import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.simulator import Options, Simulator
from tests.foreign.driver import Foreign, Refused
from tests.simulator.line import Bot

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("framework")]
SCRIPT = Path(__file__).with_name("framework_client.py")

# What the framework and its SDK do wrong, by rule: only these may show, and only where a test names them.
KNOWN = {
    "bad-type": "a welcome of RspTextMsg leaves as a stream, which is refused with 40008 (protocol §10)",
    "refused-socket-left-open": "after 853000 it logs an error and keeps the socket (protocol §2)",
    "invisible-final": "RspTextMsg(content='') leaves as an empty finished stream (protocol §9.2)",
}


@asynccontextmanager
async def running(sim: Simulator, python: Path, secret: str = "secret") -> AsyncIterator[Foreign]:
    async with Foreign([python, SCRIPT, sim.ws_url, secret]) as client:
        if secret == "secret":
            await sim.gateway.subscribed()
        yield client


def check(sim: Simulator, *known: str) -> None:
    """No violation but ``known`` ones, and each of those."""
    assert {violation.rule for violation in sim.gateway.check()} == set(known), sim.gateway.check()
    assert set(known) <= KNOWN.keys()


async def test_it_answers_and_streams(framework: Path) -> None:
    async with Simulator() as sim, running(sim, framework) as client:
        sent = sim.gateway.say("zhangsan", "你好")
        assert [(m.text, m.finished) for m in await sim.gateway.answered(sent)] == [("echo 你好", True)]
        sent = sim.gateway.say("zhangsan", "你好", "wrGroup")
        assert [m.text for m in await sim.gateway.answered(sent)] == ["echo 你好"]
        assert [(await client.event("message"))["chat"] for _ in range(2)] == [None, "wrGroup"]
        sent = sim.gateway.say("zhangsan", "stream")
        (message,) = await sim.gateway.answered(sent)
        assert (message.text, message.frames) == ("0 1 2 3 4 5 6 7 8 9 ", 10)
        sent = sim.gateway.say("zhangsan", "markdown")
        assert [m.text for m in await sim.gateway.answered(sent)] == ["**bold**"]
        sim.gateway.say("zhangsan", "raise")
        assert (await client.event("error"))["message"] == "a handler that fails"
        check(sim)


async def test_it_understands_every_message(framework: Path) -> None:
    async with Simulator() as sim, running(sim, framework) as client:
        contents: list[tuple[str, tuple[Any, ...]]] = [
            ("image", (b"12345",)),
            ("mixed", ("look", b"12345")),
            ("voice", ("spoken",)),
            ("file", (b"12345",)),
            ("video", (b"12345",)),
        ]
        for number, (kind, parts) in enumerate(contents):
            sim.gateway.send(f"user{number}", kind, *parts)
        kinds = [(await client.event("message"))["type"] for _ in contents]
        assert kinds == ["ImageReqMsg", "MixedMessageReqMsg", "VoiceReqMsg", "FileReqMsg", "VideoReqMsg"]
        check(sim)


async def test_it_uploads_and_pushes(framework: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(b"0123456789" * 150_000)  # three chunks
    async with Simulator() as sim, running(sim, framework) as client:
        sent = sim.gateway.say("zhangsan", f"file {path}")
        (message,) = await sim.gateway.answered(sent)
        assert message.media[0]["name"] == "report.txt"
        assert sim.gateway.media_bytes(message.media[0]["media_id"]) == path.read_bytes()
        assert await client.call("push", chat="zhangsan", text="**notice**") == 0
        assert await client.call("push_text", chat="zhangsan", text="plain") == 0
        assert await client.call("push_file", chat="zhangsan", path=str(path)) == 0
        assert [m.kind for m in sim.gateway.messages("zhangsan")[2:]] == ["markdown", "markdown", "file"]
        with pytest.raises(Refused, match="93006"):
            await client.call("push", chat="nobody", text="x")
        check(sim)


@pytest.mark.parametrize("padding", [16, 32])
async def test_it_downloads(framework: Path, padding: Any) -> None:
    data = b"0123456789abcdef" * 20_001
    async with Simulator(options=Options(padding=padding)) as sim, running(sim, framework) as client:
        sim.gateway.send("zhangsan", "file", (data, "报告 1.pdf"))
        link = (await client.event("message"))["body"]["file"]
        got = await client.call("download", url=link["url"], key=link["aeskey"])
        assert (got["size"], got["md5"]) == (len(data), hashlib.md5(data).hexdigest())
        assert got["name"] == "报告 1.pdf"
        check(sim)


async def test_its_welcome_is_refused(framework: Path) -> None:
    async with Simulator() as sim, running(sim, framework) as client:
        sim.gateway.enter("zhangsan")
        assert (await client.event("event"))["type"] == "enter_chat"
        assert "40008" in (await client.event("error"))["message"]
        check(sim, "bad-type")


async def test_its_empty_text_is_stuck(framework: Path) -> None:
    async with Simulator() as sim, running(sim, framework):
        sent = sim.gateway.say("zhangsan", "empty")
        assert [message.stuck for message in await sim.gateway.answered(sent)] == [True]
        check(sim, "invisible-final")


async def test_it_stays_away_when_displaced(framework: Path) -> None:
    async with Simulator(options=Options(kick_delay=0.2)) as sim, running(sim, framework) as client:
        async with Bot(sim.ws_url) as other:
            assert (await client.event("event"))["type"] == "disconnected_event"
            assert (await client.event("ended"))["event"] == "ended"
            assert (await other.ask("ping"))["errcode"] == 0
        check(sim)


async def test_it_ends_after_a_dropped_connection(framework: Path) -> None:
    """Its ``run_async`` looks at the connection once a second and does not wait for its own reconnect."""
    async with Simulator() as sim, running(sim, framework) as client:
        sim.gateway.faults.refuse_connections()
        sim.gateway.faults.drop(1006)
        await client.event("ended")
        check(sim)


async def test_it_leaves_a_refused_socket_open(framework: Path) -> None:
    async with Simulator(options=Options(refused_linger=0.3)) as sim, running(sim, framework, secret="wrong"):
        await sim.gateway.until(lambda: bool(sim.gateway.violations))
        check(sim, "refused-socket-left-open")


def test_it_runs_in_its_own_environment(framework: Path) -> None:
    assert framework != Path(sys.executable)
