"""From what a handler returned to what people see: bubbles of one handler run, failures, welcomes, card updates."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.wecom import (
    ConnectionLost,
    Frame,
    HandlerError,
    Outcome,
    RequestFailed,
    RequestTimeout,
    RspFileMsg,
    RspImageMsg,
    RspMarkdownMsg,
    RspStreamMsg,
    RspTemplateCardMsg,
    RspTextMsg,
    RspVideoMsg,
    WecomAIBotWsServer,
    Words,
    answers,
    frames,
    parse_message,
)
from agent.wecom.limits import SendingLimits
from agent.wecom.stream import CONTENT_LIMIT
from tests.wecom.far import Far, error, far_side, ok, text
from tests.wecom.golden import golden
from tests.wecom.running import running, server_on

WORDS = Words()


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as one:
        yield one


def gateway(_number: int, frame: dict[str, Any]) -> Any:
    if frame["cmd"] == frames.UPLOAD_INIT:
        return ok(frame, upload_id="UPLOAD-1")
    if frame["cmd"] == frames.UPLOAD_FINISH:
        return ok(frame, media_id="MEDIA-1")
    return ok(frame)


def refusing(errcode: int, cmd: str = frames.RESPOND, times: int = 99) -> Callable[[int, dict[str, Any]], Any]:
    left = times

    def answer(number: int, frame: dict[str, Any]) -> Any:
        nonlocal left
        if frame["cmd"] == cmd and left:
            left -= 1
            return error(frame, errcode)
        return gateway(number, frame)

    return answer


def streams(far: Far) -> list[tuple[str, str, bool]]:
    """(stream id, content, finish) of every stream frame."""
    parts = [body["stream"] for body in far.bodies(frames.RESPOND) if body["msgtype"] == "stream"]
    return [(part["id"], part["content"], part["finish"]) for part in parts]


def bubbles(far: Far) -> list[str]:
    """What each bubble ended with, in the order of their first frames."""
    ends: dict[str, str] = {}
    for id, content, finish in streams(far):
        ends[id] = content if finish else "(unfinished)"
    return list(ends.values())


async def handled(far: Far, handler: Callable[..., Any], **handlers: Callable[..., Any]) -> None:
    """Lets `handler` answer one message, to its end."""
    ended = asyncio.Event()
    server = server_on(far.url)
    server.set_message_handler(handler)
    if "on_error" in handlers:
        server.set_error_handler(handlers["on_error"])
    finish = server._tasks.discard
    server._tasks = _Tasks(lambda task: (finish(task), ended.set()))
    async with running(server):
        await far.send(text())
        async with asyncio.timeout(15.0):
            await ended.wait()


class _Tasks(set):  # type: ignore[type-arg]
    """The server's running handlers; tells when one is over."""

    def __init__(self, ended: Callable[[Any], Any]) -> None:
        super().__init__()
        self._ended = ended

    def discard(self, task: Any) -> None:
        super().discard(task)
        self._ended(task)


# --- streams of one handler run


async def test_a_stream_reply_of_a_plain_handler_is_one_frame(far: Far) -> None:
    await handled(far, lambda _: RspStreamMsg("hello"))
    ((_, content, finish),) = streams(far)
    assert (content, finish) == ("hello", True)


async def test_without_an_id_all_replies_of_a_run_share_one_bubble_that_its_end_finishes(far: Far) -> None:
    async def handler(_message: Any) -> AsyncIterator[Any]:
        for size in range(1, 5):
            yield RspStreamMsg("x" * size)  # finish is True unless said otherwise: by itself it says nothing
            await far.until(lambda size=size: len(streams(far)) >= size)

    await handled(far, handler)
    assert bubbles(far) == ["xxxx"]
    assert [finish for _, _, finish in streams(far)] == [False] * (len(streams(far)) - 1) + [True]


async def test_a_finish_that_follows_its_absence_ends_the_bubble_at_once(far: Far) -> None:
    async def handler(_message: Any) -> AsyncIterator[Any]:
        yield RspStreamMsg("one", finish=False)
        yield RspStreamMsg("one two", finish=True)
        assert streams(far)[-1][1:] == ("one two", True)
        yield RspStreamMsg("another", finish=False)

    await handled(far, handler)
    assert bubbles(far) == ["one two", "another"]


async def test_ids_are_bubbles_of_their_own_and_none_stays_open(far: Far) -> None:
    def handler(_message: Any) -> Iterator[Any]:
        yield RspStreamMsg("a", "A", False)
        yield RspStreamMsg("b", "B", False, feedback_id="F")
        yield RspStreamMsg("a!", "A", True)
        yield RspStreamMsg("b?", "B", False)

    await handled(far, handler)
    ends = {id: content for id, content, finish in streams(far) if finish}
    assert ends == {"A": "a!", "B": "b?"}
    feedback = [body["stream"].get("feedback") for body in far.bodies(frames.RESPOND) if body["stream"]["id"] == "B"]
    assert feedback[0] == {"id": "F"}


async def test_a_think_block_in_a_reply_is_kept_apart(far: Far) -> None:
    await handled(far, lambda _: RspStreamMsg("<think>1 < 2</think>yes"))
    assert bubbles(far) == ["<think>1 ＜ 2</think>yes"]


async def test_an_unclosed_think_block_swallows_nothing(far: Far) -> None:
    await handled(far, lambda _: RspTextMsg("<think>never closed"))
    assert bubbles(far) == [f"<think>never closed</think>{WORDS.empty}"]


@pytest.mark.parametrize("reply", [RspTextMsg(""), RspTextMsg(None), RspMarkdownMsg(" \n"), RspStreamMsg("\u200b")])
async def test_a_reply_that_nobody_could_see_says_so(far: Far, reply: Any) -> None:
    await handled(far, lambda _: reply)
    assert bubbles(far) == [WORDS.empty]


async def test_text_and_markdown_are_bubbles_of_their_own(far: Far) -> None:
    def handler(_message: Any) -> Iterator[Any]:
        yield RspTextMsg("one")
        yield None
        yield RspMarkdownMsg("**two**", feedback_id="F")

    await handled(far, handler)
    assert bubbles(far) == ["one", "**two**"]
    assert [body["stream"].get("feedback") for body in far.bodies(frames.RESPOND)] == [None, {"id": "F"}]


# --- failures


@pytest.mark.parametrize("reply", [5, object(), ["a", "b"], "text", b"bytes", RspTextMsg])
async def test_nonsense_is_said_to_have_failed(far: Far, reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    await handled(far, lambda _: reply)
    assert bubbles(far) == [WORDS.failed]
    assert "a handler returned" in caplog.text


async def test_a_failure_shows_in_the_bubble_that_is_open(far: Far) -> None:
    def handler(_message: Any) -> Iterator[Any]:
        yield RspStreamMsg("<think>hm</think>half an answer", finish=False)
        raise LookupError

    await handled(far, handler)
    assert bubbles(far) == [f"<think>hm</think>half an answer\n\n{WORDS.failed}"]


async def test_the_error_handler_s_words_show_in_the_bubble_that_is_open(far: Far) -> None:
    def handler(_message: Any) -> Iterator[Any]:
        yield RspStreamMsg("half", finish=False)
        raise LookupError

    await handled(far, handler, on_error=lambda error: RspMarkdownMsg(f"oops: {type(error).__name__}"))
    assert bubbles(far) == ["half\n\noops: LookupError"]


async def test_another_kind_of_reply_of_the_error_handler_follows_the_bubble(far: Far, tmp_path: Path) -> None:
    far.answer = gateway
    (tmp_path / "log.txt").write_text("what happened")

    def handler(_message: Any) -> Iterator[Any]:
        yield RspStreamMsg("half", finish=False)
        raise LookupError

    await handled(far, handler, on_error=lambda *_: RspFileMsg(str(tmp_path / "log.txt")))
    assert bubbles(far) == ["half"]
    assert far.bodies(frames.RESPOND)[1] == {"msgtype": "file", "file": {"media_id": "MEDIA-1"}} or any(
        body == {"msgtype": "file", "file": {"media_id": "MEDIA-1"}} for body in far.bodies(frames.RESPOND)
    )


@pytest.mark.parametrize("second", [LookupError("second"), SystemExit(2), asyncio.CancelledError()])
async def test_an_error_handler_that_fails_hides_nothing(
    far: Far, second: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(_message: Any) -> None:
        raise ZeroDivisionError("first")

    async def on_error(*_: Any) -> None:
        raise second

    await handled(far, handler, on_error=on_error)
    assert bubbles(far) == [WORDS.failed]
    assert "ZeroDivisionError: first" in caplog.text
    assert "the error handler failed" in caplog.text


async def test_something_else_that_was_cancelled_is_a_failure_of_the_handler(far: Far) -> None:
    async def handler(_message: Any) -> None:
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other

    await handled(far, handler)
    assert bubbles(far) == [WORDS.failed]


async def test_a_file_that_is_not_there_fails_the_message(far: Far) -> None:
    await handled(far, lambda _: RspFileMsg("/no/such/file"))
    assert bubbles(far) == [WORDS.failed]
    assert far.count(frames.UPLOAD_INIT) == 0


async def test_a_reply_that_wecom_refuses_fails_the_message(far: Far) -> None:
    refusals = iter([True])
    far.answer = lambda _number, frame: (
        error(frame, 40008) if frame["cmd"] == frames.RESPOND and next(refusals, False) else ok(frame)
    )
    await handled(far, lambda _: {"msgtype": "text", "text": {"content": "refused"}})
    assert bubbles(far) == [WORDS.failed]


# --- reply_message


def message(req_id: str = "REQ") -> Any:
    data = text(req_id=req_id)
    return parse_message(Frame(data["cmd"], req_id, data["body"]))


async def test_a_reply_to_a_frame_or_to_a_message(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        one = message()
        for target in (one, one.frame):
            delivery = await server.reply_message(target, RspTextMsg("hi"))
            assert getattr(delivery, "outcome", None) is Outcome.ACKED
    assert bubbles(far) == ["hi", "hi"]


async def test_a_dict_goes_as_it_is(far: Far) -> None:
    body = {"msgtype": "markdown", "markdown": {"content": "as it is"}, "extra": 1}
    async with running(server_on(far.url)) as server:
        ack = await server.reply_message(message(), body)
        assert isinstance(ack, Frame)
    assert far.bodies(frames.RESPOND) == [body]


@pytest.mark.parametrize("kind", ["markdown", "stream"])
async def test_only_a_dict_that_wecom_would_refuse_for_its_length_is_split(far: Far, kind: str) -> None:
    words = "字" * 10_000
    async with running(server_on(far.url)) as server:
        await server.reply_message(message(), {"msgtype": kind, kind: {"content": words, "feedback": {"id": "F"}}})
    assert "".join(bubbles(far)) == words
    assert len(bubbles(far)) == 2
    assert far.bodies(frames.RESPOND)[0]["stream"]["feedback"] == {"id": "F"}


async def test_frames_of_a_stream_one_by_one(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        one = message()
        await server.reply_message(one, RspStreamMsg("one", "S", False, feedback_id="F"))
        await server.reply_message(one, RspStreamMsg("one two", "S", False))
        await server.reply_message(one, RspStreamMsg("one two three", "S"))
    assert streams(far) == [("S", "one", False), ("S", "one two", False), ("S", "one two three", True)]


async def test_an_unfinished_frame_that_is_too_long_is_cut_and_the_finish_is_whole(far: Far) -> None:
    words = "字" * 10_000
    async with running(server_on(far.url)) as server:
        one = message()
        await server.reply_message(one, RspStreamMsg(f"<think>because</think>{words}", "S", False))
        await server.reply_message(one, RspStreamMsg(words, "S"))
    (first, *rest) = streams(far)
    assert len(first[1].encode()) <= CONTENT_LIMIT
    assert first[1].startswith("<think>because</think>字")
    assert "".join(content for _, content, _ in rest) == words
    assert rest[0][0] == "S"


async def test_6000_on_the_finish_of_a_stream_of_one_s_own_is_no_second_answer(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        one = message()
        await server.reply_message(one, RspStreamMsg("one", "S", False))
        far.answer = refusing(6000)
        await server.reply_message(one, RspStreamMsg("one two", "S"))
    assert far.count(frames.SEND) == 0


async def test_without_an_id_nobody_could_finish_it_so_it_is_finished(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        await server.reply_message(message(), RspStreamMsg("alone", finish=False))
    assert [finish for _, _, finish in streams(far)] == [True]


async def test_what_is_no_reply_is_refused(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        with pytest.raises(HandlerError, match="str is no reply"):
            await server.reply_message(message(), "text")  # type: ignore[arg-type]
        with pytest.raises(HandlerError, match="RspFileMsg needs a file_path or a media_id"):
            await server.reply_message(message(), RspFileMsg())


async def test_a_card_and_media_of_a_known_id(far: Far) -> None:
    card = golden("out-reply-card-button").body["template_card"]
    async with running(server_on(far.url)) as server:
        await server.reply_message(message(), RspTemplateCardMsg(card))
        await server.reply_message(message(), RspVideoMsg(None, "MEDIA-9", "Title", "Words"))
    assert far.bodies(frames.RESPOND) == [
        {"msgtype": "template_card", "template_card": card},
        {"msgtype": "video", "video": {"media_id": "MEDIA-9", "title": "Title", "description": "Words"}},
    ]


async def test_a_video_keeps_its_title_only_as_a_video(far: Far, tmp_path: Path) -> None:
    far.answer = gateway
    for name, head in (("a.mp4", b"\x00\x00\x00\x18ftypmp42"), ("b.mp4", b"no video at all")):
        (tmp_path / name).write_bytes(head)
    async with running(server_on(far.url)) as server:
        for name in ("a.mp4", "b.mp4"):
            await server.reply_message(message(), RspVideoMsg(str(tmp_path / name), title="Title"))
    assert far.bodies(frames.RESPOND) == [
        {"msgtype": "video", "video": {"media_id": "MEDIA-1", "title": "Title"}},
        {"msgtype": "file", "file": {"media_id": "MEDIA-1"}},
    ]
    assert [body["filename"] for body in far.bodies(frames.UPLOAD_INIT)] == ["a.mp4", "b.mp4"]


# --- media and cards: at most once


PICTURE = RspImageMsg(media_id="MEDIA-9")


@pytest.mark.parametrize("errcode", [846604, 846605, 846608, 6000])
async def test_where_the_req_id_no_longer_serves_it_is_pushed(far: Far, errcode: int) -> None:
    far.answer = refusing(errcode)
    async with running(server_on(far.url)) as server:
        await server.reply_message(message(), PICTURE)
    assert far.bodies(frames.SEND) == [
        {"chatid": "zhangsan", "chat_type": 1, "msgtype": "image", "image": {"media_id": "MEDIA-9"}}
    ]


async def test_any_other_refusal_is_raised(far: Far) -> None:
    far.answer = refusing(40007)
    async with running(server_on(far.url)) as server:
        with pytest.raises(RequestFailed, match="40007"):
            await server.reply_message(message(), PICTURE)
    assert far.count(frames.SEND) == 0


async def test_of_unknown_outcome_it_is_not_repeated(far: Far) -> None:
    far.answer = lambda _number, frame: None if frame["cmd"] == frames.RESPOND else ok(frame)
    async with running(server_on(far.url, request_timeout=200)) as server:
        with pytest.raises(RequestTimeout):
            await server.reply_message(message(), PICTURE)
        task = asyncio.ensure_future(server.reply_message(message("R2"), PICTURE))
        await far.until(lambda: far.count(frames.RESPOND) == 2)
        far.drop()
        with pytest.raises(ConnectionLost) as caught:
            await task
        assert caught.value.written
    assert far.count(frames.RESPOND) == 2
    assert far.count(frames.SEND) == 0


async def test_what_was_never_taken_is_sent_on_the_next_line(far: Far) -> None:
    far.answer = lambda number, frame: (
        error(frame, 846609) if number < 2 and frame["cmd"] in (frames.RESPOND, frames.SEND) else ok(frame)
    )
    async with running(server_on(far.url)) as server:
        await server.reply_message(message(), PICTURE)
    assert [number for number, frame in far.frames if frame["cmd"] == frames.RESPOND] == [0, 1, 2]


async def test_a_push_while_the_line_is_down_waits_a_moment(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        far.drop()
        await far.until(lambda: far.closed == [0])
        await server.send_text("zhangsan", "hello")
    assert [number for number, frame in far.frames if frame["cmd"] == frames.SEND] == [1]


async def test_a_push_while_the_line_stays_down_is_refused_in_time(far: Far) -> None:
    async with running(server_on(far.url, request_timeout=300)) as server:
        far.answer = lambda number, frame: far.drop(number)
        far.drop()
        await far.until(lambda: far.closed == [0])
        with pytest.raises(ConnectionLost) as caught:
            await server.send_text("zhangsan", "hello")
        assert not caught.value.written


async def test_limits_are_respected_by_waiting(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        server._sending.limits = SendingLimits()
        server._sending.limits._windows = ((0.4, 2),)
        loop = asyncio.get_running_loop()
        began = loop.time()
        times = []
        for number in range(5):  # replies and pushes together (protocol §13)
            if number % 2:
                await server.reply_message(message(), PICTURE)
            else:
                await server.send_text("zhangsan", f"{number}")
            times.append(loop.time() - began)
        assert times[1] < 0.4 <= times[2]
        assert times[4] >= 0.8
        for number in range(5):  # refreshes are not counted
            refresh = {"id": "S", "finish": False, "content": f"{number}"}
            await server.reply_message(message(), {"msgtype": "stream", "stream": refresh})
        assert loop.time() - began < times[4] + 0.3


# --- long answers


LONG = "paragraph\n\n" * 20_000


async def test_a_long_answer_is_its_beginning_and_a_file(far: Far) -> None:
    far.answer = gateway
    await handled(far, lambda _: RspTextMsg(LONG))
    assert bubbles(far)[0].endswith(WORDS.as_file)
    (init,) = far.bodies(frames.UPLOAD_INIT)
    assert init["filename"].startswith("answer-2")
    assert init["filename"].endswith(".md")
    assert init["total_size"] == len(LONG)
    assert far.bodies(frames.RESPOND)[-1] == {"msgtype": "file", "file": {"media_id": "MEDIA-1"}}
    assert far.count(frames.SEND) == 0


@pytest.mark.parametrize("cmd", [frames.UPLOAD_INIT, frames.UPLOAD_FINISH])
async def test_where_the_file_cannot_go_the_text_goes_in_pieces(far: Far, cmd: str) -> None:
    far.answer = refusing(40006, cmd)
    await handled(far, lambda _: RspTextMsg(LONG))
    assert "".join(body["markdown"]["content"] for body in far.bodies(frames.SEND)) == LONG


async def test_a_file_of_unknown_outcome_is_not_followed_by_the_text(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(number: int, frame: dict[str, Any]) -> Any:
        if frame["cmd"] == frames.RESPOND and frame["body"]["msgtype"] == "file":
            far.drop()
            return None
        return gateway(number, frame)

    far.answer = answer
    await handled(far, lambda _: RspTextMsg(LONG))
    assert far.count(frames.SEND) == 0


async def test_pushed_text_of_any_length_goes_in_pieces(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        await server.send_markdown("zhangsan", LONG[:50_000], 1)
        await server.send_active_message("zhangsan", RspMarkdownMsg("x", feedback_id="F"), "single")
        await server.send_active_message("zhangsan", RspStreamMsg("streams cannot be pushed"), 0)
        await server.send_active_message("zhangsan", {"msgtype": "text", "text": {"content": "nor text"}})
        await server.send_text("zhangsan", " ")
        await server.send_text("zhangsan", "<think>")
    bodies = far.bodies(frames.SEND)
    assert {body["msgtype"] for body in bodies} == {"markdown"}
    contents = [body["markdown"]["content"] for body in bodies]
    assert "".join(contents[:3]) == LONG[:50_000]
    assert contents[3:] == ["x", "streams cannot be pushed", "nor text", WORDS.empty, "＜think>"]
    assert [body.get("chat_type") for body in bodies] == [1, 1, 1, 1, None, None, None, None]
    assert bodies[3]["markdown"]["feedback"] == {"id": "F"}


async def test_a_push_knows_the_kind_of_chat_that_it_heard_from(far: Far) -> None:
    server = server_on(far.url)
    heard: asyncio.Queue[str] = asyncio.Queue()
    server.set_message_handler(lambda message: heard.put_nowait(message.req_id))
    async with running(server):
        await far.send(text(req_id="R1"))
        await far.send(text(req_id="R2", chatid="GROUP", chattype="group"))
        assert {await heard.get(), await heard.get()} == {"R1", "R2"}
        await server.send_text("zhangsan", "a")
        await server.send_text("GROUP", "b")
        await server.send_text("group", "c")  # ids are case-sensitive (protocol §12)
        await server.send_text("zhangsan", "d", "group")
    assert [body.get("chat_type") for body in far.bodies(frames.SEND)] == [1, 2, None, 2]


# --- events


async def told(far: Far, event: dict[str, Any], reply: Any, **settings: Any) -> WecomAIBotWsServer:
    """Lets a handler answer an event with `reply`, to its end."""
    server = server_on(far.url, **settings)
    ended = asyncio.Event()
    finish = server._tasks.discard
    server._tasks = _Tasks(lambda task: (finish(task), ended.set()))
    server.set_event_handler(reply if callable(reply) else lambda _: reply)
    async with running(server):
        await far.send(event)
        async with asyncio.timeout(15.0):
            await ended.wait()
    return server


ENTER = golden("in-event-enter-chat").frame
CLICK = golden("in-event-card-button").frame
CARD = {"card_type": "button_interaction", "main_title": {"title": "Done"}, "task_id": "ANOTHER"}


@pytest.mark.parametrize("reply", [RspTextMsg("Welcome!"), RspMarkdownMsg("Welcome!"), RspStreamMsg("Welcome!")])
async def test_a_welcome_is_text(far: Far, reply: Any) -> None:
    await told(far, ENTER, reply)
    (frame,) = [frame for _, frame in far.frames if frame["cmd"] != frames.SUBSCRIBE]
    assert frame["cmd"] == frames.WELCOME
    assert frame["headers"] == ENTER["headers"]
    assert frame["body"] == {"msgtype": "text", "text": {"content": "Welcome!"}}
    assert frame["body"].keys() == golden("out-welcome-text").body.keys()


async def test_a_welcome_may_be_a_card(far: Far) -> None:
    await told(far, ENTER, RspTemplateCardMsg(CARD))
    assert far.bodies(frames.WELCOME) == [{"msgtype": "template_card", "template_card": CARD}]


async def test_a_welcome_that_is_a_file_is_pushed(far: Far) -> None:
    await told(far, ENTER, RspFileMsg(media_id="MEDIA-9"))
    assert far.count(frames.WELCOME) == 0
    assert far.bodies(frames.SEND) == [
        {"chatid": "zhangsan", "chat_type": 1, "msgtype": "file", "file": {"media_id": "MEDIA-9"}}
    ]


async def test_a_click_updates_the_card_that_was_clicked(far: Far) -> None:
    await told(far, CLICK, RspTemplateCardMsg(CARD))
    (frame,) = [frame for _, frame in far.frames if frame["cmd"] != frames.SUBSCRIBE]
    assert frame["cmd"] == frames.UPDATE_CARD
    assert frame["headers"] == CLICK["headers"]
    assert frame["body"] == {"response_type": "update_template_card", "template_card": {**CARD, "task_id": "TASK-1"}}
    assert frame["body"].keys() == golden("out-update-card-button").body.keys()


async def test_an_update_may_be_a_dict(far: Far) -> None:
    whole = golden("out-update-card-userids").body
    await told(far, CLICK, whole)
    await told(far, CLICK, {"msgtype": "template_card", "template_card": CARD})
    assert far.bodies(frames.UPDATE_CARD) == [
        whole,
        {"response_type": "update_template_card", "template_card": {**CARD, "task_id": "TASK-1"}},
    ]


@pytest.mark.parametrize(
    "reply", [RspTextMsg("noted"), RspMarkdownMsg("noted"), {"msgtype": "markdown", "markdown": {"content": "noted"}}]
)
async def test_words_after_a_click_are_pushed(far: Far, reply: Any) -> None:
    await told(far, CLICK, reply)
    assert far.count(frames.UPDATE_CARD) == 0
    assert far.bodies(frames.SEND) == [
        {"chatid": "zhangsan", "chat_type": 1, "msgtype": "markdown", "markdown": {"content": "noted"}}
    ]


@pytest.mark.parametrize("event", [ENTER, CLICK])
async def test_an_answer_after_the_window_is_pushed(
    far: Far, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "EVENT_WINDOW", -1.0)
    await told(far, event, RspTemplateCardMsg(CARD))
    assert far.count(frames.WELCOME) + far.count(frames.UPDATE_CARD) == 0
    assert far.bodies(frames.SEND)[0]["template_card"] == CARD


@pytest.mark.parametrize(("event", "cmd"), [(ENTER, frames.WELCOME), (CLICK, frames.UPDATE_CARD)])
@pytest.mark.parametrize("errcode", [846604, 846605])
async def test_an_answer_that_wecom_finds_too_late_is_pushed(
    far: Far, event: dict[str, Any], cmd: str, errcode: int
) -> None:
    far.answer = refusing(errcode, cmd)
    await told(far, event, RspTemplateCardMsg(CARD))
    assert far.count(cmd) == 1
    assert far.count(frames.SEND) == 1


async def test_a_late_dict_that_cannot_be_pushed_is_dropped_with_a_word(
    far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    far.answer = refusing(846604, frames.UPDATE_CARD)
    await told(far, CLICK, golden("out-update-card-userids").body)
    assert far.count(frames.SEND) == 0
    assert "cannot be pushed" in caplog.text


@pytest.mark.parametrize("name", ["in-event-feedback-like", "in-event-feedback-dislike", "in-event-auth-change"])
async def test_other_events_reach_the_handler_and_take_no_answer(
    far: Far, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    await told(far, golden(name).frame, lambda event: seen.append(event) or RspTextMsg("no"))
    assert [event.event_type for event in seen] == [golden(name).body["event"]["eventtype"]]
    assert {frame["cmd"] for _, frame in far.frames} == {frames.SUBSCRIBE}
    assert "WeCom takes none" in caplog.text


async def test_an_event_handler_may_be_a_generator(far: Far) -> None:
    async def handler(_event: Any) -> AsyncIterator[Any]:
        yield RspTemplateCardMsg(CARD)
        yield RspTextMsg("and words")

    await told(far, CLICK, handler)
    assert (far.count(frames.UPDATE_CARD), far.count(frames.SEND)) == (1, 1)


async def test_an_event_handler_that_fails_harms_nobody(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    def handler(_event: Any) -> None:
        raise LookupError("a fault of the handler")

    await told(far, ENTER, handler)
    assert "a fault of the handler" in caplog.text
    assert {frame["cmd"] for _, frame in far.frames} == {frames.SUBSCRIBE}


async def test_a_reply_to_an_event_by_hand(far: Far) -> None:
    event = parse_message(Frame(frames.EVENT, "REQ-ENTER", ENTER["body"]))
    async with running(server_on(far.url)) as server:
        await server.reply_message(event, RspTextMsg("Welcome!"))
    assert far.count(frames.WELCOME) == 1
