"""The shell of a growing answer, on a line that comes and goes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agent.wecom import frames, reply_stream
from agent.wecom.connection import Line, LineSettings
from agent.wecom.limits import SendingLimits
from agent.wecom.reply_stream import ReplyStream
from agent.wecom.stream import Address, Outcome, Stream
from agent.wecom.words import Words
from tests.wecom.far import Far, error, far_side, ok

WORDS = Words()


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as one:
        yield one


@pytest.fixture
async def line(far: Far) -> AsyncIterator[Line]:
    one = Line(LineSettings("bot", "secret", far.url, reconnect_interval=0.1, request_timeout=2.0), lambda _: None)
    task = asyncio.ensure_future(one.run())
    await one.ready()
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def bubble(line: Line) -> Callable[..., ReplyStream]:
    def make(send_file: Any = None, **settings: Any) -> ReplyStream:
        return ReplyStream(line, Stream("REQ", Address("zhangsan", 1), SendingLimits(), **settings), send_file)

    return make


Bubble = Callable[..., ReplyStream]


async def test_show_returns_at_once_and_finish_waits_for_the_ack(far: Far, bubble: Bubble) -> None:
    one = bubble(first_id="S1")
    one.open()
    one.show("Hel")
    one.show("Hello")
    assert one.stream_id == "S1"
    assert one.delivery is None
    delivery = await one.finish("Hello!")
    assert one.delivery is delivery
    assert (delivery.outcome, delivery.bubbles) == (Outcome.ACKED, 1)
    assert far.contents() == ["<think></think>", "Hello!"]


async def test_frames_follow_the_acks(far: Far, bubble: Bubble) -> None:
    one = bubble()
    for size in range(1, 6):
        one.show("x" * size)
        await far.until(lambda size=size: len(far.contents()) >= size)  # type: ignore[misc]
    await one.finish("x" * 6)
    assert far.contents() == ["<think></think>", "x", "xx", "xxx", "xxxx", "xxxxxx"]


async def test_finish_may_be_asked_for_twice_and_show_after_it_is_nothing(far: Far, bubble: Bubble) -> None:
    one = bubble()
    first, second = await asyncio.gather(one.finish("done"), one.finish("again"))
    one.show("more")
    assert first is second
    assert far.contents() == ["done"]


async def test_left_without_a_finish_it_is_finished_with_what_was_shown(far: Far, bubble: Bubble) -> None:
    async with bubble() as one:
        one.show("half an answer", "thought")
    assert far.bodies(frames.RESPOND)[-1]["stream"]["finish"]
    assert far.contents()[-1] == "<think>thought</think>half an answer"
    assert one.delivery is not None


async def test_left_without_a_word_it_says_so(far: Far, bubble: Bubble) -> None:
    async with bubble():
        pass
    assert far.contents() == [WORDS.empty]


@pytest.mark.parametrize(("shown", "last"), [("", WORDS.failed), ("half", f"half\n\n{WORDS.failed}")])
async def test_a_failure_ends_it_with_a_note(far: Far, bubble: Bubble, shown: str, last: str) -> None:
    with pytest.raises(LookupError):
        async with bubble() as one:
            one.show(shown)
            raise LookupError
    assert far.contents()[-1] == last
    assert far.bodies(frames.RESPOND)[-1]["stream"]["finish"]


async def test_a_cancellation_ends_it_with_a_note_and_goes_on(far: Far, bubble: Bubble) -> None:
    async def work() -> None:
        async with bubble() as one:
            one.show("half")
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await far.until(lambda: len(far.contents()) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert far.contents()[-1] == f"half\n\n{WORDS.stopped}"


async def test_a_cancellation_while_it_is_being_finished_does_not_stop_the_finish(far: Far, bubble: Bubble) -> None:
    held: list[dict[str, Any]] = []
    far.answer = lambda _number, frame: held.append(frame) if frame["cmd"] == frames.RESPOND else ok(frame)

    async def work() -> None:
        async with bubble() as one:
            one.open()
            await far.until(lambda: len(held) == 1)
            await one.finish("the whole answer")

    task = asyncio.ensure_future(work())
    await far.until(lambda: len(held) == 1)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    await far.send(ok(held[0]))
    await far.until(lambda: len(held) == 2)
    await far.send(ok(held[1]))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert far.contents() == ["<think></think>", "the whole answer"]


async def test_an_end_that_takes_too_long_goes_on_by_itself(
    far: Far, bubble: Bubble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_stream, "CLOSING_GRACE", 0.05)
    held: list[dict[str, Any]] = []
    far.answer = lambda _number, frame: held.append(frame) if frame["cmd"] == frames.RESPOND else ok(frame)
    one = bubble()
    with pytest.raises(LookupError):
        async with one:
            one.show("half")
            raise LookupError
    assert one.delivery is None
    await far.until(lambda: len(held) == 1)
    await far.send(ok(held[0]))
    await far.until(lambda: len(held) == 2)
    await far.send(ok(held[1]))
    assert (await one.finish("ignored")).outcome is Outcome.ACKED
    assert held[1]["body"]["stream"] == {"id": one.stream_id, "finish": True, "content": f"half\n\n{WORDS.failed}"}


async def test_a_line_that_drops_in_mid_stream_goes_on_with_the_same_stream(far: Far, bubble: Bubble) -> None:
    one = bubble(feedback_id="F")
    one.show("Hello")
    await far.until(lambda: len(far.contents()) == 1)
    far.drop()
    one.show("Hello, wor")
    await far.until(lambda: far.count(frames.SUBSCRIBE) == 2)
    delivery = await one.finish("Hello, world.")
    assert delivery.outcome is Outcome.ACKED
    sent = [
        (number, frame["headers"]["req_id"], frame["body"]["stream"])
        for number, frame in far.frames
        if frame["cmd"] == frames.RESPOND
    ]
    assert {number for number, _, _ in sent} == {0, 1}
    assert {req_id for _, req_id, _ in sent} == {"REQ"}
    assert {part["id"] for _, _, part in sent} == {one.stream_id}
    assert sent[-1][2]["content"] == "Hello, world."


@pytest.mark.parametrize("errcode", [846604, 846605, 846608])
async def test_where_the_old_req_id_no_longer_serves_the_answer_is_pushed(
    far: Far, bubble: Bubble, errcode: int
) -> None:
    far.answer = lambda number, frame: (
        error(frame, errcode) if number == 1 and frame["cmd"] == frames.RESPOND else ok(frame)
    )
    one = bubble()
    one.show("Hello")
    await far.until(lambda: len(far.contents()) == 1)
    far.drop()
    delivery = await one.finish("Hello, world.")
    assert delivery.outcome is Outcome.PUSHED
    assert far.bodies(frames.SEND) == [
        {"chatid": "zhangsan", "chat_type": 1, "msgtype": "markdown", "markdown": {"content": "Hello, world."}}
    ]


async def test_finished_while_the_line_is_down_it_waits_for_it(far: Far, line: Line, bubble: Bubble) -> None:
    one = bubble()
    one.show("Hello")
    await far.until(lambda: len(far.contents()) == 1)
    far.answer = lambda number, frame: ok(frame) if number >= 3 else far.drop(number)
    far.drop()
    assert (await one.finish("Hello, world.")).outcome is Outcome.ACKED
    assert len(far.sockets) == 4


async def test_846609_sends_the_frame_again_on_the_new_session(far: Far, bubble: Bubble) -> None:
    far.answer = lambda number, frame: (
        error(frame, 846609) if number == 0 and frame["cmd"] == frames.RESPOND else ok(frame)
    )
    assert (await bubble().finish("Hello")).outcome is Outcome.ACKED
    assert [number for number, frame in far.frames if frame["cmd"] == frames.RESPOND] == [0, 1]


async def test_a_push_that_met_846609_is_pushed_on_the_new_session_once(far: Far, bubble: Bubble) -> None:
    def answer(number: int, frame: dict[str, Any]) -> Any:
        if frame["cmd"] == frames.RESPOND:
            return error(frame, 846605)
        return error(frame, 846609) if number == 0 and frame["cmd"] == frames.SEND else ok(frame)

    far.answer = answer
    assert (await bubble().finish("Hello")).outcome is Outcome.PUSHED
    assert [number for number, frame in far.frames if frame["cmd"] == frames.SEND] == [0, 1]


async def test_acks_that_are_late_or_doubled_or_lost(far: Far, bubble: Bubble) -> None:
    lost = 2

    def answer(_number: int, frame: dict[str, Any]) -> Any:
        nonlocal lost
        if frame["cmd"] != frames.RESPOND:
            return ok(frame)
        if frame["body"]["stream"]["content"].endswith("2") and lost:
            lost -= 1
            return None
        return [ok(frame), ok(frame)]

    far.answer = answer
    one = bubble()
    for number in range(6):
        one.show(" ".join(map(str, range(number + 1))) + " ")
        await asyncio.sleep(0.13)
    assert (await one.finish("0 1 2 3 4 5 6")).outcome is Outcome.ACKED
    assert far.contents()[-1] == "0 1 2 3 4 5 6"
    assert far.bodies(frames.RESPOND)[-1]["stream"]["finish"]


async def test_a_line_that_is_closed_for_good_leaves_it_owed(far: Far, line: Line, bubble: Bubble) -> None:
    one = bubble()
    one.show("Hello")
    await far.until(lambda: len(far.contents()) == 1)
    waiting = asyncio.ensure_future(one.finish("Hello, world."))
    far.answer = lambda _number, frame: error(frame, 853000)
    far.drop()
    assert (await waiting).outcome is Outcome.OWED
    assert (await bubble().finish("later")).outcome is Outcome.OWED


async def test_a_long_answer_is_followed_by_its_file(far: Far, bubble: Bubble) -> None:
    texts: list[str] = []

    async def send_file(text: str) -> bool:
        texts.append(text)
        return True

    text = "paragraph\n\n" * 20_000
    one = bubble(send_file)
    delivery = await one.finish(text)
    await one.finish("again")
    assert (delivery.as_file, texts) == (True, [text])
    assert far.contents()[-1].endswith(WORDS.as_file)


async def test_a_hundred_answers_at_once(far: Far, line: Line) -> None:
    async def one(number: int) -> Outcome:
        limits = SendingLimits()
        async with ReplyStream(line, Stream(f"REQ{number}", None, limits)) as bubble:
            for size in range(20):
                bubble.show(f"{number}: " + "word " * size)
                await asyncio.sleep(0.01)
            return (await bubble.finish(f"{number}: done")).outcome

    outcomes = await asyncio.gather(*[one(number) for number in range(100)])
    assert set(outcomes) == {Outcome.ACKED}
    last = {
        frame["headers"]["req_id"]: frame["body"]["stream"] for _, frame in far.frames if frame["cmd"] == frames.RESPOND
    }
    assert {part["content"] for part in last.values()} == {f"{number}: done" for number in range(100)}
    assert all(part["finish"] for part in last.values())


async def test_a_finished_answer_leaves_no_timer(far: Far, bubble: Bubble) -> None:
    one = bubble()
    one.show("Hello")
    await far.until(lambda: len(far.contents()) == 1)
    await one.finish("Hello, world.")
    assert one._timer is None


async def test_words_of_the_answer_are_not_logged(far: Far, bubble: Bubble, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agent.wecom")
    far.answer = lambda _number, frame: error(frame, 846605) if frame["cmd"] == frames.RESPOND else ok(frame)
    await bubble().finish("private words")
    assert "846605" in caplog.text
    assert "private" not in caplog.text


async def test_a_cancelled_answer_that_comes_as_a_push_shows_nothing_and_is_owed(far: Far, bubble: Bubble) -> None:
    one = bubble(pushes=True)
    with pytest.raises(asyncio.CancelledError):
        async with one:
            one.show("half")
            raise asyncio.CancelledError
    assert one.delivery is not None
    assert one.delivery.outcome is Outcome.OWED
    assert far.count(frames.SEND) == far.count(frames.RESPOND) == 0


async def test_the_last_resort_is_asked_once_where_nothing_can_be_pushed(far: Far, line: Line) -> None:
    far.answer = lambda _, frame: error(frame, 93006) if frame["cmd"] == frames.SEND else ok(frame)
    for works, outcome in ((True, Outcome.PUSHED), (False, Outcome.FAILED)):
        asked: list[str] = []

        async def last_resort(text: str, works: bool = works, asked: list[str] = asked) -> bool:
            asked.append(text)
            return works

        stream = Stream("REQ", Address("zhangsan", 1), SendingLimits(), pushes=True)
        delivery = await ReplyStream(line, stream, None, last_resort).finish("Hello!")
        assert (delivery.outcome, asked) == (outcome, ["Hello!"])
