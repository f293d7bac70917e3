"""The client against a model server that we did not write: `@copilotkit/aimock` from npm."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.model.client import ModelClient
from agent.model.errors import (
    BadAnswer,
    Cut,
    KeyRefused,
    ModelError,
    NoBalance,
    Overloaded,
    RateLimited,
    Refused,
    TooLong,
)
from agent.model.stream import Event, Finished, Text, Thinking, ToolCall, Usage
from tests.aimock import fixture, server
from tests.model.conftest import HASTE, KEY

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("aimock")]

LONG = "报销分三步：先填单，再交发票，最后等财务打款。" * 40


def failure(status: int, **error: Any) -> dict[str, Any]:
    retry = {"retryAfter": error.pop("retry_after")} if "retry_after" in error else {}
    return {"error": {"message": "no", "type": "invalid_request_error", **error}, "status": status, **retry}


CALLS = [
    {"id": "call_a", "name": "look_up", "arguments": {"词": "报销"}},
    {"id": "call_b", "name": "look_up", "arguments": '{"broken'},
]
FIXTURES = [
    fixture(
        "plain", {"content": "先填单。", "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}
    ),
    fixture("think", {"content": "Yes", "reasoning": "hm, so"}),
    fixture("inline", {"content": "<think>\nhm\n</think>\n\nYes"}),
    fixture("tools", {"content": "Let me look.", "toolCalls": CALLS}, match={"hasToolResult": False}),
    fixture("tools", {"content": "Found."}, match={"hasToolResult": True}),
    fixture("length", {"content": "cut", "finishReason": "length"}),
    fixture("filtered", {"content": "cut", "finishReason": "content_filter"}),
    fixture("long", {"content": LONG}),
    fixture("paced", {"content": "abcdefghij"}, streamingProfile={"ttft": 50, "tps": 100}),
    fixture("later", failure(429, code="rate_limit_exceeded", retry_after=0), match={"sequenceIndex": 0}),
    fixture("later", failure(503, type="server_error"), match={"sequenceIndex": 1}),
    fixture("later", {"content": "now"}, match={"sequenceIndex": 2}),
    fixture("hurry", failure(429, code="rate_limit_exceeded", retry_after=60)),
    fixture("money", failure(402, message="Insufficient Balance")),
    fixture("key", failure(401, code="invalid_api_key")),
    fixture("size", failure(400, code="context_length_exceeded")),
    fixture("breaks", {"content": "an answer that breaks off"}, latency=10, truncateAfterChunks=3),
    fixture("dies", {"content": "an answer that never ends"}, latency=40, disconnectAfterMs=200),
]


@pytest.fixture
async def aimock(tmp_path: Path) -> AsyncIterator[str]:
    """The server's address."""
    async with server(FIXTURES, tmp_path) as address:
        yield address


async def ask(client: ModelClient, question: str, *history: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    messages = [{"role": "user", "content": question}, *history]
    async with client.stream(messages, model="gpt-4o") as answer:
        async for batch in answer:
            events += batch
    return events


def joined(events: list[Event], kind: type[Text] | type[Thinking] = Text) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


# One server for all that is asked of it: starting it costs more than the questions.


async def test_answers(aimock: str) -> None:
    async with ModelClient(aimock, KEY, patience=HASTE) as client:
        events = await ask(client, "plain")
        assert joined(events) == "先填单。"
        assert events[-2:] == [Usage(11, 7, 0), Finished("stop")]

        for question in ("think", "inline"):
            events = await ask(client, question)
            assert (joined(events, Thinking).strip(), joined(events)) == (
                "hm, so" if question == "think" else "hm",
                "Yes",
            )

        events = await ask(client, "tools")
        calls = [event for event in events if isinstance(event, ToolCall)]
        assert joined(events) == "Let me look."
        assert [(call.id, call.name) for call in calls] == [("call_a", "look_up"), ("call_b", "look_up")]
        assert json.loads(calls[0].arguments) == {"词": "报销"}
        assert calls[1].arguments == '{"broken'
        assert events[-1] == Finished("tool_calls")
        made = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        results = [{"role": "tool", "tool_call_id": call.id, "content": "nothing"} for call in calls]
        events = await ask(client, "tools", {"role": "assistant", "content": None, "tool_calls": made}, *results)
        assert joined(events) == "Found."

        assert (await ask(client, "length"))[-1] == Finished("length")
        assert joined(await ask(client, "long")) == LONG
        assert joined(await ask(client, "paced")) == "abcdefghij"
        assert "gpt-4o" in await client.list_models()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(client, "paced")) for _ in range(50)]
        assert all(joined(task.result()) == "abcdefghij" for task in tasks)


async def test_errors(aimock: str) -> None:
    waits: list[str] = []
    async with ModelClient(aimock, KEY, patience=replace(HASTE, retries=2)) as client:
        async with client.stream(
            [{"role": "user", "content": "later"}], model="m", on_wait=lambda _, error: waits.append(error.code)
        ) as answer:
            events = [event async for batch in answer for event in batch]
        assert joined(events) == "now"
        assert waits == ["rate_limited", "overloaded"]

        expected: dict[str, type[ModelError]] = {
            "hurry": RateLimited,
            "money": NoBalance,
            "key": KeyRefused,
            "size": TooLong,
            "filtered": Refused,
        }
        for question, kind in expected.items():
            with pytest.raises(kind):
                await ask(client, question)

        for question in ("breaks", "dies"):
            heard = ""
            with pytest.raises(Cut):
                async with client.stream([{"role": "user", "content": question}], model="m") as answer:
                    async for batch in answer:
                        heard += joined(batch)
            assert "an answer that".startswith(heard[:14])
            assert heard


async def test_chaos(aimock: str) -> None:
    """Faults that the server thinks of: each is a `ModelError`, none hangs."""
    port = re.search(r":(\d+)/", aimock)
    assert port
    faults: dict[str, tuple[type[ModelError], ...]] = {
        "rateLimitRate": (RateLimited,),
        "dropRate": (Overloaded,),
        "malformedRate": (BadAnswer, Cut),
        "disconnectRate": (ModelError,),
    }
    async with ModelClient(aimock, KEY, patience=replace(HASTE, retries=0)) as client:
        for fault, kinds in faults.items():
            await _post(int(port[1]), "/__aimock/chaos", {fault: 1})
            with pytest.raises(kinds):
                await ask(client, "plain")
            await _post(int(port[1]), "/__aimock/chaos", {fault: 0})
        assert joined(await ask(client, "plain")) == "先填单。"


async def _post(port: int, path: str, body: dict[str, Any]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 200 " in answer.split(b"\r\n")[0], answer
