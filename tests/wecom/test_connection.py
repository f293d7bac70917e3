"""The line over real sockets: reconnecting, half-open lines, requests, garbage."""

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest

from agent.wecom import connection, frames, transport
from agent.wecom.connection import Line, LineSettings, backoff
from agent.wecom.errors import (
    ConnectionLost,
    CredentialsRefused,
    Displaced,
    ReconnectExhausted,
    RequestFailed,
    RequestTimeout,
    WecomError,
)
from agent.wecom.frames import Frame
from tests.wecom.far import Far, error, far_side, ok, text
from tests.wecom.golden import golden
from tests.wecom.lines import Running
from tests.wecom.proxies import relay


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as one:
        yield one


# --- connecting again


def test_delays_double_to_30_s_with_jitter() -> None:
    middle = list(itertools.islice(backoff(1.0, lambda: 0.5), 8))
    assert middle == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])
    for low, high, delay in zip(
        itertools.islice(backoff(1.0, lambda: 0.0), 8),
        itertools.islice(backoff(1.0, lambda: 1.0), 8),
        middle,
        strict=True,
    ):
        assert low == pytest.approx(0.8 * delay)
        assert high == pytest.approx(1.2 * delay)


@pytest.mark.parametrize("interval", [0.0, -1.0])
def test_without_an_interval_it_does_not_spin(interval: float) -> None:
    assert min(itertools.islice(backoff(interval, lambda: 0.0), 5)) >= 0.08


async def test_a_dropped_line_comes_back_and_messages_flow_again(far: Far) -> None:
    running = Running(far.url)
    async with running.up():
        for number in range(3):
            await far.send(text(req_id=f"R{number}"))
            far.drop()
            await far.until(lambda number=number: far.count(frames.SUBSCRIBE) == number + 2)  # type: ignore[misc]
            await running.line.ready()
        assert running.line.epoch == 4
    assert [frame.req_id for frame in running.callbacks] == ["R0", "R1", "R2"]
    assert [state for state, _ in running.states].count("subscribed") == 4


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012])
async def test_a_close_frame_is_a_dropped_line(far: Far, code: int) -> None:
    async with Running(far.url).up() as running:
        await far.sockets[0].close(code)
        await running.told("subscribed", 2)
    assert f"closed by the peer: {code}" in await running.told("down", 1)


async def test_a_close_frame_ends_the_connection_though_the_socket_stays_open(far: Far) -> None:
    async with Running(far.url).up():
        protocol = far.sockets[0].protocol
        protocol.send_close(1001)
        far.sockets[0].transport.write(protocol.data_to_send()[0])
        await far.until(lambda: far.count(frames.SUBSCRIBE) == 2)


async def test_only_the_subscribe_ack_resets_the_backoff(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets that open and drop without an ack are one row of attempts."""
    drawn: list[float] = []

    def noted(interval: float) -> Iterator[float]:
        for number in itertools.count():
            drawn.append(number)
            yield 0.01

    monkeypatch.setattr(connection, "backoff", noted)

    def answer(number: int, frame: dict[str, Any]) -> Any:
        if number in (3, 4):
            return ok(frame)
        far.drop(number)
        return None

    far.answer = answer
    async with Running(far.url).up():
        await far.until(lambda: len(far.sockets) == 4)
        await far.until(lambda: far.count(frames.SUBSCRIBE) == 4)
        far.drop()
        await far.until(lambda: far.count(frames.SUBSCRIBE) == 5)
    assert drawn == [0, 1, 2, 0]


async def test_a_gateway_that_never_acks_is_not_hammered(far: Far) -> None:
    far.answer = lambda _number, _frame: None
    running = Running(far.url, request_timeout=0.1, max_reconnect_attempts=3)
    failure = await running.ends()
    assert isinstance(failure, ReconnectExhausted)
    assert isinstance(failure.__cause__, ConnectionLost)
    assert "no subscribe ack within 0.1 s" in str(failure.__cause__)
    assert len(far.sockets) == 4
    gaps = [late - early for early, late in itertools.pairwise(far.opened_at)]
    assert all(gap >= least for gap, least in zip(gaps, [0.18, 0.26, 0.42], strict=True))


@pytest.mark.parametrize(("allowed", "opened"), [(0, 1), (1, 2), (3, 4)])
async def test_attempts_are_counted(far: Far, allowed: int, opened: int) -> None:
    far.answer = lambda number, _frame: far.drop(number)
    failure = await Running(far.url, max_reconnect_attempts=allowed).ends()
    assert isinstance(failure, ReconnectExhausted)
    assert failure.attempts == allowed
    assert str(failure) == f"{failure.last}; {allowed} reconnect attempts are used up"
    assert isinstance(failure.last, ConnectionLost)
    assert len(far.sockets) == opened


async def test_attempts_are_counted_from_the_last_time_it_was_up(far: Far) -> None:
    far.answer = lambda number, frame: ok(frame) if number % 2 else far.drop(number)
    running = Running(far.url, max_reconnect_attempts=2)

    async def drop_subscribed() -> None:
        for count in (1, 2, 3):
            await running.told("subscribed", count)
            far.drop()

    async with asyncio.TaskGroup() as group:
        dropping = group.create_task(drop_subscribed())
        line = group.create_task(running.line.run())
        await dropping
        line.cancel()
    assert running.line.epoch == 3


async def test_nobody_there_says_where(caplog: pytest.LogCaptureFixture) -> None:
    async with far_side() as far:
        url = far.url
    failure = await Running(url, max_reconnect_attempts=0).ends()
    assert url in str(failure.__cause__)
    assert "cannot reach" in str(failure.__cause__)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "WECOM_BOT_WS_URL looks like"),
        ("not a url", "WECOM_BOT_WS_URL looks like"),
        ("ws://127.0.0.1:99999", "cannot reach"),
        ("ws://[broken", "cannot reach"),
        ("ws://" + "a" * 80, "cannot reach"),
    ],
)
async def test_a_url_that_is_none_is_said(url: str, says: str) -> None:
    failure = await Running(url, max_reconnect_attempts=0).ends()
    assert says in str(failure.__cause__)


async def test_a_server_that_speaks_no_websocket_is_said() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        failure = await Running(url, max_reconnect_attempts=0).ends()
    assert "does not answer as a WebSocket server" in str(failure.__cause__)
    assert "404" in str(failure.__cause__)


# --- what ends it for good


@pytest.mark.parametrize("errcode", [853000, 40058])
@pytest.mark.parametrize("orphan", [False, True])
async def test_refused_credentials_stop_it_with_the_reason(far: Far, errcode: int, orphan: bool) -> None:
    far.answer = lambda _number, frame: {**error(frame, errcode), **({"headers": {}} if orphan else {})}
    running = Running(far.url)
    failure = await running.ends()
    assert isinstance(failure, CredentialsRefused)
    assert str(errcode) in str(failure)
    assert running.line.closed is failure
    await far.until(lambda: far.closed == [0])  # WeCom leaves such a socket open: it is ours to close (§2)
    assert len(far.sockets) == 1


async def test_displaced_stops_it_and_reaches_nobody_as_a_message(far: Far) -> None:
    running = Running(far.url)

    async def displace() -> None:
        await running.line.ready()
        await far.send(golden("in-event-disconnected").frame)

    async with asyncio.TaskGroup() as group:
        group.create_task(displace())
        failure = await running.ends()
    assert isinstance(failure, Displaced)
    assert running.callbacks == []
    assert len(far.sockets) == 1
    with pytest.raises(Displaced):
        await running.line.ready()
    with pytest.raises(Displaced):
        await running.line.request(frames.SEND, {})


async def test_stopped_it_says_so(far: Far) -> None:
    async with Running(far.url).up() as running:
        waiting: list[str] = []
        assert running.line.subscribed
    assert not running.line.subscribed
    assert isinstance(running.line.closed, ConnectionLost)
    running.line.when_up(lambda: waiting.append("told at once"))
    assert waiting == ["told at once"]
    with pytest.raises(ConnectionLost, match="stopped"):
        await running.line.ready()


# --- half-open and lost subscriptions


async def test_a_line_that_swallows_everything_is_noticed_within_one_and_a_half_heartbeats(far: Far) -> None:
    """45 s at the default of 30 s; the sockets stay open, and what is written disappears."""
    async with relay(far.url) as middle:
        running = Running(middle.url, heartbeat=1.2)
        async with running.up():
            await far.until(lambda: far.count(frames.PING) == 1)  # the worst moment: right after a ping's ack
            middle.swallows = True
            began = asyncio.get_running_loop().time()
            assert "half-open" in await running.told("down", 1)
            assert asyncio.get_running_loop().time() - began < 1.5 * 1.2


async def test_a_half_open_line_is_noticed_and_replaced(far: Far) -> None:
    far.answer = lambda number, frame: None if number == 0 and frame["cmd"] == frames.PING else ok(frame)
    running = Running(far.url, heartbeat=0.6)
    async with running.up():
        began = asyncio.get_running_loop().time()
        await far.until(lambda: len(far.sockets) == 2)
        took = asyncio.get_running_loop().time() - began
        assert took > 0.9
        assert [frame["cmd"] for number, frame in far.frames if number == 0] == [
            frames.SUBSCRIBE,
            frames.PING,
            frames.PING,
        ]
        await running.line.ready()
    assert "half-open" in await running.told("down", 1)


async def test_pings_keep_a_quiet_line_up(far: Far) -> None:
    async with Running(far.url, heartbeat=0.2).up():
        await far.until(lambda: far.count(frames.PING) >= 5)
        assert len(far.sockets) == 1


async def test_846609_ends_the_session_and_starts_another(far: Far) -> None:
    far.answer = lambda number, frame: (
        error(frame, 846609) if number == 0 and frame["cmd"] == frames.SEND else ok(frame)
    )
    async with Running(far.url).up() as running:
        with pytest.raises(ConnectionLost) as caught:
            await running.line.request(frames.SEND, {"n": 1})
        assert not caught.value.written
        await running.line.ready()
        assert (await running.line.request(frames.SEND, {"n": 1})).errcode == 0
    assert len(far.sockets) == 2


# --- requests


async def test_a_request_returns_its_ack(far: Far) -> None:
    far.answer = lambda _number, frame: ok(frame, n=frame.get("body", {}).get("n"))
    async with Running(far.url).up() as running:
        acks = await asyncio.gather(*[running.line.request(frames.SEND, {"n": n}) for n in range(50)])
    assert [ack.body for ack in acks] == [{"n": n} for n in range(50)]
    ids = [frame["headers"]["req_id"] for _, frame in far.frames]
    assert len(set(ids)) == 51


async def test_a_refused_request_raises(far: Far) -> None:
    far.answer = lambda _number, frame: error(frame, 93006) if frame["cmd"] == frames.SEND else ok(frame)
    async with Running(far.url).up() as running:
        with pytest.raises(RequestFailed, match="aibot_send_msg with errcode 93006"):
            await running.line.request(frames.SEND, {})


async def test_a_request_without_an_ack_is_unknown(far: Far) -> None:
    far.answer = lambda _number, frame: (
        ok(frame) if frame["cmd"] != frames.SEND else {"errcode": 40058, "errmsg": "field"}
    )
    async with Running(far.url).up() as running:
        with pytest.raises(RequestTimeout, match=r"within 0\.2 s; errcode 40058") as caught:
            await running.line.request(frames.SEND, {}, seconds=0.2)
    assert caught.value.hint == (40058, "field")


async def test_a_refusal_that_may_be_another_frame_s_is_unknown(far: Far) -> None:
    """The first frame's ack comes late, as an error: the second one's outcome is not known (§9.4)."""
    far.answer = lambda _number, frame: None if frame["cmd"] == frames.RESPOND else ok(frame)
    async with Running(far.url).up() as running:
        with pytest.raises(RequestTimeout):
            await running.line.request(frames.RESPOND, {"n": 1}, req_id="R", seconds=0.05)
        far.answer = lambda _number, frame: error(frame, 6000)
        with pytest.raises(RequestTimeout) as caught:
            await running.line.request(frames.RESPOND, {"n": 2}, req_id="R", seconds=5.0)
    assert caught.value.hint == (6000, "refused")


async def test_requests_in_flight_when_the_line_drops(far: Far) -> None:
    def answer(number: int, frame: dict[str, Any]) -> Any:
        return None if frame["cmd"] == frames.RESPOND else ok(frame)

    far.answer = answer
    async with Running(far.url).up() as running:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(_outcome(running.line.request(frames.RESPOND, {"n": 1}, req_id="R")))
            second = group.create_task(_outcome(running.line.request(frames.RESPOND, {"n": 2}, req_id="R")))
            await far.until(lambda: far.count(frames.RESPOND) == 1)
            far.drop()
        assert [getattr(task.result(), "written", None) for task in (first, second)] == [True, False]
        await running.told("down", 1)
        third = await _outcome(running.line.request(frames.RESPOND, {"n": 3}))
        assert isinstance(third, ConnectionLost)
        assert not third.written


async def _outcome(request: Awaitable[Frame]) -> Frame | WecomError:
    try:
        return await request
    except WecomError as failure:
        return failure


async def test_what_a_closing_socket_does_not_take_was_not_written(far: Far) -> None:
    async with Running(far.url).up() as running:
        socket = running.line._socket
        assert socket is not None
        socket.transport.abort()
        outcome = await _outcome(running.line.request(frames.SEND, {}))
        assert isinstance(outcome, ConnectionLost)
        assert not outcome.written


async def test_a_cancelled_request_harms_nobody(far: Far) -> None:
    held: list[dict[str, Any]] = []
    far.answer = lambda _number, frame: held.append(frame) if frame["cmd"] == frames.RESPOND else ok(frame)
    async with Running(far.url).up() as running:
        task = asyncio.ensure_future(running.line.request(frames.RESPOND, {"n": 1}, req_id="R"))
        await far.until(lambda: len(held) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        second = asyncio.ensure_future(running.line.request(frames.RESPOND, {"n": 2}, req_id="R"))
        await far.send(ok(held[0]))
        await far.until(lambda: len(held) == 2)
        await far.send(ok(held[1], n=2))
        assert (await second).body == {"n": 2}


async def test_a_wait_for_the_line_that_is_cancelled_leaves_nothing(far: Far) -> None:
    running = Running(far.url)
    for _ in range(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await running.line.ready()
    assert running.line._up_waiters == []


# --- garbage


GARBAGE: list[bytes | str] = [
    "", "{", "null", "[]", "[1,2]", '"text"', "true", "[" * 50_000, "{}", '{"cmd":5}', '{"cmd":null,"headers":[]}',
    b"\x00\x01\xff", b"{", '{"headers":{"req_id":7},"errcode":"x"}',
    '{"cmd":"aibot_unheard_of","headers":{"req_id":"R"}}',
    '{"cmd":"aibot_msg_callback"}', '{"cmd":"aibot_event_callback","body":{"event":[1]}}',
    '{"cmd":"aibot_msg_callback","headers":{"req_id":"R"},"body":[]}', '{"errcode":40058}', "\x07\x01",
    '{"cmd":"x","body":{"text":"' + "y" * 5_000_000 + '"}}',
]  # fmt: skip


async def test_garbage_does_not_cost_the_line(far: Far) -> None:
    async with Running(far.url).up() as running:
        for number, data in enumerate(GARBAGE):
            await far.send(data)
            await far.send(text(req_id=f"R{number}"))
        await running.line.request(frames.SEND, {})
        assert len(far.sockets) == 1
    heard = [frame.req_id for frame in running.callbacks]
    assert [one for one in heard if one.startswith("R") and one != "R"] == [f"R{n}" for n in range(len(GARBAGE))]


async def test_a_message_in_fragments_is_one_message(far: Far) -> None:
    data = json.dumps(text("x" * 100_000))

    async with Running(far.url).up() as running:

        async def pieces() -> AsyncIterator[str]:
            for at in range(0, len(data), 10_000):
                yield data[at : at + 10_000]

        await far.sockets[0].send(pieces())
        await far.sockets[0].ping()
        await running.line.request(frames.SEND, {})
    assert running.callbacks[0].body["text"]["content"] == "x" * 100_000


async def test_bytes_that_are_no_utf_8_are_read_all_the_same(far: Far) -> None:
    async with Running(far.url).up() as running:
        await far.sockets[0].send(json.dumps(text("A")).encode().replace(b"A", b"\xff\x07"), text=True)
        await running.line.request(frames.SEND, {})
    assert running.callbacks[0].body["text"]["content"] == "\ufffd"


async def test_a_mad_peer_does_not_fill_the_memory(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_MESSAGE_SIZE", 100_000)
    async with Running(far.url).up():
        await far.send('{"cmd":"x","body":"' + "y" * 200_000 + '"}')
        await far.until(lambda: far.count(frames.SUBSCRIBE) == 2)


async def test_an_exception_in_a_callback_does_not_cost_the_line(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_frame: Frame) -> None:
        raise LookupError("a fault of ours")

    line = Line(LineSettings("bot", "secret", far.url), fail)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(line.run())
        await line.ready()
        await far.send(text())
        await line.request(frames.SEND, {})
        assert len(far.sockets) == 1
        task.cancel()
    assert "a fault of ours" in caplog.text


async def test_websocket_pings_are_answered(far: Far) -> None:
    async with Running(far.url).up():
        await asyncio.wait_for(await far.sockets[0].ping(), 5.0)


async def test_the_secret_is_logged_at_no_level(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Running(far.url).up():
        await far.send(text("private words"))
        await far.sockets[0].ping()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    assert any("subscribed" in line for line in ours)
    assert not any("secret" in line or "private" in line for line in ours)


async def test_states_are_told_in_order(far: Far) -> None:
    async with Running(far.url).up() as running:
        far.drop()
        await running.told("subscribed", 2)
    assert [state for state, _ in running.states] == ["connecting", "subscribed", "down"] * 2
    assert running.states[-1] == ("down", "stopped")
