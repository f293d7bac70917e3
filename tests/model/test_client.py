"""The client against a real HTTP server: every event, every error, retries, deadlines, and letting go."""

import asyncio
import base64
import contextlib
import json
import socket
import time
import zlib
from dataclasses import replace
from typing import Any

import pytest

from agent.model.client import ModelClient
from agent.model.errors import (
    BadAnswer,
    BadRequest,
    Cut,
    Empty,
    KeyRefused,
    ModelError,
    ModelMissing,
    NoBalance,
    Overloaded,
    RateLimited,
    Refused,
    TimedOut,
    TooLong,
    Unreachable,
)
from agent.model.probe import probe
from agent.model.stream import Event, Finished, Text, TextWasThinking, Thinking, ToolCall, Usage
from tests.model.conftest import HASTE, KEY
from tests.model.far import Far, Line, answers, breaks, delta, finish, raw, refuses, says, usage

QUESTION = [{"role": "user", "content": "报销怎么走？"}]


async def ask(client: ModelClient, **kwargs: Any) -> list[Event]:
    events: list[Event] = []
    async with client.stream(QUESTION, model="m", **kwargs) as answer:
        async for batch in answer:
            assert batch
            events += batch
    return events


async def fails(client: ModelClient, kind: type[ModelError], **kwargs: Any) -> tuple[list[Event], ModelError]:
    """The events before the failure, and the failure."""
    events: list[Event] = []
    with pytest.raises(ModelError) as caught:
        async with asyncio.timeout(20), client.stream(QUESTION, model="m", **kwargs) as answer:
            async for batch in answer:
                events += batch
    assert type(caught.value) is kind, caught.value
    # Nothing of the library's exception, which holds the request with its key, hangs on it.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return events, caught.value


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


# The request


async def test_an_answer(far: Far, client: ModelClient) -> None:
    far.will(says(delta(role="assistant", content=""), delta("先"), delta("填单。"), finish(), usage(12, 4)))
    assert await ask(client, temperature=0.3, max_tokens=99) == [
        Text("先"),
        Text("填单。"),
        Usage(12, 4, 0),
        Finished("stop"),
    ]
    request = far.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "m",
        "messages": QUESTION,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.3,
        "max_tokens": 99,
    }


async def test_what_is_not_given_is_not_sent(far: Far, client: ModelClient) -> None:
    far.will(answers())
    await ask(client, extra={"enable_thinking": False}, tools=[{"type": "function", "function": {"name": "f"}}])
    assert far.bodies[0].keys() == {"model", "messages", "stream", "stream_options", "enable_thinking", "tools"}


@pytest.mark.parametrize("key", [None, "", "  "])
async def test_without_a_key_a_placeholder_goes(far: Far, key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-program")
    far.will(answers())
    async with ModelClient(far.url, key, patience=HASTE) as client:
        await ask(client)
    assert far.requests[0].headers["authorization"] == "Bearer none"


@pytest.mark.parametrize(
    "url", ["api.example.com/v1", "ftp://x/", "http://", "sk-abcdef", "https://x:port/", "http://[::1"]
)
async def test_a_base_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="OPENAI_BASE_URL"):
        async with ModelClient(url, KEY):
            pass


@pytest.mark.parametrize("key", ["sk-中文", "sk-a\nb", "sk-“x”"])
async def test_a_key_that_no_header_carries_is_named_but_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="OPENAI_API_KEY") as caught:
        async with ModelClient("http://127.0.0.1:1/v1", key):
            pass
    assert "sk-" not in str(caught.value)


async def test_many_answers_at_a_time_share_the_pool(far: Far, client: ModelClient) -> None:
    far.will(answers("a"))
    for _ in range(3):
        await ask(client)
    assert far.connections == 1
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(client)) for _ in range(20)]
    assert all(text_of(task.result()) == "a" for task in tasks)
    assert far.connections <= 20


async def test_a_closed_client_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        ModelClient("http://127.0.0.1:1/v1", KEY).stream(QUESTION, model="m")


# The stream


async def test_the_events_of_one_read_come_together(far: Far, client: ModelClient) -> None:
    async def burst(line: Line) -> None:
        await line.head()
        event = f"data: {json.dumps(delta('a'))}\n\n".encode()
        await line.send(event * 5)
        await line.send(finish())
        await line.send("[DONE]")
        await line.end()

    far.will(burst)
    async with client.stream(QUESTION, model="m") as answer:
        assert await anext(answer) == [Text("a")] * 5
        async for _ in answer:
            pass


async def test_tokens_arrive_one_by_one(far: Far, client: ModelClient) -> None:
    heard = asyncio.Event()

    async def slow(line: Line) -> None:
        await line.head()
        for word in ("a", "b"):
            await line.send(delta(word))
            await heard.wait()
            heard.clear()
        await line.send(finish())
        await line.send("[DONE]")
        await line.end()

    far.will(slow)
    events: list[Event] = []
    async with client.stream(QUESTION, model="m") as answer:
        async for batch in answer:
            events += batch
            heard.set()
    assert events == [Text("a"), Text("b"), Finished("stop")]


async def test_thinking_tools_and_comments(far: Far, client: ModelClient) -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}
    far.will(
        says(
            b": keep-alive\n\n", delta(reasoning_content="hm"), b":\n\n", delta(tool_calls=[call]), finish("tool_calls")
        )
    )
    assert await ask(client) == [Thinking("hm"), ToolCall("c1", "f", "{}"), Finished("tool_calls")]


async def test_events_cut_into_bytes(far: Far, client: ModelClient) -> None:
    body = b"".join(
        f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n".encode() for chunk in (delta("先填单。"), finish())
    )

    async def dribble(line: Line) -> None:
        await line.head()
        for at in range(0, len(body), 3):
            await line.send(body[at : at + 3])
        await line.end()

    far.will(dribble)
    assert await ask(client) == [Text("先填单。"), Finished("stop")]


async def test_length_is_no_error(far: Far, client: ModelClient) -> None:
    far.will(says(delta("a"), finish("length")), says(delta(reasoning_content="hm"), finish("length")))
    assert (await ask(client))[-1] == Finished("length")
    assert await ask(client) == [Thinking("hm"), Finished("length")]


async def test_a_stream_without_done(far: Far, client: ModelClient) -> None:
    far.will(says(delta("a"), finish(), done=False))
    assert await ask(client) == [Text("a"), Finished("stop")]


async def test_done_without_a_finish_reason(far: Far, client: ModelClient) -> None:
    far.will(says(delta("a")))
    assert await ask(client) == [Text("a"), Finished("stop")]


async def test_a_connection_lost_after_the_finish_costs_nothing(far: Far, client: ModelClient) -> None:
    far.will(breaks(delta("a"), finish()))
    assert await ask(client) == [Text("a"), Finished("stop")]


async def test_an_endpoint_that_does_not_end_is_left(far: Far) -> None:
    async def lingering(line: Line) -> None:
        await line.head()
        await line.send(delta("a"))
        await line.send(finish())
        await line.gone()

    far.will(lingering)
    async with ModelClient(far.url, KEY, patience=replace(HASTE, after_finish=0.05)) as client:
        assert await ask(client) == [Text("a"), Finished("stop")]


async def test_streaming_ignored(far: Far, client: ModelClient) -> None:
    async def whole(line: Line) -> None:
        await line.head(kind="application/json")
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "<think>hm</think>Yes"},
            "finish_reason": "stop",
        }
        await line.send(
            json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}).encode()
        )
        await line.end()

    far.will(whole)
    assert await ask(client) == [Thinking("hm"), Text("Yes"), Usage(3, 1, 0), Finished("stop")]


async def test_a_body_that_is_packed_though_we_asked_for_none(far: Far, client: ModelClient) -> None:
    async def packed(line: Line) -> None:
        await line.head(Content_Encoding="deflate")
        events = [delta("a"), finish()]
        await line.send(zlib.compress("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()))
        await line.end()

    far.will(packed)
    assert await ask(client) == [Text("a"), Finished("stop")]
    assert far.requests[0].headers["accept-encoding"] == "identity"


async def test_the_missing_opening_tag_is_learnt_per_model(far: Far, client: ModelClient) -> None:
    far.will(says(delta("hm"), delta("\n</think>\n\nYes"), finish()))
    assert await ask(client) == [Text("hm"), TextWasThinking(), Thinking("\n"), Text("Yes"), Finished("stop")]
    assert await ask(client) == [Thinking("hm"), Thinking("\n"), Text("Yes"), Finished("stop")]


# Errors


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, {"message": "no"}, KeyRefused),
        (403, {"message": "no"}, KeyRefused),
        (402, {"message": "Insufficient Balance"}, NoBalance),
        (429, {"code": "insufficient_quota", "message": "no"}, NoBalance),
        (404, {"message": "no model"}, ModelMissing),
        (400, {"code": "context_length_exceeded", "message": "no"}, TooLong),
        (413, None, TooLong),
        (400, {"message": "no"}, BadRequest),
        (422, {"message": "no"}, BadRequest),
        (400, {"code": "content_filter", "message": "no"}, Refused),
    ],
)
async def test_refusals_are_final(
    far: Far, client: ModelClient, status: int, error: Any, kind: type[ModelError]
) -> None:
    far.will(refuses(status, error))
    events, found = await fails(client, kind)
    assert (events, found.status, len(far.requests)) == ([], status, 1)


@pytest.mark.parametrize(
    ("status", "kind"), [(408, Overloaded), (409, Overloaded), (429, RateLimited), (500, Overloaded), (503, Overloaded)]
)
async def test_passing_trouble_is_tried_again_and_told(
    far: Far, client: ModelClient, status: int, kind: type[ModelError]
) -> None:
    waits: list[tuple[float, str]] = []

    def on_wait(seconds: float, error: ModelError) -> None:
        waits.append((seconds, error.code))

    far.will(refuses(status), refuses(status), answers("OK"))
    assert text_of(await ask(client, on_wait=on_wait)) == "OK"
    assert [code for _, code in waits] == [kind.code] * 2
    assert 0 < waits[0][0] < waits[1][0] < 0.05
    assert far.bodies[0] == far.bodies[2]

    far.requests.clear()
    far.scripts.clear()
    far.will(refuses(status))
    _, error = await fails(client, kind)
    assert (error.status, len(far.requests)) == (status, 3)


async def test_retry_after_is_kept_to(far: Far, client: ModelClient) -> None:
    waits: list[float] = []
    far.will(refuses(429, Retry_After="0.07"), answers())
    started = time.monotonic()
    await ask(client, on_wait=lambda seconds, _: waits.append(seconds))
    assert waits == [0.07]
    assert time.monotonic() - started >= 0.07


async def test_an_endpoint_that_wants_a_long_wait_is_not_waited_for(far: Far, client: ModelClient) -> None:
    far.will(refuses(429, Retry_After="21"))
    _, error = await fails(client, RateLimited, on_wait=lambda *_: pytest.fail("waited"))
    assert (error.retry_after, len(far.requests)) == (21.0, 1)


async def test_nobody_listens(client: ModelClient) -> None:
    waits: list[str] = []
    async with ModelClient("http://127.0.0.1:1/v1", KEY, patience=HASTE) as lost:
        _, error = await fails(lost, Unreachable, on_wait=lambda _, error: waits.append(error.code))
    assert waits == ["unreachable"] * 2
    assert "127.0.0.1:1" in str(error)


async def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with ModelClient("http://model.example/v1", KEY, patience=replace(HASTE, retries=0)) as lost:
        _, error = await fails(lost, Unreachable)
    assert "model.example" in str(error)
    assert "not known" in str(error)


async def test_a_connection_closed_without_an_answer_is_tried_again(far: Far, client: ModelClient) -> None:
    far.will(raw(b""), answers("OK"))
    assert text_of(await ask(client)) == "OK"
    far.scripts.clear()
    far.will(raw(b""))
    await fails(client, Unreachable)


async def test_an_answer_that_is_no_http(far: Far, client: ModelClient) -> None:
    far.will(raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"))
    await fails(client, Unreachable)


async def test_trouble_in_the_stream_before_the_first_token_is_tried_again(far: Far, client: ModelClient) -> None:
    far.will(
        says({"error": {"message": "busy", "type": "server_error"}}),
        breaks(delta(role="assistant", content="")),
        says(delta(role="assistant", content=""), delta("OK"), finish()),
    )
    assert await ask(client) == [Text("OK"), Finished("stop")]


async def test_a_stream_that_breaks_leaves_the_text_so_far(far: Far, client: ModelClient) -> None:
    far.will(breaks(delta("先填"), delta("单 <")))
    events, _ = await fails(client, Cut)
    assert text_of(events) == "先填单 <"
    assert len(far.requests) == 1


async def test_a_stream_that_ends_early_is_cut(far: Far, client: ModelClient) -> None:
    far.will(says(delta("先填"), done=False))
    events, _ = await fails(client, Cut)
    assert events == [Text("先填")]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"error": {"message": "busy", "type": "server_error"}}, Cut),
        ({"error": {"message": "slow down", "code": 429}}, Cut),
        ({"error": {"message": "no", "type": "invalid_request_error"}}, Cut),
        ("oops", Cut),
        ({"error": {"message": "no", "code": "data_inspection_failed"}}, Refused),
        (finish("content_filter"), Refused),
        (finish("sensitive"), Refused),
        (finish("insufficient_system_resource"), Cut),
        (finish("network_error"), Cut),
    ],
)
async def test_trouble_in_the_middle(far: Far, client: ModelClient, trouble: Any, kind: type[ModelError]) -> None:
    far.will(says(delta("先填"), trouble))
    events, _ = await fails(client, kind)
    assert events == [Text("先填")]
    assert len(far.requests) == 1


async def test_a_refusal_is_text_and_error(far: Far, client: ModelClient) -> None:
    far.will(says(delta(refusal="I can't help with that."), finish()))
    events, _ = await fails(client, Refused)
    assert text_of(events) == "I can't help with that."


@pytest.mark.parametrize(
    "chunks",
    [
        [finish()],
        [delta(" \n"), finish()],
        [delta(reasoning_content="hm"), finish()],
        [delta("<think>hm</think>\n"), finish(), usage()],
        [delta("hm"), delta("\n</think>"), finish()],
        [],
    ],
)
async def test_empty(far: Far, client: ModelClient, chunks: list[dict[str, Any]]) -> None:
    far.will(says(*chunks))
    events, _ = await fails(client, Empty)
    assert not any(isinstance(event, Finished) for event in events)
    assert len(far.requests) == 1


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"", b": only a comment\n\n", b"data: oops\n\n"])
async def test_neither_sse_nor_json(far: Far, client: ModelClient, body: bytes) -> None:
    async def odd(line: Line) -> None:
        await line.head(kind="text/html")
        if body:
            await line.send(body)
        await line.end()

    far.will(odd)
    await fails(client, BadAnswer)


# Deadlines


def hurried(far: Far, **patience: float) -> ModelClient:
    return ModelClient(far.url, KEY, patience=replace(HASTE, **patience))


async def test_a_silent_endpoint(far: Far) -> None:
    far.will(Line.gone)
    async with hurried(far, first_token=0.1) as client:
        _, error = await fails(client, TimedOut)
    assert "wrote nothing" in str(error)
    assert len(far.requests) == 1


async def test_keep_alive_comments_do_not_stand_for_a_first_token(far: Far) -> None:
    async def queued(line: Line) -> None:
        await line.head()
        with contextlib.suppress(ConnectionError):
            while True:
                await line.send(b": keep-alive\n\n")
                await asyncio.sleep(0.02)

    far.will(queued)
    async with hurried(far, first_token=0.2) as client:
        await fails(client, TimedOut)


async def test_a_silence_in_the_middle(far: Far) -> None:
    async def stuck(line: Line) -> None:
        await line.head()
        await line.send(delta("先"))
        await line.gone()

    far.will(stuck)
    async with hurried(far, gap=0.1) as client:
        events, error = await fails(client, TimedOut)
    assert events == [Text("先")]
    assert "fell silent" in str(error)


async def test_comments_stretch_a_silence_but_not_for_ever(far: Far) -> None:
    async def stuck(line: Line) -> None:
        await line.head()
        await line.send(delta("先"))
        with contextlib.suppress(ConnectionError):
            while True:
                await line.send(b": keep-alive\n\n")
                await asyncio.sleep(0.02)

    far.will(stuck)
    started = time.monotonic()
    async with hurried(far, gap=0.2, first_token=0.6) as client:
        events, _ = await fails(client, TimedOut)
    assert events == [Text("先")]
    assert time.monotonic() - started >= 0.6


async def test_the_whole_answer_has_an_end(far: Far) -> None:
    async def endless(line: Line) -> None:
        await line.head()
        with contextlib.suppress(ConnectionError):
            while True:
                await line.send(delta("a"))
                await asyncio.sleep(0.01)

    far.will(endless)
    async with hurried(far, total=0.3) as client:
        events, error = await fails(client, TimedOut)
    assert events
    assert "was not done" in str(error)


async def test_no_retry_is_begun_that_would_pass_the_end(far: Far) -> None:
    far.will(refuses(503, Retry_After="5"))
    async with hurried(far, total=1.0) as client:
        await fails(client, Overloaded, on_wait=lambda *_: pytest.fail("waited"))


# Letting go


async def endless(line: Line) -> None:
    await line.head()
    await line.send(delta("a"))
    await line.gone()


@pytest.mark.parametrize("way", ["cancel", "break", "raise"])
async def test_leaving_early_lets_the_endpoint_go_at_once(far: Far, client: ModelClient, way: str) -> None:
    gone: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def watched(line: Line) -> None:
        await endless(line)
        gone.set_result(time.monotonic())

    far.will(watched)
    reading = asyncio.Event()

    async def turn() -> None:
        async with client.stream(QUESTION, model="m") as answer:
            async for _ in answer:
                reading.set()
                if way == "break":
                    break
                if way == "raise":
                    raise ZeroDivisionError

    async with asyncio.timeout(5):
        task = asyncio.ensure_future(turn())
        await reading.wait()
        left = time.monotonic()
        if way == "cancel":
            await asyncio.sleep(0)  # into the next read
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ZeroDivisionError):
            await task
        assert await gone - left < 0.3


async def test_cancelled_before_the_first_token(far: Far, client: ModelClient) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def silent(line: Line) -> None:
        asked.set()
        await line.gone()
        gone.set()

    far.will(silent)
    async with asyncio.timeout(5):
        task = asyncio.ensure_future(ask(client))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


async def test_cancelled_while_waiting_for_a_retry(far: Far) -> None:
    far.will(refuses(503))
    waiting = asyncio.Event()
    async with hurried(far, backoff=20.0, longest_wait=60.0) as client, asyncio.timeout(5):
        task = asyncio.ensure_future(ask(client, on_wait=lambda *_: waiting.set()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelled_in_the_middle_of_a_large_request(far: Far) -> None:
    """What was not sent yet is not sent any more."""
    image = "A" * 40_000_000
    reading, received = asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        reading.set()
        with contextlib.suppress(ConnectionError):
            await cancelled.wait()
            while data := await reader.read(1 << 20):
                received += len(data)
        writer.transport.abort()
        over.set()

    cancelled, over = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with ModelClient(f"http://127.0.0.1:{port}/v1", KEY, patience=HASTE) as client, asyncio.timeout(20):
        task = asyncio.ensure_future(ask(client, extra={"image": image}))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        await over.wait()
    server.close()
    assert received < len(image)


async def test_closed_before_the_first_read(far: Far, client: ModelClient) -> None:
    gone = asyncio.Event()

    async def watched(line: Line) -> None:
        await endless(line)
        gone.set()

    far.will(watched)
    async with asyncio.timeout(5):
        body = await client._open_endpoint.complete({"model": "m", "messages": QUESTION})
        await body.aclose()
        await gone.wait()


async def test_a_slow_reader_loses_nothing(far: Far, client: ModelClient) -> None:
    word = "字" * 20_000
    far.will(says(*[delta(word)] * 100, finish()))
    length = 0
    async with client.stream(QUESTION, model="m") as answer:
        async for batch in answer:
            length += len(text_of(batch))
            await asyncio.sleep(0.002)
    assert length == 100 * len(word)


async def test_a_slow_reader_holds_the_endpoint_back(far: Far, client: ModelClient) -> None:
    event = f"data: {json.dumps(delta('a' * 100_000))}\n\n".encode()
    sent, total = 0, 60_000_000

    async def flood(line: Line) -> None:
        nonlocal sent
        await line.head()
        with contextlib.suppress(ConnectionError):
            while sent < total:
                await line.send(event)
                sent += len(event)

    far.will(flood)
    async with client.stream(QUESTION, model="m") as answer:
        await anext(answer)
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.05)
    assert sent < total


# Parameters


async def test_refused_parameters_are_left_out_then_and_later(far: Far, client: ModelClient) -> None:
    far.will(
        refuses(400, {"message": "Unrecognized request argument supplied: stream_options"}),
        refuses(400, {"message": "Use 'max_completion_tokens' instead.", "param": "max_tokens"}),
        refuses(400, {"message": "Only the default (1) value is supported.", "param": "temperature"}),
        answers("OK"),
    )
    assert text_of(await ask(client, temperature=0.3, max_tokens=9, on_wait=lambda *_: pytest.fail("waited"))) == "OK"
    assert far.bodies[-1] == {"model": "m", "messages": QUESTION, "stream": True, "max_completion_tokens": 9}
    await ask(client, temperature=0.3, max_tokens=9)
    assert len(far.requests) == 5
    assert far.bodies[-1] == far.bodies[-2]


async def test_a_refusal_that_does_not_change_is_final(far: Far, client: ModelClient) -> None:
    far.will(refuses(400, {"message": "temperature is wrong, and so is stream_options"}))
    await fails(client, BadRequest, temperature=0.3)
    assert len(far.requests) == 3


# What `wecom-agent check` asks


async def test_list_models(far: Far, client: ModelClient) -> None:
    def listing(listed: Any) -> Any:
        async def script(line: Line) -> None:
            await line.head(kind="application/json")
            await line.send(json.dumps(listed).encode())
            await line.end()

        return script

    far.will(
        listing({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}),
        listing({"models": [{"name": "a:7b"}]}),
        listing({"data": None}),
        refuses(404, {"message": "no route"}),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\noops\n"),
    )
    assert await client.list_models() == ["a", "b"]
    assert (far.requests[0].method, far.requests[0].path) == ("GET", "/v1/models")
    assert await client.list_models() == ["a:7b"]
    for kind in (BadAnswer, ModelMissing, BadAnswer):
        with pytest.raises(kind):
            await client.list_models()


async def test_listing_has_a_deadline(far: Far) -> None:
    far.will(Line.gone)
    async with hurried(far, first_token=0.1) as client:
        with pytest.raises(TimedOut):
            await client.list_models()


async def test_probe(far: Far, client: ModelClient) -> None:
    far.will(endless, refuses(401, {"message": f"Incorrect API key: {KEY}"}))
    alive = await probe(client, "m")
    assert (alive.model, alive.error, alive.sees) == ("m", None, None)
    assert alive.seconds > 0
    dead = await probe(client, "m")
    assert dead.error is not None
    assert (dead.error.code, dead.error.said) == ("key_refused", "Incorrect API key: [key]")


@pytest.mark.parametrize(
    ("script", "sees"),
    [
        (answers("Red."), True),
        (says(delta(reasoning_content="Is it blue?"), delta("红色"), finish()), True),
        (answers("I cannot see any picture."), False),
        (refuses(400, {"message": "unknown variant `image_url`, expected `text`"}), False),
        (refuses(401), None),
    ],
)
async def test_probe_of_the_eyes(far: Far, client: ModelClient, script: Any, sees: bool | None) -> None:
    far.will(answers("OK"), script)
    result = await probe(client, "m", image=True)
    assert (result.error, result.sees) == (None, sees)
    url = far.bodies[1]["messages"][0]["content"][1]["image_url"]["url"]
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(url) < 400
