"""`wecom-agent playground` as somebody meets it who has no credentials: a real process, its page's API, its end."""

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from agent.simulator import Simulator
from agent.simulator.model import Reply
from tests.test_cli import Ended, command, ended, start

CHAT = "/api/chats/user:zhangsan"


@dataclass(frozen=True)
class Playground:
    """A running playground: its first lines, its address without a token, a client that has the token."""

    process: asyncio.subprocess.Process
    said: str
    url: str
    http: httpx2.AsyncClient

    async def ask(self, text: str) -> str:
        """What the last bubble shows once it is finished."""
        await self.http.post("/api/chats", json={"type": "single", "members": ["zhangsan"]})
        sent = await self.http.post(f"{CHAT}/say", json={"user": "zhangsan", "text": text})
        assert sent.status_code == 200, sent.text
        async with asyncio.timeout(20):
            while True:
                last = (await self.http.get(f"{CHAT}/messages")).json()[-1]
                if last["sender"] == "bot" and last["finished"]:
                    return str(last["text"])
                await asyncio.sleep(0.05)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> Ended:
        self.process.send_signal(number)
        return await ended(self.process)


@contextlib.asynccontextmanager
async def playing(folder: Path, *words: str, **settings: str) -> AsyncIterator[Playground]:
    quiet = () if "BROWSER" in settings else ("--no-browser",)
    process = await start(folder, "playground", "--port", "0", *quiet, *words, **settings)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            lines = [(await process.stdout.readline()).decode() for _ in range(5)]
        said = "".join(lines)
        found = re.match(r"Playground: (http://[^/]+)/?(?:\?token=(\S+))?", said)
        assert found is not None, said
        headers = {"authorization": f"Bearer {found[2]}"} if found[2] else {}
        async with httpx2.AsyncClient(base_url=found[1], headers=headers, trust_env=False) as http:
            yield Playground(process, said, found[1], http)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_answers_without_any_setting_and_ends_with_0(tmp_path: Path) -> None:
    wrong = {"WECOM_BOT_ID": "a b", "WECOM_BOT_WS_URL": "nonsense", "WECOM_BOT_SECRET": "密"}
    async with playing(tmp_path, **wrong) as playground:
        assert "a scripted model (set OPENAI_API_KEY and OPENAI_MODEL for a real one)" in playground.said
        assert str(tmp_path / "data" / "playground") in playground.said
        assert "你好" in await playground.ask("你好")
        assert (await playground.http.get("/")).status_code == 200
        frames = (await playground.http.get("/api/trace")).json()
        assert "aibot_subscribe" in str(frames)
        again = await command(tmp_path, "playground", "--no-browser", "--port", "0")
        assert (again.code, "is in use by process" in again.err) == (1, True)
        found = await playground.stop()
        assert (found.code, "Traceback" in found.err) == (0, False)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["playground"]
    shown = await command(tmp_path, "history", "zhangsan", AGENT_DATA_DIR="data/playground")
    assert "你好" in shown.out


@pytest.mark.parametrize(("model", "asked"), [("auto", True), ("real", True), ("scripted", False)])
async def test_a_configured_model_answers_unless_the_scripted_one_is_asked_for(
    tmp_path: Path, model: str, asked: bool
) -> None:
    async with Simulator() as real:
        real.script.default = lambda request: Reply("真的模型")
        settings = {"OPENAI_BASE_URL": real.model_url, "OPENAI_MODEL": "scripted", "OPENAI_API_KEY": "k"}
        async with playing(tmp_path, "--model", model, **settings) as playground:
            assert ("真的模型" in await playground.ask("谁？")) is asked
        assert bool(real.script.requests) is asked


async def test_a_browser_that_does_not_return_holds_nothing_up(tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f"#!/bin/sh\necho $1 > {opened}\nexec sleep 15 >/dev/null 2>&1\n")
    browser.chmod(0o700)
    async with playing(tmp_path, BROWSER=str(browser)) as playground:
        assert "好" in await playground.ask("好")
        async with asyncio.timeout(20):
            while not opened.exists() or not opened.read_text().strip():  # noqa: ASYNC110 (another process writes it)
                await asyncio.sleep(0.05)
        assert opened.read_text().strip() == f"{playground.url}/"
        async with asyncio.timeout(10):
            assert (await playground.stop()).code == 0


async def test_a_real_model_has_to_be_configured(tmp_path: Path) -> None:
    found = await command(tmp_path, "playground", "--no-browser", "--model", "real", "--port", "0")
    assert found.code == 2
    assert "OPENAI_MODEL: missing" in found.err
    assert "WECOM" not in found.err


async def test_beyond_this_machine_a_token_is_printed_and_asked_for(tmp_path: Path) -> None:
    async with playing(tmp_path, "--host", "0.0.0.0") as playground:
        assert "?token=" in playground.said
        assert "好" in await playground.ask("好")
        async with httpx2.AsyncClient(base_url=playground.url, trust_env=False) as stranger:
            assert (await stranger.get("/")).status_code in (401, 403)
            assert (await stranger.get("/api/state")).status_code in (401, 403)
        await playground.stop(signal.SIGTERM)


async def test_another_page_s_origin_is_refused(tmp_path: Path) -> None:
    async with playing(tmp_path) as playground:
        for headers, status in (({}, 200), ({"Origin": "http://evil.example"}, 403)):
            assert (await playground.http.get("/api/state", headers=headers)).status_code == status


async def test_an_address_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = await command(tmp_path, "playground", "--no-browser", "--port", port)
    assert found.code == 1
    assert f"cannot listen on 127.0.0.1, port {port} (address already in use); give another --port" in found.err
    found = await command(tmp_path, "playground", "--no-browser", "--port", "99999")
    assert (found.code, "'99999' is not a port from 0 to 65535" in found.err) == (2, True)
