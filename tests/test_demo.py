"""The framework's demo, played through against the simulator."""

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.simulator import Simulator
from agent.wecom import WecomAIBotWsServer
from tests.wecom.running import running

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Simulator]:
    found = importlib.util.spec_from_file_location("demo", Path(__file__).parent.parent / "demo" / "demo.py")
    assert found is not None
    assert found.loader is not None
    demo = importlib.util.module_from_spec(found)
    found.loader.exec_module(demo)
    demo.FOLDER = tmp_path
    async with Simulator() as simulator:
        server = WecomAIBotWsServer("Bot", "bot", "secret", simulator.ws_url)
        server.set_message_handler(demo.handle)
        server.set_event_handler(demo.on_event)
        server.set_error_handler(demo.on_error)
        async with running(server):
            yield simulator
        assert not simulator.gateway.check()


async def test_everything_the_demo_shows(sim: Simulator) -> None:
    gateway = sim.gateway
    assert "hi" in (await gateway.answered(gateway.say("li", "hi")))[-1].text
    grown = (await gateway.answered(gateway.say("li", "count")))[-1]
    assert grown.text.strip() == "1 2 3 4 5"
    assert grown.frames > 2
    assert "ValueError" in (await gateway.answered(gateway.say("li", "fail")))[-1].text
    assert "image/png" in (await gateway.answered(gateway.send("li", "image", PNG)))[-1].text
    back = (await gateway.answered(gateway.send("li", "file", (b"hello file", "报告 (终稿).txt"))))[-1]
    assert back.kind == "file"
    assert back.media[0]["name"] == "报告 (终稿).txt"
    assert gateway.media_bytes(back.media[0]["media_id"]) == b"hello file"
    assert "几点" in (await gateway.answered(gateway.send("li", "voice", "几点")))[-1].text
    shown = (await gateway.answered(gateway.say("li", "card")))[-1]
    clicked = gateway.click("li", shown.id, "yes")
    assert clicked.delivered, clicked.why
    await gateway.until(lambda: "You chose yes." in str(gateway.message(shown.id).card))
    gateway.enter("wang")
    await gateway.until(lambda: bool(gateway.messages("user:wang")))
    assert gateway.messages("user:wang")[-1].content.startswith("Hello!")
