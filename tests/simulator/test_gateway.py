"""The shell: real sockets, waiting, timers and faults."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from agent.simulator import Options, Simulator
from tests.simulator.conftest import golden
from tests.simulator.line import CHUNK, Bot


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[Simulator, Clock]]:
    clock = Clock()
    async with Simulator(options=Options(**options), now=clock) as simulator:
        yield simulator, clock


async def closed(bot: Bot) -> int | None:
    """The close code that the bot sees, 1006 for none."""
    async with asyncio.timeout(5):
        await bot.socket.wait_closed()
    return bot.socket.close_code


async def test_a_conversation(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        await sim.gateway.subscribed()
        sent = sim.gateway.say("zhangsan", "hello")
        callback = await bot.callback()
        assert callback["headers"]["req_id"] == sent.req_id
        await bot.stream(sent.req_id, "<think></think>")
        await bot.stream(sent.req_id, "<think>hm</think>Hello!", True)
        (message,) = await sim.gateway.answered(sent)
        assert (message.text, message.thinking, message.frames) == ("Hello!", "hm", 2)
    assert sim.gateway.check() == []
    assert [(entry.direction, entry.cmd) for entry in sim.gateway.trace] == [
        ("out", "aibot_subscribe"),
        ("in", ""),
        ("in", "aibot_msg_callback"),
        ("out", "aibot_respond_msg"),
        ("in", ""),
        ("out", "aibot_respond_msg"),
        ("in", ""),
    ]


async def test_answered_waits_for_every_stream(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "hello")
        await bot.stream(sent.req_id, "a", id="S1")
        await bot.stream(sent.req_id, "b", True, id="S2")
        with pytest.raises(TimeoutError, match=r"shown: \[\('stream', False, 1\), \('stream', True, 1\)\]"):
            await sim.gateway.answered(sent, 0.05)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(sim.gateway.answered(sent, count=3))
            await bot.stream(sent.req_id, "abc", True, id="S1")
            await bot.stream(sent.req_id, "c", True, id="S3")
        assert [message.text for message in waiting.result()] == ["abc", "b", "c"]


async def test_waiting_ends_with_the_gateway() -> None:
    async with asyncio.TaskGroup() as group, Simulator() as sim:
        sent = sim.gateway.say("zhangsan", "hello")
        waits = [sim.gateway.answered(sent), sim.gateway.subscribed()]
        tasks = [group.create_task(outcome(wait)) for wait in waits]
        await asyncio.sleep(0)
    assert [type(task.result()) for task in tasks] == [ConnectionError, ConnectionError]


async def outcome(wait: Any) -> BaseException | None:
    try:
        await wait
    except ConnectionError as error:
        return error
    return None


async def test_frames_that_arrive_together_are_in_flight_together(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "hello")
        await bot.callback()
        frames = [
            json.dumps(
                {
                    "cmd": "aibot_respond_msg",
                    "headers": {"req_id": sent.req_id},
                    "body": {"msgtype": "stream", "stream": {"id": "S", "content": text, "finish": text == "b"}},
                }
            ).encode()
            for text in "ab"
        ]
        for frame in frames:
            bot.socket.protocol.send_text(frame)
        bot.socket.send_data()
        assert [(await bot.ack())["errcode"] for _ in frames] == [0, 0]
    assert [violation.rule for violation in sim.gateway.check()] == ["second-frame-in-flight"]


async def test_displaced_in_every_detail() -> None:
    async with opened(kick_delay=2.2) as (sim, clock), Bot(sim.ws_url) as old, Bot(sim.ws_url) as new:
        event = await old.callback()
        assert event["body"]["event"]["eventtype"] == "disconnected_event"
        assert (await old.ask("ping"))["errcode"] == 0
        sent = sim.gateway.say("zhangsan", "hello")
        assert (await new.callback())["headers"]["req_id"] == sent.req_id
        clock.now += 2.3
        assert await closed(old) == 1006
        assert (await new.ask("ping"))["errcode"] == 0


async def test_silence_ends_the_socket() -> None:
    async with opened(idle_timeout=120) as (sim, clock), Bot(sim.ws_url) as bot:
        clock.now += 121
        assert await closed(bot) == 1006
        await sim.gateway.until(lambda: sim.gateway.world.bot_state == "gone")


async def test_unfinished_work_is_reported_when_the_simulator_closes(caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator() as sim, Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "a private question")
        await bot.stream(sent.req_id, "a private answer")
    assert [violation.rule for violation in sim.gateway.violations] == ["unfinished-stream"]
    assert "unfinished-stream" in caplog.text
    assert "private" not in caplog.text


async def test_a_taken_port_is_an_os_error(sim: Simulator) -> None:
    for taken in ({"ws_port": int(sim.ws_url.rpartition(":")[2])}, {"port": int(sim.http_url.rpartition(":")[2])}):
        with pytest.raises(OSError, match="address already in use"):
            async with Simulator(**taken):
                pass


async def test_it_opens_once_and_says_when_it_is_not_open() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        _ = Simulator().gateway


async def test_a_browser_page_of_another_origin_gets_no_gateway(sim: Simulator) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(sim.ws_url, origin="https://evil.example"):  # type: ignore[arg-type]
            pass


async def test_huge_frames_close_the_socket() -> None:
    async with opened(frame_limit=10_000) as (sim, _), Bot(sim.ws_url) as bot:
        await bot.socket.send("x" * 20_000)
        assert await closed(bot) == 1009


async def test_the_trace_holds_no_secrets_and_no_bulk() -> None:
    async with Simulator(secret="top-secret-value", options=Options(trace_text=500)) as sim:
        async with Bot(sim.ws_url, secret="top-secret-value") as bot:
            sim.gateway.send("zhangsan", "image", b"12345")
            key = (await bot.callback())["body"]["image"]["aeskey"]
            await bot.ask("aibot_dance", {"reason": "top-secret-value"})
            await bot.send("aibot_upload_media_chunk", {"upload_id": "x", "base64_data": "A" * 700_000})
            await bot.ack()
        text = repr(list(sim.gateway.trace))
        assert "top-secret-value" not in text
        assert key not in text
        assert len(text) < 20_000
        assert max(entry.size for entry in sim.gateway.trace) > 700_000


async def test_the_trace_can_be_off() -> None:
    async with opened(trace_size=0) as (sim, _), Bot(sim.ws_url):
        assert list(sim.gateway.trace) == []


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1006, 1001, 1011])
async def test_drop(sim: Simulator, code: int) -> None:
    async with Bot(sim.ws_url) as bot:
        sim.gateway.faults.drop(code)
        assert await closed(bot) == code


@pytest.mark.parametrize(("pings_pass", "errcode"), [(False, 846609), (True, 0)])
async def test_a_lost_subscription_on_an_open_socket(sim: Simulator, pings_pass: bool, errcode: int) -> None:
    async with Bot(sim.ws_url) as bot:
        sim.gateway.faults.lose_subscription(pings_pass=pings_pass)
        assert (await bot.ask("ping"))["errcode"] == errcode
        assert (await bot.ask("aibot_send_msg", {}))["errcode"] == 846609
        assert not sim.gateway.say("zhangsan", "hello").delivered
        assert sim.gateway.world.bot_state == "connected"
    assert sim.gateway.check() == []


async def test_half_open(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sim.gateway.faults.freeze()
        assert not sim.gateway.say("zhangsan", "into the void").delivered
        await bot.send("ping")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await bot.socket.recv()
        async with Bot(sim.ws_url) as second:  # the same machine comes back on a new socket
            assert sim.gateway.say("zhangsan", "hello").delivered
            assert (await second.callback())["body"]["text"]["content"] == "hello"
        sim.gateway.faults.thaw()
        assert (await bot.ack())["errcode"] == 0  # a displaced socket's ping


async def test_a_simulator_with_frozen_sockets_closes_quickly() -> None:
    async with asyncio.timeout(3), Simulator() as sim:
        bot = Bot(sim.ws_url)
        await bot.__aenter__()
        sim.gateway.faults.freeze()
    assert await closed(bot) == 1006


async def test_acks_can_be_late_lost_or_doubled(sim: Simulator) -> None:
    faults, loop = sim.gateway.faults, asyncio.get_running_loop()
    async with Bot(sim.ws_url) as bot:
        faults.delay_acks(0.1)
        started = loop.time()
        await bot.ask("aibot_send_msg", {})
        assert loop.time() - started >= 0.1
        faults.delay_acks(0.0)
        faults.lose_acks(1, "aibot_send_msg")
        lost = await bot.send("aibot_send_msg", {}, req_id="lost")
        assert (await bot.ask("aibot_send_msg", {}))["headers"]["req_id"] != lost
        faults.duplicate_acks()
        first = await bot.ask("ping")
        assert await bot.ack() == first
        faults.pong = True
        assert (await bot.ask_raw_ping())["cmd"] == "pong"


async def test_a_lost_ack_does_not_undo_the_command(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "hello")
        sim.gateway.faults.lose_acks(1, "aibot_respond_msg")
        stream = {"id": "S", "content": "done", "finish": True}
        await bot.send("aibot_respond_msg", {"msgtype": "stream", "stream": stream}, req_id=sent.req_id)
        assert [message.text for message in await sim.gateway.answered(sent)] == ["done"]
        assert (await bot.ask("ping"))["errcode"] == 0


async def test_a_lost_command_has_no_effect(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "hello")
        sim.gateway.faults.lose_commands(1, "aibot_respond_msg")
        stream = {"id": "S", "content": "never arrives", "finish": True}
        await bot.send("aibot_respond_msg", {"msgtype": "stream", "stream": stream}, req_id=sent.req_id)
        assert (await bot.stream(sent.req_id, "arrives", True))["errcode"] == 0
        assert [(message.text, message.frames) for message in await sim.gateway.answered(sent)] == [("arrives", 1)]
    assert sim.gateway.check() == []


async def test_a_click_is_answered_by_the_update(sim: Simulator) -> None:
    card = golden("out-reply-card-minimal")["body"]["template_card"]
    new = card | {"card_action": {"type": 1, "url": "https://work.weixin.qq.com/"}, "main_title": {"title": "Done"}}
    async with Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "hello")
        await bot.ask("aibot_respond_msg", {"msgtype": "template_card", "template_card": card}, req_id=sent.req_id)
        (message,) = await sim.gateway.answered(sent)
        click = sim.gateway.click("zhangsan", message.id, "yes")
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(sim.gateway.answered(click))
            await asyncio.sleep(0)
            body = {"response_type": "update_template_card", "template_card": new}
            await bot.ask("aibot_respond_update_msg", body, req_id=click.req_id)
        assert [(shown.id, (shown.card or {})["main_title"]) for shown in answer.result()] == [
            (message.id, {"title": "Done"})
        ]


async def test_errcodes_on_demand(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sim.gateway.faults.refuse("aibot_respond_msg", 846605, 2)
        sim.gateway.faults.refuse("aibot_respond_msg", 6000)
        sent = sim.gateway.say("zhangsan", "hello")
        answers = [(await bot.stream(sent.req_id, "a", True))["errcode"] for _ in range(4)]
        assert answers == [846605, 846605, 6000, 0]
        sim.gateway.faults.refuse("ping", 40058)
        ack = await bot.ask("ping")
        assert (ack["errcode"], ack["headers"]) == (40058, {})
    assert sim.gateway.check() == []  # nothing of it is the bot's doing


async def test_callbacks_can_get_lost_or_come_twice(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sim.gateway.faults.lose_callbacks()
        assert sim.gateway.say("zhangsan", "one").why == "lost on the way, by a fault"
        sim.gateway.faults.duplicate_callbacks()
        assert sim.gateway.say("zhangsan", "two").delivered
        first = await bot.callback()
        assert first["body"]["text"]["content"] == "two"
        assert await bot.callback() == first


GARBAGE = ["not-json", "binary", "array", "null", "empty", "no-headers", "null-body", "no-msgtype", "unknown-cmd"]


@pytest.mark.parametrize("kind", [*GARBAGE, "orphan-error", "unknown-ack", "deep", "huge"])
async def test_garbage(sim: Simulator, kind: Any) -> None:
    async with Bot(sim.ws_url) as bot:
        sim.gateway.faults.garbage(kind)
        data = await bot.socket.recv()
        assert isinstance(data, bytes) == (kind == "binary")
        assert (await bot.ask("ping"))["errcode"] == 0
    with pytest.raises(ValueError, match="no garbage is called"):
        sim.gateway.faults.garbage("nice")  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["503", "reset"])
async def test_connections_can_be_refused(sim: Simulator, how: Any) -> None:
    sim.gateway.faults.refuse_connections(1, how)
    with pytest.raises((InvalidHandshake, ConnectionClosed, OSError, EOFError)):
        async with connect(sim.ws_url):
            pass
    async with Bot(sim.ws_url):
        pass


async def test_a_stalled_handshake(sim: Simulator) -> None:
    sim.gateway.faults.refuse_connections(True, "stall")
    with pytest.raises(TimeoutError):
        await connect(sim.ws_url, open_timeout=0.1)
    sim.gateway.faults.refuse_connections(False)
    async with Bot(sim.ws_url):
        pass


async def test_the_platform_can_forget_req_ids_and_streams(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        sent = sim.gateway.say("zhangsan", "hello")
        await bot.stream(sent.req_id, "a")
        sim.gateway.faults.expire_streams()
        assert (await bot.stream(sent.req_id, "ab", True))["errcode"] == 846608
        assert [message.expired for message in await sim.gateway.answered(sent)] == [True]
        sim.gateway.faults.forget_requests()
        assert (await bot.stream(sent.req_id, "ab", True, id="S2"))["errcode"] == 846605
    assert sim.gateway.check() == []


async def test_too_many_chunks_in_flight_are_a_system_error(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot:
        init = {"type": "file", "filename": "a", "total_size": 6 * CHUNK, "total_chunks": 6}
        upload_id = (await bot.ask("aibot_upload_media_init", init))["body"]["upload_id"]
        sim.gateway.faults.delay_acks(0.2, "aibot_upload_media_chunk")
        data = base64.b64encode(bytes(CHUNK)).decode()
        for index in range(6):
            body = {"upload_id": upload_id, "chunk_index": index, "base64_data": data}
            await bot.send("aibot_upload_media_chunk", body, req_id=f"chunk{index}")
        acks = {ack["headers"]["req_id"]: ack for ack in [await bot.ack() for _ in range(6)]}
        assert [acks[f"chunk{index}"]["errcode"] for index in range(6)] == [0, 0, 0, 0, -1, -1]
        assert acks["chunk5"]["errmsg"] == "system error (invented)"
        sim.gateway.faults.clear()
        for index in (4, 5):
            body = {"upload_id": upload_id, "chunk_index": index, "base64_data": data}
            assert (await bot.ask("aibot_upload_media_chunk", body))["errcode"] == 0
        assert (await bot.ask("aibot_upload_media_finish", {"upload_id": upload_id}))["errcode"] == 0
    assert sim.gateway.check() == []


async def test_a_bot_that_reads_nothing_is_cut(monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    monkeypatch.setattr("agent.simulator.gateway.BACKLOG_LIMIT", 1_000_000)
    async with Bot(sim.ws_url) as bot:
        bot.socket.transport.pause_reading()
        while sim.gateway.world.owner is not None:
            sim.gateway.faults.inject({"cmd": "aibot_new_callback", "headers": {}, "body": {"text": "x" * 500_000}})
            await asyncio.sleep(0)
        bot.socket.transport.resume_reading()
        assert await closed(bot) == 1006
