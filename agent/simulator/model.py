"""A scripted chat model behind an OpenAI-compatible endpoint: what a test says, or a demonstration for the playground.

    script = Script()
    script.reply("Hello!", failing(429, retry_after=1), Reply("Late.", delay=2.0, pace=30))
    app = Starlette(routes=routes(script))        # POST /v1/chat/completions, GET /v1/models

Each request takes the next reply from the queue; when the queue is empty, ``script.default`` answers
(``demonstrate``, which shows what a bot can do). A request that a strict endpoint would refuse gets a 400, takes
nothing from the queue, and is noted in ``script.violations``: the public fakes accept such requests, real endpoints
do not. Whoever serves these routes calls ``script.close()`` before it stops, so that held and paced answers end.

This file knows the chat completions wire format and its quirks in the wild; it knows nothing about WeCom. What a reply
can be is in ``completions``, what is refused in ``strictness``, what the playground shows in ``demonstration``.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent.simulator.completions import (
    Break,
    Failure,
    Json,
    Reply,
    Request,
    ToolCall,
    error_body,
    failing,
    text_of,
    tokens,
)
from agent.simulator.demonstration import demonstrate
from agent.simulator.strictness import problems

__all__ = ["Break", "Failure", "Reply", "Request", "Script", "ToolCall", "demonstrate", "failing", "routes"]


class Script:
    """The replies to come and the requests that came. One event loop; not safe across threads.

    ``requests`` keeps the newest ``remember`` ones. ``open`` is how many answers are being sent now, ``abandoned``
    lists the requests whose client left before its answer was complete.
    """

    def __init__(
        self,
        default: Callable[[Request], Reply] | None = None,
        *,
        models: Sequence[str] = ("scripted", "scripted-vision"),
        remember: int = 500,
    ) -> None:
        self.default: Callable[[Request], Reply] = default or demonstrate
        self.models = tuple(models)
        self.key = ""  # when set, any other API key gets a 401
        self.text_only: frozenset[str] = frozenset()  # models that refuse image parts with a 400
        self.demands_reasoning = False  # as DeepSeek: a message with tool calls must carry its reasoning_content
        self.requests: deque[Request] = deque(maxlen=remember)
        self.abandoned: deque[Request] = deque(maxlen=remember)
        self.violations: list[str] = []
        self.open = 0
        self.closed = asyncio.Event()
        self._queue: deque[Reply | Callable[[Request], Reply]] = deque()
        self._changed = asyncio.Event()

    def reply(self, *replies: str | Reply | Callable[[Request], Reply]) -> None:
        """Put replies at the end of the queue; a function is asked when its request has arrived."""
        self._queue.extend(Reply(reply) if isinstance(reply, str) else reply for reply in replies)

    @property
    def pending(self) -> int:
        """How many scripted replies nobody has asked for yet."""
        return len(self._queue)

    def take(self, request: Request) -> Reply:
        """The reply for this request: the next of the queue, else the default's."""
        reply = self._queue.popleft() if self._queue else self.default
        return reply if isinstance(reply, Reply) else reply(request)

    async def until(self, condition: Callable[[], bool], within: float = 10.0) -> None:
        """Wait until ``condition()`` holds; it is asked again at each request, answer's end and abandoned request.

        Raises ``TimeoutError`` after ``within`` seconds.
        """
        async with asyncio.timeout(within):
            while not condition():
                await self._changed.wait()

    def close(self) -> None:
        """End the answers that are held or paced, as a server that stops does. For good."""
        self.closed.set()

    def note(self) -> None:
        """Wake whoever waits in ``until``."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    """The deltas of a streamed reply after the role: reasoning, content or refusal, tool calls."""
    for piece in tokens(reply.reasoning):
        yield {"content": None, reply.reasoning_field: piece}
    for piece in reply.pieces or tokens(reply.text):
        yield {"content": piece}
    for piece in tokens(reply.refusal):
        yield {"refusal": piece}
    for number, call in enumerate(reply.tool_calls):
        head: dict[str, Any] = {"index": 0 if reply.tool_quirk == "same_index" else number}
        if reply.tool_quirk == "no_index":
            head = {}
        call_id = call.id or f"call_{uuid.uuid4().hex[:24]}"
        if reply.tool_quirk in ("no_index", "whole"):
            function = {"name": call.name, "arguments": call.arguments}
            yield {"tool_calls": [{**head, "id": call_id, "type": "function", "function": function}]}
            continue
        first = {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [head | first]}
        for piece in tokens(call.arguments):
            if reply.tool_quirk == "repeated_name":
                yield {"tool_calls": [{**head, "id": "", "function": {"name": call.name, "arguments": piece}}]}
            else:
                yield {"tool_calls": [{**head, "function": {"arguments": piece}}]}


def usage(request: Request, reply: Reply) -> Json:
    """The usage of a reply: what it scripts, or an estimate by ``tokens`` (an image counts 384)."""
    if reply.usage is not None:
        return reply.usage
    asked = sum(len(tokens(text_of(message))) + 4 for message in request.messages) + 384 * len(request.images)
    thought = len(tokens(reply.reasoning))
    said = len(reply.pieces or tokens(reply.text + reply.refusal))
    said += thought + sum(len(tokens(call.arguments)) + 4 for call in reply.tool_calls)
    return {
        "prompt_tokens": asked,
        "completion_tokens": said,
        "total_tokens": asked + said,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _reason(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _completion(request: Request, reply: Reply, head: Json) -> Json:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.pieces) or reply.text or None}
    message["refusal"] = reply.refusal or None
    if reply.reasoning:
        message[reply.reasoning_field] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id or f"call_{uuid.uuid4().hex[:24]}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in reply.tool_calls
        ]
    elif message["content"] is None and not reply.refusal:
        message["content"] = ""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(reply)}
    return {**head, "choices": [choice], "usage": usage(request, reply)}


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class _Answer:
    """One answer being sent: an ASGI application, because a response object can neither be cut nor hold its tongue."""

    def __init__(self, script: Script, request: Request, reply: Reply) -> None:
        self.script, self.request, self.reply = script, request, reply
        kind = "chat.completion.chunk" if request.stream else "chat.completion"
        self.head: Json = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(request.at),
            "model": request.model,
            "system_fingerprint": "fp_scripted",
        }
        self.left = asyncio.Event()  # the client has gone, or the script was closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        complete = False
        self.script.open += 1
        self.script.note()
        try:
            async with asyncio.TaskGroup() as group:
                watches = [group.create_task(self._watch_client(receive)), group.create_task(self._watch_script())]
                complete = await (self._stream(send) if self.request.stream else self._whole(send))
                for watch in watches:
                    watch.cancel()
        finally:
            self.script.open -= 1
            if not complete:
                self.script.abandoned.append(self.request)
            self.script.note()

    async def _watch_client(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()

    async def _watch_script(self) -> None:
        await self.script.closed.wait()
        self.left.set()

    async def _pause(self, seconds: float | None) -> bool:
        """Wait so long (None: for ever); False as soon as there is nobody to wait for."""
        try:
            async with asyncio.timeout(seconds):
                await self.left.wait()
        except TimeoutError:
            return True
        return False

    async def _whole(self, send: Send) -> bool:
        reply = self.reply
        failure, broken = reply.failure, reply.breaks
        count = 0 if failure else sum(1 for _ in deltas(reply))
        if not await self._pause(reply.delay + (count / reply.pace if reply.pace else 0)):
            return False
        if broken and broken.kind == "silence":
            return await self._pause(None)
        if broken and broken.kind == "error":
            failure = Failure(500, {"error": broken.body})
        status, body, headers = 200, json.dumps(_completion(self.request, reply, self.head)).encode(), {}
        media_type = b"application/json"
        if failure:
            status, headers = failure.status, {**failure.headers}
            if isinstance(failure.body, str):
                body, media_type = failure.body.encode(), b"text/html; charset=utf-8"
            else:
                body = json.dumps(failure.body).encode()
        raw = [(b"content-type", media_type), *((key.lower().encode(), val.encode()) for key, val in headers.items())]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        if broken and broken.kind == "cut":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return True  # without the last piece: the server drops the connection
        await send({"type": "http.response.body", "body": body})
        return True

    async def _stream(self, send: Send) -> bool:
        reply = self.reply
        if reply.failure:
            return await self._whole(send)
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if not await self._delay(send):
            return False
        loop = asyncio.get_running_loop()
        started, ready = loop.time(), self._chunk({"role": "assistant", "content": ""})
        for number, delta in enumerate(deltas(reply)):
            if reply.breaks and number >= reply.breaks.after:
                break
            # What is due goes out in one piece, so that many streams keep their pace on a busy machine.
            early = started + number / reply.pace - loop.time() if reply.pace else 0.0
            if early > 0 or len(ready) > 16_384:
                await send({"type": "http.response.body", "body": ready, "more_body": True})
                ready = b""
                if not await self._pause(max(early, 0.0)):
                    return False
            ready += self._chunk(delta)
        return await self._finish(send, ready)

    async def _delay(self, send: Send) -> bool:
        """Wait for the first token, with keep-alive comments as endpoints under load send them."""
        remaining = self.reply.delay
        while remaining > 0:
            step = min(remaining, self.reply.keep_alive or remaining)
            if not await self._pause(step):
                return False
            remaining -= step
            if self.reply.keep_alive:
                await send({"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True})
        return True

    async def _finish(self, send: Send, ready: bytes) -> bool:
        """Send what is ready and the end of the stream: the right one, or the scripted wrong one."""
        reply, broken = self.reply, self.reply.breaks
        if broken and broken.kind != "error":
            await send({"type": "http.response.body", "body": ready, "more_body": True})
            # Returning without a last piece makes the server drop the connection.
            return True if broken.kind == "cut" else await self._pause(None)
        if broken:
            ready += _event({"error": broken.body})
        else:
            ready += self._chunk({}, finish=_reason(reply))
            options = self.request.body.get("stream_options") or {}
            if options.get("include_usage"):
                choices: list[Json] | None = None if reply.usage_quirk == "no_choices" else []
                ready += _event({**self.head, "choices": choices, "usage": usage(self.request, reply)})
            ready += b"data: [DONE]\n\n"
        await send({"type": "http.response.body", "body": ready})
        return True

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk: dict[str, Any] = {**self.head, "choices": [choice]}
        if self.reply.usage_quirk == "every_chunk":
            chunk["usage"] = usage(self.request, self.reply)
        elif (self.request.body.get("stream_options") or {}).get("include_usage"):
            chunk["usage"] = None
        return _event(chunk)


def routes(script: Script) -> list[Route]:
    """The endpoint's routes, ``/v1/chat/completions`` and ``/v1/models``, for a starlette application."""

    async def complete(http: HTTPRequest) -> Response | _Answer:
        try:
            raw = await http.body()
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            script.violations.append(f"body: not JSON: {error}")
            return JSONResponse(
                error_body(f"The body is not JSON: {error}", kind="invalid_request_error", code=None), 400
            )
        model = str(body.get("model", "")) if isinstance(body, dict) else ""
        request = Request(body if isinstance(body, dict) else {}, dict(http.headers), time.time())
        script.requests.append(request)
        script.note()
        if script.key and request.headers.get("authorization") != f"Bearer {script.key}":
            return JSONResponse(
                error_body("Incorrect API key provided.", kind="invalid_request_error", code="invalid_api_key"), 401
            )
        text_only = model in script.text_only
        found = list(problems(body, text_only=text_only, demands_reasoning=script.demands_reasoning))
        if found:
            script.violations.extend(f"{where}: {said}" for where, said in found)
            where, said = found[0]
            return JSONResponse(error_body(said, kind="invalid_request_error", code=None, param=where), 400)
        if model not in script.models:
            said = f"The model {model!r} does not exist; this endpoint has {', '.join(script.models)}."
            return JSONResponse(
                error_body(said, kind="invalid_request_error", code="model_not_found", param="model"), 404
            )
        return _Answer(script, request, script.take(request))

    async def models(http: HTTPRequest) -> Response:
        listed = [
            {"id": name, "object": "model", "created": 1767225600, "owned_by": "scripted"} for name in script.models
        ]
        return JSONResponse({"object": "list", "data": listed})

    return [
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/models", models, methods=["GET"]),
    ]
