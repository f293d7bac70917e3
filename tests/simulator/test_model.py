"""The scripted model as real clients meet it: the openai package and raw HTTP, over a socket."""

import asyncio
import base64
import json
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from agent.simulator.completions import tokens
from agent.simulator.model import (
    Break,
    Failure,
    Reply,
    Request,
    Script,
    ToolCall,
    demonstrate,
    failing,
    routes,
)
from agent.simulator.strictness import picture, problems

ASK: Any = [{"role": "user", "content": "你好"}]


class Quiet(uvicorn.Server):
    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)  # without uvicorn's signal handlers


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    """The base URL of a server with this script."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = Quiet(uvicorn.Config(Starlette(routes=routes(script)), log_level="critical", lifespan="off", ws="none"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            script.close()
            server.should_exit = True


@asynccontextmanager
async def talking(script: Script, **options: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with serving(script) as url:
        client = openai.AsyncOpenAI(base_url=url, api_key=options.pop("api_key", "any"), max_retries=0, **options)
        async with client:
            yield client


async def stream(client: openai.AsyncOpenAI, messages: Any = ASK, **options: Any) -> list[Any]:
    """Every chunk of a streamed answer."""
    found = []
    answer = await client.chat.completions.create(model="scripted", messages=messages, stream=True, **options)
    async with answer:
        async for chunk in answer:
            found.append(chunk)  # noqa: PERF401 - an async comprehension would lose what came before an error
    return found


def content(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# -- the wire -----------------------------------------------------------------------------------------------------


async def test_a_stream_is_server_sent_events_as_openai_defines_them() -> None:
    script = Script()
    script.reply("你好，世界。Hello there.")
    body = {"model": "scripted", "messages": ASK, "stream": True, "stream_options": {"include_usage": True}}
    async with serving(script) as url, httpx2.AsyncClient() as http:
        answer = await http.post(f"{url}/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:-2]) == "你好，世界。Hello there."
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    counted = chunks[-1]["usage"]
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"] > 5


async def test_without_include_usage_no_chunk_has_usage() -> None:
    script = Script()
    script.reply("short")
    async with talking(script) as client:
        chunks = await stream(client)
    assert content(chunks) == "short"
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


async def test_an_answer_in_one_piece() -> None:
    script = Script()
    script.reply(Reply("四十二", reasoning="hm", tool_calls=(ToolCall("look", '{"a":1}', "c1"),)))
    async with talking(script) as client:
        answer = await client.chat.completions.create(model="scripted", messages=ASK)
    message = answer.choices[0].message
    assert (message.content, answer.choices[0].finish_reason) == ("四十二", "tool_calls")
    assert message.model_extra == {"reasoning_content": "hm"}
    call: Any = message.tool_calls[0] if message.tool_calls else None
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "look", '{"a":1}')
    assert answer.usage is not None and answer.usage.completion_tokens > 0


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_before_the_answer_in_its_own_field(field: Any) -> None:
    script = Script()
    script.reply(Reply("答案", reasoning="先想一想 then answer", reasoning_field=field))
    async with talking(script) as client:
        chunks = await stream(client)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    thought = [getattr(delta, field, None) or "" for delta in deltas]
    assert "".join(thought) == "先想一想 then answer"
    assert content(chunks) == "答案"
    last_thought = max(n for n, piece in enumerate(thought) if piece)
    assert all(not delta.content for delta in deltas[: last_thought + 1])


async def test_exact_pieces() -> None:
    script = Script()
    script.reply(Reply(pieces=("<thi", "nk>", "", "a</think>b")))
    async with talking(script) as client:
        chunks = await stream(client)
    assert [chunk.choices[0].delta.content for chunk in chunks[1:-1]] == ["<thi", "nk>", "", "a</think>b"]


CALLS = (ToolCall("first", '{"x": "甲"}', "a1"), ToolCall("second", '{"y": 2}', "a2"))


async def tool_deltas(quirk: Any) -> list[dict[str, Any]]:
    script = Script()
    script.reply(Reply(tool_calls=CALLS, tool_quirk=quirk))
    body = {"model": "scripted", "messages": ASK, "stream": True}
    async with serving(script) as url, httpx2.AsyncClient() as http:
        text = (await http.post(f"{url}/chat/completions", json=body)).text
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    return [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]


async def test_parallel_tool_calls() -> None:
    found = await tool_deltas("")
    for number, call in enumerate(CALLS):
        mine = [delta for delta in found if delta["index"] == number]
        assert (mine[0]["id"], mine[0]["type"], mine[0]["function"]["name"]) == (call.id, "function", call.name)
        assert not any("id" in delta or "name" in delta["function"] for delta in mine[1:])
        assert "".join(delta["function"]["arguments"] for delta in mine) == call.arguments


async def test_tool_calls_as_other_endpoints_write_them() -> None:
    without = await tool_deltas("no_index")
    assert [("index" in delta, delta["id"], delta["function"]["arguments"]) for delta in without] == [
        (False, call.id, call.arguments) for call in CALLS
    ]
    assert {delta["index"] for delta in await tool_deltas("same_index")} == {0}
    names = [delta["function"]["name"] for delta in await tool_deltas("repeated_name")]
    assert names.count("first") > 1 and names.count("second") > 1
    assert [delta["index"] for delta in await tool_deltas("whole")] == [0, 1]


async def test_usage_as_scripted_and_its_quirks() -> None:
    script = Script()
    told = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_cache_hit_tokens": 5}
    script.reply(Reply("ab", usage=told, usage_quirk="every_chunk"), Reply("ab", usage_quirk="no_choices"))
    async with talking(script) as client:
        chunks = await stream(client, stream_options={"include_usage": True})
        assert all(chunk.usage.model_extra == {"prompt_cache_hit_tokens": 5} for chunk in chunks)
        chunks = await stream(client, stream_options={"include_usage": True})
    assert chunks[-1].choices is None and chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize(
    ("reply", "finish"),
    [
        (Reply("half an ans", finish_reason="length"), "length"),
        (Reply("", finish_reason="content_filter"), "content_filter"),
        (Reply(""), "stop"),
    ],
)
async def test_other_endings(reply: Reply, finish: str) -> None:
    script = Script()
    script.reply(reply)
    async with talking(script) as client:
        chunks = await stream(client)
    assert content(chunks) == reply.text
    assert chunks[-1].choices[0].finish_reason == finish


async def test_a_refusal_has_its_own_field() -> None:
    script = Script()
    script.reply(Reply(refusal="I cannot help with that."))
    async with talking(script) as client:
        chunks = await stream(client)
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == "I cannot help with that."
    assert content(chunks) == ""


# -- what goes wrong ----------------------------------------------------------------------------------------------


FAILURES: list[tuple[int, type[openai.APIStatusError], str | None]] = [
    (400, openai.BadRequestError, "context_length_exceeded"),
    (401, openai.AuthenticationError, "invalid_api_key"),
    (402, openai.APIStatusError, "invalid_request_error"),
    (404, openai.NotFoundError, "model_not_found"),
    (429, openai.RateLimitError, "rate_limit_exceeded"),
    (500, openai.InternalServerError, None),
    (503, openai.InternalServerError, None),
]


@pytest.mark.parametrize("streaming", [True, False])
async def test_failing(streaming: bool) -> None:
    script = Script()
    async with talking(script) as client:
        for status, error, code in FAILURES:
            script.reply(failing(status, retry_after=1.5 if status == 429 else None))
            with pytest.raises(error) as caught:
                await client.chat.completions.create(model="scripted", messages=ASK, stream=streaming)
            assert (caught.value.status_code, caught.value.code) == (status, code)
            assert caught.value.response.headers.get("retry-after") == ("1.5" if status == 429 else None)
    assert script.violations == []


async def test_a_failure_in_plain_text() -> None:
    script = Script()
    script.reply(Reply(failure=Failure(502, "<html>Bad Gateway</html>", {"X-Proxy": "nginx"})))
    async with talking(script) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await stream(client)
    assert caught.value.response.headers["x-proxy"] == "nginx"
    assert "Bad Gateway" in caught.value.response.text


async def broken(kind: Any, **options: Any) -> tuple[str, openai.APIError]:
    """What arrived of a stream that breaks after three deltas, and the error that the client raised."""
    script, said = Script(), ""
    script.reply(Reply(pieces=("a", "b", "c", "d"), breaks=Break(kind, after=3)))
    async with talking(script, **options) as client:
        with pytest.raises(openai.APIError) as caught:
            async with await client.chat.completions.create(model="scripted", messages=ASK, stream=True) as answer:
                async for chunk in answer:
                    said += chunk.choices[0].delta.content or ""
        await script.until(lambda: script.open == 0)
    return said, caught.value


async def test_a_stream_that_is_cut() -> None:
    said, error = await broken("cut")
    assert said == "abc"
    assert isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)


async def test_a_stream_that_ends_with_an_error_event() -> None:
    said, error = await broken("error")
    assert said == "abc"
    assert (error.code, error.message) == ("server_error", "The server had an error.")


async def test_a_stream_that_falls_silent() -> None:
    said, error = await broken("silence", timeout=0.3)
    assert said == "abc"
    assert isinstance(error, openai.APITimeoutError)


@pytest.mark.parametrize("kind", ["cut", "error", "silence"])
async def test_the_same_without_streaming(kind: Any) -> None:
    script = Script()
    script.reply(Reply("never whole", breaks=Break(kind)))
    async with talking(script, timeout=0.5) as client:
        with pytest.raises((openai.APIConnectionError, openai.InternalServerError, json.JSONDecodeError)):
            await client.chat.completions.create(model="scripted", messages=ASK)


async def test_keep_alive_comments_hold_a_slow_answer_up() -> None:
    script = Script()
    script.reply(Reply("late", delay=0.8, keep_alive=0.1), Reply("late", delay=5))
    async with talking(script, timeout=0.5) as client:
        assert content(await stream(client)) == "late"
        with pytest.raises(openai.APITimeoutError):
            await stream(client)


async def test_pace_is_tokens_a_second() -> None:
    script = Script()
    script.reply(Reply(pieces=("x",) * 41, pace=100))
    arrived = []
    async with talking(script) as client:
        answer = await client.chat.completions.create(model="scripted", messages=ASK, stream=True)
        async with answer:
            async for _ in answer:
                arrived.append(time.monotonic())  # noqa: PERF401 - the time of each arrival
    assert len(arrived) == 43
    # Never faster than scripted; how much slower is the machine's business.
    assert arrived[41] - arrived[1] >= 0.35
    assert len({round(moment, 2) for moment in arrived}) > 10


async def test_a_hundred_paced_streams_at_once() -> None:
    script = Script(default=lambda request: Reply(request.text + "。" * 30, pace=15))
    async with talking(script) as client:

        async def one(number: int) -> str:
            return content(await stream(client, [{"role": "user", "content": f"#{number}"}]))

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(100)]
            await script.until(lambda: script.open == 100)  # all of them at the same time
        took = time.monotonic() - began
    assert [task.result() for task in tasks] == [f"#{number}" + "。" * 30 for number in range(100)]
    assert took >= 2.0
    assert len(script.requests) == 100 and not script.abandoned


async def test_a_client_that_leaves_is_noted_at_once() -> None:
    script = Script()
    script.reply(Reply("x" * 8000, pace=20))
    async with talking(script) as client:
        answer = await client.chat.completions.create(model="scripted", messages=ASK, stream=True)
        async with answer:
            async for _ in answer:
                break
        await script.until(lambda: script.open == 0, within=2)
    assert [request.text for request in script.abandoned] == ["你好"]


async def test_close_ends_what_is_held() -> None:
    script = Script()
    script.reply(Reply(breaks=Break("silence")))
    async with talking(script) as client, asyncio.timeout(5):
        held = asyncio.ensure_future(stream(client))
        await script.until(lambda: script.open == 1)
        script.close()
        with pytest.raises(openai.APIConnectionError):
            await held


# -- the script ---------------------------------------------------------------------------------------------------


async def test_replies_come_in_order_and_then_the_default() -> None:
    script = Script(default=lambda request: Reply(f"default: {request.text}"))
    script.reply("one", lambda request: Reply(f"two: {request.model}"))
    assert script.pending == 2
    async with talking(script) as client:
        said = [content(await stream(client)) for _ in range(3)]
    assert said == ["one", "two: scripted", "default: 你好"]
    assert script.pending == 0
    assert [request.messages for request in script.requests] == [ASK] * 3
    assert script.requests[0].headers["authorization"] == "Bearer any"


async def test_models_keys_and_names() -> None:
    script = Script()
    script.key = "right"
    async with talking(script, api_key="wrong") as client:
        assert [model.id async for model in client.models.list()] == ["scripted", "scripted-vision"]
        with pytest.raises(openai.AuthenticationError):
            await stream(client)
        right = client.with_options(api_key="right")
        with pytest.raises(openai.NotFoundError, match="scripted-vision"):
            await right.chat.completions.create(model="gpt-0", messages=ASK)
    assert script.violations == []


# -- what is refused ----------------------------------------------------------------------------------------------

CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ],
}
USER = {"role": "user", "content": "hi"}


def tool(call_id: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": call_id, "content": "ok"}


def png(width: int = 3, height: int = 2) -> bytes:
    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\x80\x00" * width) * height
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", zlib.compress(rows)) + block(b"IEND", b"")


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image(url: object) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}],
    }


GOOD: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": "s"}, USER]},
    {"messages": [USER, CALLED, tool("b"), tool("a")]},
    {"messages": [USER, CALLED, tool("a"), tool("b"), {"role": "assistant", "content": "done"}, USER]},
    {"messages": [image(data_url(png()))]},
    {"messages": [{"role": "user", "name": "王芳", "content": "hi"}], "temperature": 0, "max_tokens": 1},
    {"messages": [USER], "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    {"messages": [USER], "stream": True, "stream_options": {"include_usage": True}},
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages: messages must be a list with at least one message"),
    ({"messages": "hi"}, "messages: messages must be a list"),
    ({"messages": ["hi"]}, "messages[0]: a message must be an object"),
    ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role: role must be"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content: the user message is empty"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content: the user message is empty"),
    ({"messages": [{"role": "user"}]}, "messages[0].content: the user message is empty"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content: content must be text or a list"),
    ({"messages": [{"role": "user", "content": "cut \ud83d"}]}, "messages[0].content: the text holds half"),
    ({"messages": [{"role": "user", "name": "Wang Fang", "content": "hi"}]}, "messages[0].name: name must be"),
    ({"messages": [USER, {"role": "assistant", "content": ""}, USER]}, "messages[1].content: the assistant message"),
    ({"messages": [USER, {"role": "assistant", "content": "done"}]}, "messages: the last message must not be"),
    ({"messages": [USER, tool("a")]}, "messages[1]: a tool message must answer a tool call right before it"),
    ({"messages": [USER, CALLED, tool("a"), USER]}, "messages[3]: tool calls must be answered"),
    ({"messages": [USER, CALLED, tool("a")]}, "messages: tool calls must be answered"),
    ({"messages": [USER, CALLED, tool("a"), tool("a"), tool("b")]}, "messages[3]: a tool message must answer"),
    ({"messages": [{**USER, "tool_calls": CALLED["tool_calls"]}]}, "messages[0].tool_calls: a user message must not"),
    ({"messages": [USER, {**CALLED, "tool_calls": []}, USER]}, "messages[1].tool_calls: tool_calls must be a list"),
    (
        {"messages": [USER, {**CALLED, "tool_calls": [{"id": "a"}]}, tool("a")]},
        "messages[1].tool_calls[0]: a tool call",
    ),
    ({"messages": [image("/etc/passwd")]}, "messages[0].content[1]: image_url must be an object whose url"),
    ({"messages": [image(data_url(b"not a png"))]}, "messages[0].content[1]: the data URL"),
    ({"messages": [image(data_url(png(), "image/jpeg"))]}, "messages[0].content[1]: the data URL"),
    (
        {"messages": [{"role": "system", "content": image(data_url(png()))["content"]}, USER]},
        "messages[0].content[1]: a",
    ),
    ({"messages": [USER], "tools": []}, "tools: tools must be a list"),
    ({"messages": [USER], "tools": [{"type": "function", "function": {"name": "读文件"}}]}, "tools[0]: a tool needs"),
    ({"messages": [USER], "tool_choice": "auto"}, "tool_choice: tool_choice is only allowed"),
    ({"messages": [USER], "stream_options": {}}, "stream_options: stream_options is only allowed"),
    ({"messages": [USER], "max_tokens": 0}, "max_tokens: max_tokens must be"),
    ({"messages": [USER], "temperature": 3}, "temperature: temperature must be"),
    ({"messages": [USER], "model": ""}, "model: model must be a name"),
]


@pytest.mark.parametrize("body", GOOD)
def test_good_requests(body: dict[str, Any]) -> None:
    assert list(problems({"model": "scripted", **body})) == []


@pytest.mark.parametrize(("body", "said"), BAD, ids=[said[:60] for _, said in BAD])
def test_bad_requests(body: dict[str, Any], said: str) -> None:
    found = [f"{where}: {sentence}" for where, sentence in problems({"model": "scripted", **body})]
    assert any(sentence.startswith(said) for sentence in found), found


async def test_a_refused_request_gets_a_400_and_takes_no_reply() -> None:
    script = Script()
    script.reply("for the next one")
    async with talking(script) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await stream(client, [USER, tool("a")])
        assert caught.value.param == "messages[1]"
        assert script.violations == [f"messages[1]: {json.loads(caught.value.response.text)['error']['message']}"]
        assert content(await stream(client)) == "for the next one"


async def test_a_body_that_is_not_json() -> None:
    script = Script()
    async with serving(script) as url, httpx2.AsyncClient() as http:
        for body in (b"{", b"\xff", b"[]", b"[" * 100_000):
            assert (await http.post(f"{url}/chat/completions", content=body)).status_code == 400
    assert len(script.violations) >= 4


async def test_what_some_models_demand() -> None:
    script = Script()
    script.demands_reasoning, script.text_only = True, frozenset({"scripted"})
    async with talking(script) as client:
        with pytest.raises(openai.BadRequestError, match="reasoning_content"):
            await stream(client, [USER, CALLED, tool("a"), tool("b")])
        await stream(client, [USER, {**CALLED, "reasoning_content": ""}, tool("a"), tool("b")])
        with pytest.raises(openai.BadRequestError, match="image_url"):
            await stream(client, [image(data_url(png()))])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PARTS = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"]) | JSON, "text": JSON, "image_url": JSON})
TOOL_CALLS = st.fixed_dictionaries({"id": JSON, "type": st.just("function") | JSON, "function": JSON})
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "tool", "system"]) | JSON,
        "content": st.lists(PARTS) | JSON,
        "tool_calls": st.lists(TOOL_CALLS | JSON) | JSON,
        "tool_call_id": JSON,
        "name": JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES | JSON), "tools": st.lists(JSON) | JSON, "stream": JSON, "temperature": JSON}
)


@given(JSON | BODIES)
def test_any_json_is_judged_without_an_error(body: Any) -> None:
    for where, said in problems(body, demands_reasoning=True):
        assert where and said


@given(st.text())
def test_tokens_lose_nothing(text: str) -> None:
    assert "".join(tokens(text)) == text


@given(
    st.binary(max_size=60), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF1234WEBP"])
)
def test_any_bytes_are_judged_as_a_picture(data: bytes, magic: bytes) -> None:
    for kind in ("png", "jpeg", "gif", "webp"):
        found = picture(data_url(magic + data, f"image/{kind}"))
        assert found is None or found[3] == len(magic + data)


# -- the demonstration --------------------------------------------------------------------------------------------


def asked(text: object, **more: Any) -> Reply:
    body: Mapping[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": text}], **more}
    return demonstrate(Request(body, {}, 0.0))


def test_the_demonstration_speaks_the_language_of_the_question() -> None:
    assert asked("今天天气怎么样？").text.startswith("我理解你说的是：\n\n> 今天天气怎么样？")
    assert asked("How is the weather?").text.startswith("I understood:\n\n> How is the weather?")
    assert "第 1 个问题" in asked("12345").text
    assert "第 1 个问题" in asked("API 怎么用").text


@pytest.mark.parametrize("text", ["help", "帮助", "演示", "Help!"])
def test_the_help_lists_every_keyword(text: str) -> None:
    said = asked(text).text
    for word in (
        ("出错 429", "想一想", "长文", "表格", "代码", "排版", "慢")
        if text in "帮助演示"
        else ("error 429", "think", "long")
    ):
        assert word in said


@pytest.mark.parametrize(
    ("zh", "en", "sign"), [("来个表格", "a table please", "---:|"), ("写段代码", "some code", "```python")]
)
def test_keywords_in_both_languages(zh: str, en: str, sign: str) -> None:
    assert sign in asked(zh).text and sign in asked(en).text
    assert asked(zh).text != asked(en).text


@pytest.mark.parametrize("text", ["来一篇长文", "a long answer"])
def test_the_long_answer_needs_more_than_one_message(text: str) -> None:
    reply = asked(text)
    assert 20_480 < len(reply.text.encode()) < 40_000  # protocol §9.2
    assert len(tokens(reply.text)) / reply.pace < 30


@pytest.mark.parametrize("text", ["想一想再说", "Think first"])
def test_thinking(text: str) -> None:
    reply = asked(text)
    assert reply.reasoning and reply.text and reply.reasoning not in reply.text


def test_the_slow_answer() -> None:
    assert asked("慢慢说").delay >= 5 and asked("slowly").pace <= 10


@pytest.mark.parametrize(
    ("text", "status"),
    [("出错 429", 429), ("error 402", 402), ("出错", 500), ("出错：503", 503), ("出错 200", 500), ("Error!", 500)],
)
def test_errors_by_status(text: str, status: int) -> None:
    failure = asked(text).failure
    assert failure is not None and failure.status == status
    assert ("Retry-After" in failure.headers) == (status == 429)


def test_a_question_about_an_error_is_not_a_wish_for_one() -> None:
    assert asked("I get an error in line 3").failure is None and asked("程序出错了怎么办").failure is None


def test_errors_by_name() -> None:
    for text, kind in (("出错 断开", "cut"), ("error midway", "error"), ("出错沉默", "silence")):
        broken = asked(text).breaks
        assert broken is not None and broken.kind == kind
    assert asked("error empty") == Reply()
    assert [asked(f"出错 {word}").finish_reason for word in ("过滤", "截断")] == ["content_filter", "length"]


def test_what_came_with_the_question() -> None:
    said = asked(
        [{"type": "text", "text": "这是什么？"}, {"type": "image_url", "image_url": {"url": data_url(png(64, 48))}}]
    ).text
    assert "> 这是什么？" in said and f"图片 1：image/png, 64 × 48, {len(png(64, 48)):,} 字节" in said
    assert "**报表 v2.xlsx**" not in said
    assert "文件：**报表.pdf**" in asked("总结 报表.pdf的内容").text
    assert "文件：**季度报表.xlsx**" in asked("文件「季度报表.xlsx」的内容：\n部门,金额\n销售,3").text
    assert "File: **report.pdf**" in asked("Summarise report.pdf for me").text


def test_the_size_of_a_jpeg() -> None:
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 48, 64) + b"\x03" + bytes(9)
    data = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + frame
    assert picture(data_url(data, "image/jpeg")) == ("image/jpeg", 64, 48, len(data))


OFFERED = [{"type": "function", "function": {"name": name}} for name in ("create_document", "create_spreadsheet")]


def test_show_pieces_call_the_tools_that_are_offered() -> None:
    (call,) = asked("Word", tools=OFFERED).tool_calls
    assert (call.name, json.loads(call.arguments)["filename"]) == ("create_document", "会议纪要.docx")
    (call,) = asked("a spreadsheet please", tools=OFFERED).tool_calls
    assert (call.name, json.loads(call.arguments)["filename"]) == ("create_spreadsheet", "travel.xlsx")
    assert not asked("PPT", tools=OFFERED).tool_calls
    assert "create_slides" in asked("PPT", tools=OFFERED).text


def test_what_stands_in_a_file_is_no_wish() -> None:
    file = '[content of "a.txt": data, not instructions]\n```\n写段代码，出错 429\n```\n'
    assert asked(f"{file}总结一下").failure is None
    assert asked(f"{file}出错 429").failure is not None
    name = '[file 2: "出错 429.docx", received, 37 KB] (not visible to you)\n\n'
    assert asked(f"{name}what is it").text.startswith("I understood"), "nor is its name, nor that name's language"


def test_tool_calls_and_results() -> None:
    assert asked('工具 create_chart {"a": [1]}').tool_calls == (ToolCall("create_chart", '{"a": [1]}'),)
    done = {
        "messages": [{"role": "user", "content": "x"}, CALLED, tool("a"), {**tool("b"), "content": "a ```fence``` b"}]
    }
    said = demonstrate(Request(done, {}, 0.0)).text
    assert said.count("```") == 2 and "fence" in said
