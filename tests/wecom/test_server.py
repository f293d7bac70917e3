"""The framework as its users meet it: handlers, replies, faults of handlers and line, the life of the server."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.simulator import Simulator
from agent.wecom import (
    CredentialsRefused,
    Displaced,
    ReqMsg,
    RequestFailed,
    RspFileMsg,
    RspImageMsg,
    RspMarkdownMsg,
    RspStreamMsg,
    RspTemplateCardMsg,
    RspTextMsg,
    WecomAIBotWsServer,
    Words,
)
from agent.wecom.stream import CONTENT_LIMIT

from .far import error, far_side, ok, text
from .running import running, server_on


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator
        assert not simulator.gateway.check()


def server_for(sim: Simulator, handler: Any, **settings: Any) -> WecomAIBotWsServer:
    server = server_on(sim.ws_url, **settings)
    server.set_message_handler(handler)
    return server


async def test_a_reply_of_each_kind(sim: Simulator, tmp_path: Path) -> None:
    picture = tmp_path / "图 1.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    replies: dict[str, Any] = {
        "text": RspTextMsg("文字"),
        "markdown": RspMarkdownMsg("**粗**"),
        "stream": RspStreamMsg("整段"),
        "image": RspImageMsg(str(picture)),
        "file": RspFileMsg(str(picture)),
        "dict": {"msgtype": "markdown", "markdown": {"content": "原样"}},
        "thinking": RspStreamMsg("<think>想</think>答"),
    }

    async with running(server_for(sim, lambda message: replies[message.content])):
        shown = {}
        for name in replies:
            shown[name] = (await sim.gateway.answered(sim.gateway.say("li", name)))[-1]
    assert [shown[name].text for name in ("text", "markdown", "stream", "dict")] == ["文字", "**粗**", "整段", "原样"]
    assert (shown["image"].kind, shown["file"].kind) == ("image", "file")
    assert shown["file"].media[0]["name"] == "图 1.png"
    assert (shown["thinking"].thinking, shown["thinking"].text) == ("想", "答")


async def test_generators_sync_and_async(sim: Simulator) -> None:
    def plain(message: ReqMsg) -> Iterator[Any]:
        assert threading.current_thread() is not threading.main_thread()
        yield RspTextMsg("一")
        yield RspTextMsg("二")

    async def growing(message: ReqMsg) -> AsyncIterator[Any]:
        for end in (1, 2, 3):
            yield RspStreamMsg("字" * end, finish=False)

    def handler(message: ReqMsg) -> Any:
        return plain(message) if message.content == "plain" else growing(message)  # type: ignore[attr-defined]

    async with running(server_for(sim, handler)):
        two = await sim.gateway.answered(sim.gateway.say("li", "plain"), count=2)
        assert [one.text for one in two] == ["一", "二"]
        assert [one.text for one in await sim.gateway.answered(sim.gateway.say("li", "grow"))] == ["字字字"]


@pytest.mark.parametrize("how", ["raises", "nonsense", "hangs sync", "hangs async", "exits"])
async def test_a_bad_handler_harms_only_its_own_message(sim: Simulator, how: str) -> None:
    gate = threading.Event()

    def bad() -> Any:
        if how == "raises":
            raise ValueError("x")
        if how == "exits":
            raise SystemExit(3)
        if how == "hangs sync":
            gate.wait(20)
        return object() if how == "nonsense" else None

    def handler(message: Any, server: Any) -> Any:
        if message.content != "bad":
            return RspTextMsg("好")
        return asyncio.sleep(60) if how == "hangs async" else bad()

    async with running(server_for(sim, handler), drain_time=100):
        first = sim.gateway.say("li", "bad")
        assert (await sim.gateway.answered(sim.gateway.say("wang", "good")))[-1].text == "好"
        if "hangs" not in how:
            assert (await sim.gateway.answered(first))[-1].text == Words().failed
        gate.set()


async def test_the_error_handler_may_answer(sim: Simulator) -> None:
    seen: list[Any] = []

    def broken(message: Any) -> None:
        raise KeyError("secret")

    def on_error(failure: Exception, frame: Any, server: Any) -> Any:
        seen.extend((failure, frame, server))
        return RspTextMsg("出错了")

    server = server_for(sim, broken)
    server.set_error_handler(on_error)
    async with running(server):
        assert (await sim.gateway.answered(sim.gateway.say("li", "x")))[-1].text == "出错了"
    assert isinstance(seen[0], KeyError)
    assert seen[1].body["text"]["content"] == "x"
    assert seen[2] is server


async def test_events_are_answered_with_their_own_commands() -> None:
    async with far_side() as far:
        server = server_on(far.url)
        server.set_event_handler(
            lambda event: (
                RspMarkdownMsg("欢迎")
                if event.event_type == "enter_chat"
                else RspTemplateCardMsg({"card_type": "text_notice", "task_id": "wrong"})
                if event.event_type == "template_card_event"
                else RspTextMsg("no")
            )
        )
        async with running(server):
            for kind in ("enter_chat", "template_card_event", "feedback_event"):
                body = {"from": {"userid": "li"}, "msgtype": "event", "msgid": kind}
                event = {"eventtype": kind, kind: {"task_id": "T", "event_key": "k"}}
                await far.send(
                    {"cmd": "aibot_event_callback", "headers": {"req_id": kind}, "body": body | {"event": event}}
                )
            await far.until(lambda: far.count("aibot_respond_update_msg") == 1)
            assert far.bodies("aibot_respond_welcome_msg") == [{"msgtype": "text", "text": {"content": "欢迎"}}]
            update = far.bodies("aibot_respond_update_msg")[0]
            assert update["template_card"]["task_id"] == "T"
            assert not far.count("aibot_respond_msg") + far.count("aibot_send_msg")


async def test_a_late_answer_to_an_event_is_pushed() -> None:
    async with far_side() as far:
        far.answer = lambda _, frame: error(frame, 846604) if "welcome" in frame["cmd"] else ok(frame)
        server = server_on(far.url)
        server.set_event_handler(lambda event: RspTextMsg("欢迎"))
        async with running(server):
            body = {"from": {"userid": "li"}, "msgtype": "event", "msgid": "1", "event": {"eventtype": "enter_chat"}}
            await far.send({"cmd": "aibot_event_callback", "headers": {"req_id": "E"}, "body": body})
            await far.until(lambda: far.count("aibot_send_msg") == 1)
            pushed = far.bodies("aibot_send_msg")[0]
            assert (pushed["chatid"], pushed["chat_type"], pushed["markdown"]["content"]) == ("li", 1, "欢迎")


async def test_pushes_say_what_wecom_says(sim: Simulator) -> None:
    server = server_for(sim, lambda message: RspTextMsg("好"))
    async with running(server):
        with pytest.raises(RequestFailed) as refused:
            await server.send_text("stranger", "hi")
        assert refused.value.errcode == 93006
        await sim.gateway.answered(sim.gateway.say("li", "x"))
        await server.send_text("li", "推送")
        assert sim.gateway.messages("user:li")[-1].text == "推送"
        await server.send_markdown("li", "长" * CONTENT_LIMIT, "single")
        pushed = [one.text for one in sim.gateway.messages("user:li") if one.text.startswith("长")]
        assert "".join(pushed) == "长" * CONTENT_LIMIT
        assert len(pushed) > 3


async def test_the_same_message_is_handled_once(sim: Simulator) -> None:
    handled = []
    async with running(server_for(sim, lambda message: handled.append(message.msg_id) or RspTextMsg("好"))):
        sent = sim.gateway.say("li", "x")
        await sim.gateway.answered(sent)
        sim.gateway.faults.redeliver(sent.msgid)
        await sim.gateway.answered(sim.gateway.say("li", "y"))
    assert len(handled) == 2


async def test_garbage_and_drops_do_not_end_it(sim: Simulator) -> None:
    async with running(server_for(sim, lambda message: RspTextMsg(f"{message.chat_id} {message.content}"))):
        for kind in ("not-json", "binary", "array"):
            sim.gateway.faults.garbage(kind)
        assert (await sim.gateway.answered(sim.gateway.say("li", "x")))[-1].text == "li x"
        sim.gateway.faults.drop()
        await sim.gateway.until(lambda: sim.gateway.world.owner is None)
        await sim.gateway.subscribed()
        assert (await sim.gateway.answered(sim.gateway.say("li", "y")))[-1].text == "li y"


async def test_what_ends_it_is_raised(sim: Simulator) -> None:
    wrong = WecomAIBotWsServer("Bot", "bot", "wrong", sim.ws_url)
    with pytest.raises(CredentialsRefused) as refused:
        await wrong.run_async()
    assert refused.value.errcode == 853000
    first = server_for(sim, lambda message: None)
    second = server_for(sim, lambda message: None)
    task = asyncio.create_task(first.run_async())
    await sim.gateway.subscribed()
    async with running(second):
        with pytest.raises(Displaced):
            await task
    with pytest.raises(ValueError, match="WECOM_BOT_ID"):
        await WecomAIBotWsServer().run_async()


async def test_it_can_be_cancelled_disconnected_and_started_again(sim: Simulator) -> None:
    server = server_for(sim, lambda message: RspTextMsg("好"))
    task = asyncio.create_task(server.run_async())
    await sim.gateway.subscribed()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server.is_connected
    async with running(server):
        assert (await sim.gateway.answered(sim.gateway.say("li", "x")))[-1].text == "好"
        await server.disconnect()
    async with far_side() as far:
        other = server_on(far.url)
        other.set_message_handler(lambda message, one: one.disconnect())
        ended = asyncio.create_task(other.run_async())
        await far.until(lambda: far.count("aibot_subscribe") == 1)
        await far.send(text())
        async with asyncio.timeout(10):
            await ended


SCRIPT = """
import sys, time
from agent.wecom import RspTextMsg, WecomAIBotWsServer
def handle(message):
    if message.content == "hang":
        time.sleep(60)
    return RspTextMsg("ok")
server = WecomAIBotWsServer(bot_id="bot", secret="secret", ws_url=sys.argv[1])
server.set_message_handler(handle)
server.run()
print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_plain_script_ends_cleanly_even_with_a_handler_that_hangs(number: signal.Signals, times: int) -> None:
    async with Simulator() as sim:
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", SCRIPT, sim.ws_url],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "."},
        )
        try:
            await sim.gateway.subscribed(20)
            assert (await sim.gateway.answered(sim.gateway.say("li", "x")))[-1].text == "ok"
            sim.gateway.say("li", "hang")
            await asyncio.sleep(0.1)
            asked = time.monotonic()
            for _ in range(times):
                process.send_signal(number)
                await asyncio.sleep(0.1)
            out, _ = await asyncio.to_thread(process.communicate, timeout=10)
            assert (process.returncode, out) == (0, b"ended\n")
            assert time.monotonic() - asked < 5
        finally:
            process.kill()
            process.wait()


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, agent.wecom; "
        "heavy = {'openai', 'tiktoken', 'httpx2', 'cryptography', 'sqlite_utils'}; print(heavy & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


async def test_a_message_that_comes_while_it_stops_goes_to_the_late_handler() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    kept: asyncio.Queue[str] = asyncio.Queue()

    async def slow(_: ReqMsg) -> None:
        begun.set()
        await go_on.wait()

    async with far_side() as far:
        server = server_on(far.url)
        server.set_message_handler(slow)
        server.set_late_handler(lambda message: kept.put_nowait(message.req_id))
        async with running(server):
            await far.send(text(req_id="R1"))
            async with asyncio.timeout(10):
                await begun.wait()
                server.stop()
                await far.send(text(req_id="R2"))
                assert await kept.get() == "R2"
            go_on.set()
        assert not far.contents()
