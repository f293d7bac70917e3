"""A scripted chat model behind an OpenAI-compatible endpoint: what a test says, or a demonstration for the playground.

    script = Script()
    script.reply("Hello!", failing(429, retry_after=1), Reply("Late.", delay=2.0, pace=30))
    app = Starlette(routes=routes(script))        # POST /v1/chat/completions, GET /v1/models

Each request takes the next reply from the queue; when the queue is empty, ``script.default`` answers
(``demonstrate``, which shows what a bot can do). A request that a strict endpoint would refuse gets a 400, takes
nothing from the queue, and is noted in ``script.violations``: the public fakes accept such requests, real endpoints
do not. Whoever serves these routes calls ``script.close()`` before it stops, so that held and paced answers end.

This file knows the chat completions wire format and its quirks in the wild; it knows nothing about WeCom. The
demonstration stands here too, because it is one more default and speaks through the same ``Reply``.
"""

import asyncio
import base64
import binascii
import json
import re
import struct
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Json = Mapping[str, Any]

# One or two Chinese characters or half a long word: about what one streamed chunk of a real model carries.
_TOKEN = re.compile(r"[\u3400-\u9fff]{1,2}|\s?[^\W\u3400-\u9fff]{1,8}|\s+|[^\w\s]", re.UNICODE)


# -- what a test scripts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for. ``arguments`` is JSON as the model writes it: text, perhaps broken on purpose."""

    name: str
    arguments: str = "{}"
    id: str = ""  # empty: one is made up


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP answer other than 200. ``body`` is sent as JSON, or as it stands when it is text (a proxy's page)."""

    status: int
    body: Json | str
    headers: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Break:
    """How a stream goes wrong after ``after`` deltas (0: before the first one).

    ``cut`` drops the connection, ``error`` sends ``body`` as an event and ends the stream, ``silence`` keeps the
    connection open and sends nothing more until the client leaves.
    """

    kind: Literal["cut", "error", "silence"]
    after: int = 0
    body: Json = field(
        default_factory=lambda: {"message": "The server had an error.", "type": "server_error", "code": "server_error"}
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model. ``Reply("hi")`` is a plain one; everything else is by name."""

    text: str = ""
    _: KW_ONLY
    pieces: tuple[str, ...] = ()  # the exact content deltas, instead of ``text`` cut into tokens
    reasoning: str = ""
    reasoning_field: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    tool_calls: tuple[ToolCall, ...] = ()
    # Endpoints in the wild: no ``index``; every call at index 0; the name in each delta; a whole call in one delta.
    tool_quirk: Literal["", "no_index", "same_index", "repeated_name", "whole"] = ""
    refusal: str = ""
    finish_reason: str = ""  # empty: ``tool_calls`` when there are calls, else ``stop``; or length, content_filter
    delay: float = 0.0  # seconds before the first delta (before the status line of a failure)
    keep_alive: float = 0.0  # seconds between ``: keep-alive`` comments while nothing else is sent; 0: none
    pace: float = 0.0  # tokens a second; 0: as fast as the line takes them
    failure: Failure | None = None
    breaks: Break | None = None
    usage: Json | None = None  # instead of the estimate
    usage_quirk: Literal["", "every_chunk", "no_choices"] = ""  # usage in each chunk; ``choices: null`` in the last


_FAILURES: dict[int, tuple[str, str | None, str]] = {
    400: (
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 65536 tokens. However, your messages resulted in 70000 tokens.",
    ),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("unknown_error", "invalid_request_error", "Insufficient Balance"),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Access denied."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


def failing(status: int, message: str = "", *, retry_after: float | None = None, delay: float = 0.0) -> Reply:
    """A reply that is the HTTP error ``status`` with the body that endpoints send with it (400: context length)."""
    kind, code, said = _FAILURES.get(status, ("server_error", None, f"Error {status}."))
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Reply(failure=Failure(status, _error(message or said, kind=kind, code=code), headers), delay=delay)


def _error(message: str, *, kind: str, code: str | None, param: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Request:
    """A chat completion request that arrived. Header names are in lower case; ``at`` is Unix seconds."""

    body: Json
    headers: Mapping[str, str]
    at: float

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> Sequence[Json]:
        messages: Sequence[Json] = self.body.get("messages", ())
        return messages

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def text(self) -> str:
        """The text of the last user message, its text parts joined by newlines."""
        return next((text_of(message) for message in reversed(self.messages) if message.get("role") == "user"), "")

    @property
    def images(self) -> list[str]:
        """The URLs of the image parts of the last user message."""
        message = next((message for message in reversed(self.messages) if message.get("role") == "user"), {})
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def text_of(message: Json) -> str:
    """The text of a chat message, whether its content is a string, parts or absent."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content or () if part.get("type") == "text")


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


# -- what a strict endpoint refuses -------------------------------------------------------------------------------

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SPEAKER = re.compile(r"[^\s<|\\/>]{1,64}")
_PARTS = {"user": ("text", "image_url", "input_audio", "file"), "assistant": ("text", "refusal")}
_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,([A-Za-z0-9+/]+={0,2})")


def problems(body: object, *, text_only: bool = False, demands_reasoning: bool = False) -> Iterator[tuple[str, str]]:
    """What is wrong with a request body, as (parameter, sentence), in the order of the body. Never raises."""
    if not isinstance(body, dict):
        yield "body", f"the body must be a JSON object, not {type(body).__name__}"
        return
    yield from _option_problems(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "messages", f"messages must be a list with at least one message, got {messages!r:.80}"
        return
    waiting: list[str] = []  # the ids of the tool calls that the next messages must answer
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            yield where, f"a message must be an object, not {type(message).__name__}"
            continue
        role = message.get("role")
        if role == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in waiting:
                yield where, f"a tool message must answer a tool call right before it; nothing asked for {call_id!r}"
            else:
                waiting.remove(call_id)
        elif waiting:
            yield where, f"tool calls must be answered by tool messages at once; without an answer: {waiting!r}"
            waiting = []
        yield from _message_problems(message, where, text_only=text_only)
        if role == "assistant" and isinstance(message.get("tool_calls"), list):
            waiting = [str(call.get("id")) for call in message["tool_calls"] if isinstance(call, dict)]
            if demands_reasoning and "reasoning_content" not in message:
                yield where, "the reasoning_content in the thinking mode must be passed back to the API"
    if waiting:
        yield "messages", f"tool calls must be answered by tool messages; without an answer: {waiting!r}"
    if isinstance(messages[-1], dict) and messages[-1].get("role") == "assistant":
        yield "messages", "the last message must not be the assistant's: there is nothing to answer"


def _option_problems(body: Json) -> Iterator[tuple[str, str]]:
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model", f"model must be a name, got {body.get('model')!r:.80}"
    if not isinstance(body.get("stream", False), bool | None):
        yield "stream", f"stream must be true or false, got {body['stream']!r:.80}"
    if body.get("stream_options") is not None and not body.get("stream"):
        yield "stream_options", "stream_options is only allowed when stream is true"
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            yield name, f"{name} must be an integer of at least 1, got {value!r:.80}"
    temperature = body.get("temperature")
    if temperature is not None and not (isinstance(temperature, int | float) and 0 <= temperature <= 2):
        yield "temperature", f"temperature must be a number from 0 to 2, got {temperature!r:.80}"
    tools = body.get("tools")
    if tools is None:
        if body.get("tool_choice") is not None:
            yield "tool_choice", "tool_choice is only allowed when tools are given"
        return
    if not isinstance(tools, list) or not tools:
        yield "tools", "tools must be a list with at least one tool; leave it out when there is none"
        return
    seen: set[str] = set()
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        called = function.get("name") if isinstance(function, dict) else None
        if not isinstance(called, str) or not _NAME.fullmatch(called) or tool.get("type") != "function":
            yield (
                f"tools[{number}]",
                f"a tool needs type 'function' and a name of [a-zA-Z0-9_-]{{1,64}}, got {called!r:.80}",
            )
        elif not isinstance(tool["function"].get("parameters", {}), dict):
            yield f"tools[{number}]", f"the parameters of {called!r} must be a JSON schema object"
        elif called in seen:
            yield f"tools[{number}]", f"the tool {called!r} is listed twice"
        seen.add(str(called))


def _message_problems(message: Json, where: str, *, text_only: bool) -> Iterator[tuple[str, str]]:
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
    if role not in ("system", "developer", "user", "assistant", "tool"):
        yield f"{where}.role", f"role must be system, developer, user, assistant or tool, got {role!r:.80}"
        return
    name = message.get("name")
    if name is not None and not (isinstance(name, str) and _SPEAKER.fullmatch(name)):
        yield f"{where}.name", f"name must be 1 to 64 characters without white space or any of <|\\/>, got {name!r:.80}"
    if calls is not None:
        yield from _call_problems(role, calls, where)
    if content is None or content in ("", []):
        # Some endpoints take an empty string, others answer it with a 400; nobody needs one.
        if role != "assistant" or not (calls or message.get("refusal")):
            yield f"{where}.content", f"the {role} message is empty"
    elif isinstance(content, str):
        if any("\ud800" <= char <= "\udfff" for char in content):
            yield f"{where}.content", "the text holds half of a surrogate pair: it was cut inside a character"
    elif isinstance(content, list):
        for number, part in enumerate(content):
            yield from _part_problems(part, f"{where}.content[{number}]", _PARTS.get(role, ("text",)), text_only)
    else:
        yield f"{where}.content", f"content must be text or a list of parts, not {type(content).__name__}"


def _call_problems(role: str, calls: object, where: str) -> Iterator[tuple[str, str]]:
    if role != "assistant":
        yield f"{where}.tool_calls", f"a {role} message must not have tool_calls"
    if not isinstance(calls, list) or not calls:
        yield f"{where}.tool_calls", "tool_calls must be a list with at least one call; leave it out when there is none"
        return
    seen: set[str] = set()
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        call_id = call.get("id") if isinstance(call, dict) else None
        if not isinstance(function, dict) or call.get("type") != "function" or not isinstance(call_id, str):
            yield f"{where}.tool_calls[{number}]", "a tool call needs id, type 'function' and function"
            continue
        if call_id in seen:
            yield f"{where}.tool_calls[{number}]", f"two tool calls have the id {call_id!r}"
        seen.add(call_id)
        if not isinstance(function.get("arguments"), str) or not _NAME.fullmatch(str(function.get("name"))):
            yield f"{where}.tool_calls[{number}]", "function needs a name of [a-zA-Z0-9_-]{1,64} and arguments as text"


def _part_problems(part: object, where: str, kinds: Sequence[str], text_only: bool) -> Iterator[tuple[str, str]]:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in kinds:
        yield where, f"a part's type must be one of {', '.join(kinds)} here, got {kind!r:.80}"
    elif kind == "text" and not (isinstance(part.get("text"), str) and part["text"]):
        yield where, "a text part needs text that is not empty"
    elif kind == "image_url":
        if text_only:
            yield where, "this model does not support image_url parts"
            return
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else None
        if not isinstance(url, str) or not url.startswith(("data:", "https://", "http://")):
            yield where, "image_url must be an object whose url is a data URL or an http(s) one"
        elif url.startswith("data:") and picture(url) is None:
            yield (
                where,
                f"the data URL {url[:40]!r}… is not a PNG, JPEG, GIF or WebP image in base64 of the type it names",
            )


def picture(url: str) -> tuple[str, int, int, int] | None:
    """(MIME type, width, height, bytes) of an image in a data URL; None when it is not the image that it claims to be.

    Width and height are 0 for WebP, and for a JPEG whose frame header is not found.
    """
    parts = _DATA_URL.fullmatch(url)
    try:
        data = base64.b64decode(parts[2], validate=True) if parts else b""
    except binascii.Error:
        return None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        kind, (width, height) = "image/png", struct.unpack(">II", data[16:24])
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        kind, (width, height) = "image/gif", struct.unpack("<HH", data[6:10])
    elif data.startswith(b"\xff\xd8\xff"):
        kind, (width, height) = "image/jpeg", _jpeg_size(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind, width, height = "image/webp", 0, 0
    else:
        return None
    return (kind, width, height, len(data)) if parts and kind == parts[1] else None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0


# -- a reply on the wire ------------------------------------------------------------------------------------------


def tokens(text: str) -> list[str]:
    """``text`` in pieces of about a token each; joined they are ``text`` again."""
    return _TOKEN.findall(text)


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
            return JSONResponse(_error(f"The body is not JSON: {error}", kind="invalid_request_error", code=None), 400)
        model = str(body.get("model", "")) if isinstance(body, dict) else ""
        request = Request(body if isinstance(body, dict) else {}, dict(http.headers), time.time())
        script.requests.append(request)
        script.note()
        if script.key and request.headers.get("authorization") != f"Bearer {script.key}":
            return JSONResponse(
                _error("Incorrect API key provided.", kind="invalid_request_error", code="invalid_api_key"), 401
            )
        text_only = model in script.text_only
        found = list(problems(body, text_only=text_only, demands_reasoning=script.demands_reasoning))
        if found:
            script.violations.extend(f"{where}: {said}" for where, said in found)
            where, said = found[0]
            return JSONResponse(_error(said, kind="invalid_request_error", code=None, param=where), 400)
        if model not in script.models:
            said = f"The model {model!r} does not exist; this endpoint has {', '.join(script.models)}."
            return JSONResponse(_error(said, kind="invalid_request_error", code="model_not_found", param="model"), 404)
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


# -- the demonstration --------------------------------------------------------------------------------------------

_CJK = re.compile(r"[\u3400-\u9fff]")
_FILE = re.compile(
    r"[^\s\\/:*?\"'<>|`「」『』【】《》“”‘’（）()\[\]，。：；,;]{1,80}"
    r"\.(?:pdf|docx?|xlsx?|pptx?|csv|tsv|txt|md|html?|json|py|log)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_PACE = 60.0  # tokens a second: about what people see from a hosted model


@dataclass(frozen=True, slots=True)
class _Trick:
    """Something that the demonstration shows when a word of ``pattern`` is in the question."""

    pattern: re.Pattern[str]
    word: tuple[str, str]  # as the help names it: Chinese, English
    does: tuple[str, str]
    build: Callable[[re.Match[str], int], Reply]  # the match and the language: 0 Chinese, 1 English


def demonstrate(request: Request) -> Reply:
    """The playground's answer: what a keyword asks for, else an echo of what was understood.

    In English when the question has Latin letters and no Chinese character, else in Chinese.
    """
    text = request.text
    language = 1 if re.search(r"[A-Za-z]", text) and not _CJK.search(text) else 0
    last = request.messages[-1]
    if last.get("role") == "tool":
        told = ("工具返回了：", "The tool returned:")[language]
        return Reply(f"{told}\n\n```\n{_quotable(text_of(last), 1500)}\n```", pace=_PACE)
    for trick in _TRICKS:
        match = trick.pattern.search(text)
        if match:
            return trick.build(match, language)
    return Reply(_echo(request, text, language), delay=0.3, pace=_PACE)


def _quotable(text: str, limit: int) -> str:
    """At most ``limit`` characters, with no fence that could end the one around it."""
    text = text.replace("```", "ʼʼʼ")
    return text if len(text) <= limit else f"{text[:limit]} …"


def _echo(request: Request, text: str, language: int) -> str:
    asked = sum(message.get("role") == "user" for message in request.messages)
    quoted = "\n".join(f"> {line}" for line in _quotable(text.strip(), 600).splitlines()) or "> …"
    pictures = [picture(url) or (url[:60], 0, 0, 0) for url in request.images]
    names = list(dict.fromkeys(match[0] for match in _FILE.finditer(text)))[:5]
    if language:
        lines = ["I understood:", "", quoted, ""]
        lines += [f"- Picture {n}: {_picture_words(seen, 'bytes')}" for n, seen in enumerate(pictures, 1)]
        lines += [f"- File: **{name}**; {len(text)} characters of text came with the question" for name in names]
        lines += [
            "",
            f"Question {asked} of this conversation. I am a scripted model, so this is an echo; say **help**.",
        ]
    else:
        lines = ["我理解你说的是：", "", quoted, ""]
        lines += [f"- 图片 {n}：{_picture_words(seen, '字节')}" for n, seen in enumerate(pictures, 1)]
        lines += [f"- 文件：**{name}**，随问题一共收到 {len(text)} 个字符" for name in names]
        lines += [
            "",
            f"这是本次对话的第 {asked} 个问题。我是脚本模型，只会复述；发送 **演示** 看我会什么。",
        ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _picture_words(seen: tuple[str, int, int, int], unit: str) -> str:
    kind, width, height, size = seen
    return kind + (f", {width} × {height}" if width else "") + (f", {size:,} {unit}" if size else "")


def _help(match: re.Match[str], language: int) -> Reply:
    head = (
        "我是脚本模型，用来在没有密钥的时候试用。消息里有下面的词，我就演示对应的效果：\n\n| 词 | 演示 |\n|---|---|\n",
        "I am a scripted model, for trying things without a key. A word from this table shows its effect:\n\n"
        "| word | shows |\n|---|---|\n",
    )[language]
    rows = [f"| {trick.word[language]} | {trick.does[language]} |" for trick in _TRICKS]
    tail = (
        "\n\n其他内容我会复述一遍，图片和文件会说明收到了什么。",
        "\n\nAnything else is echoed, with the pictures and files in it.",
    )
    return Reply(head + "\n".join(rows) + tail[language], pace=2 * _PACE)


_BROKEN: dict[str, Reply] = {
    "cut": Reply("这个回答会在中途断开 / this answer is cut off in the mid", breaks=Break("cut", after=8), pace=20),
    "midway": Reply("这个回答会在中途出错 / this answer fails in the middle", breaks=Break("error", after=8), pace=20),
    "silence": Reply(breaks=Break("silence")),
    "empty": Reply(),
    "filter": Reply("这个回答会被", finish_reason="content_filter", pace=20),
    "length": Reply("这个回答因为长度上限在这里被截", finish_reason="length", pace=20),
}
_BROKEN_WORDS = {"断开": "cut", "中途": "midway", "沉默": "silence", "空": "empty", "过滤": "filter", "截断": "length"}


def _fail(match: re.Match[str], language: int) -> Reply:
    what = (match[1] or "500").lower()
    if what.isdecimal():
        status = int(what) if 400 <= int(what) <= 599 else 500
        return failing(status, retry_after=2 if status == 429 else None)
    return _BROKEN[_BROKEN_WORDS.get(what, what)]


def _think(match: re.Match[str], language: int) -> Reply:
    thought = (
        "用户想看我思考的样子。\n先弄清楚问题：他要的是一个能折叠的思考过程，而不是答案本身。\n"
        "再看约束：思考内容不能混进正文，也不能丢。\n最后组织语言：一句结论，三个理由，够了。",
        "The person wants to see me think.\nFirst the question: a thinking block that folds, not the answer itself.\n"
        "Then the constraints: the thought must not leak into the answer, nor be lost.\n"
        "Last the words: one conclusion and three reasons will do.",
    )[language]
    said = (
        "想好了。**结论：思考和回答是分开的。**\n\n1. 思考在上面可以折叠的部分\n2. 回答从这里开始\n3. 两边互不混入",
        "Done. **Thinking and answer are separate.**\n\n1. The thought is in the block above, which folds\n"
        "2. The answer begins here\n3. Neither leaks into the other",
    )[language]
    return Reply(said, reasoning=thought, delay=0.3, pace=_PACE / 2)


def _table(match: re.Match[str], language: int) -> Reply:
    return Reply(
        (
            "本季度的差旅费用（演示数据）：\n\n| 部门 | 人数 | 金额（元） | 同比 |\n|:---|:---:|---:|---:|\n"
            "| 销售 | 24 | 186,400.00 | **+12.5%** |\n| 研发 | 61 | 92,150.50 | -3.1% |\n"
            "| 市场 | 15 | 74,020.00 | +0.8% |\n| 合计 | 100 | 352,570.50 | +5.4% |\n\n数字靠右，人数居中，部门靠左。",
            "Travel this quarter (made-up figures):\n\n| Team | People | Amount | Change |\n|:---|:---:|---:|---:|\n"
            "| Sales | 24 | 186,400.00 | **+12.5%** |\n| Research | 61 | 92,150.50 | -3.1% |\n"
            "| Marketing | 15 | 74,020.00 | +0.8% |\n| Total | 100 | 352,570.50 | +5.4% |\n\n"
            "Figures to the right, heads centred, names to the left.",
        )[language],
        pace=_PACE,
    )


_PROGRAM = """```python
from collections.abc import Iterator


def primes(limit: int) -> Iterator[int]:
    \"\"\"The primes below ``limit``, by the sieve of Eratosthenes.\"\"\"
    sieve = bytearray([1]) * limit
    for number in range(2, limit):
        if sieve[number]:
            yield number
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))


print(*primes(50))
```"""


def _code(match: re.Match[str], language: int) -> Reply:
    head = ("用筛法求素数：", "Primes by a sieve:")[language]
    tail = ("`primes(50)` 依次给出 2、3、5 …… 47。", "`primes(50)` yields 2, 3, 5 … 47.")[language]
    return Reply(f"{head}\n\n{_PROGRAM}\n\n{tail}", pace=_PACE)


def _markup(match: re.Match[str], language: int) -> Reply:
    zh = (
        "# 一级标题\n## 二级标题\n### 三级标题\n\n**加粗**、*斜体*、`行内代码`、[链接](https://work.weixin.qq.com/)。\n\n"
        "- 无序列表\n  - 第二层\n    - 第三层\n- 第二项\n\n1. 有序列表\n2. 第二步\n\n> 引用\n>> 引用里的引用\n\n---\n\n"
        "下面这些必须原样显示成文字：<b>HTML</b> <script>alert(1)</script> [坏链接](javascript:alert(1))"
    )
    en = (
        "# Heading 1\n## Heading 2\n### Heading 3\n\n**Bold**, *italic*, `inline code`, "
        "[a link](https://work.weixin.qq.com/).\n\n- A list\n  - second level\n    - third level\n- second item\n\n"
        "1. Numbered\n2. second step\n\n> A quote\n>> in a quote\n\n---\n\n"
        "These must show as plain text: <b>HTML</b> <script>alert(1)</script> [bad link](javascript:alert(1))"
    )
    return Reply((zh, en)[language], pace=_PACE)


def _long(match: re.Match[str], language: int) -> Reply:
    """More than the 20,480 bytes that one message may hold (protocol §9.2), with tables and fences to be cut well."""
    sections: list[str] = []
    size = number = 0
    while size < 26_000:
        number += 1
        if language:
            section = f"## {number}. Section {number}\n\n" + " ".join(
                f"Sentence {part} of section {number} is here so that the answer is long and every piece of it can be "
                f"counted afterwards."
                for part in range(1, 7)
            )
            rows = "\n".join(f"| {number}.{row} | value {row * number} |" for row in range(1, 9))
            section += f"\n\n| entry | value |\n|---|---:|\n{rows}" if number % 3 == 0 else ""
        else:
            section = f"## {number}. 第 {number} 节\n\n" + "".join(
                f"这是第 {number} 节的第 {part} 句，写在这里是为了让回答足够长，并且每一段事后都数得清，一句也不能少。"
                for part in range(1, 7)
            )
            rows = "\n".join(f"| {number}.{row} | 数值 {row * number} |" for row in range(1, 9))
            section += f"\n\n| 条目 | 数值 |\n|---|---:|\n{rows}" if number % 3 == 0 else ""
        section += f"\n\n{_PROGRAM}" if number % 5 == 0 else ""
        sections.append(section)
        size += len(section.encode())
    sections.append(("（完，共 {} 节）", "(The end, {} sections.)")[language].format(number))
    return Reply("\n\n".join(sections), pace=8 * _PACE)


def _slow(match: re.Match[str], language: int) -> Reply:
    said = (
        "让你久等了。这个回答先沉默八秒，然后慢慢说：一个字，一个字，一个字地说，好让你看清气泡是怎样长大的。",
        "Sorry for the wait. This answer says nothing for eight seconds and then speaks slowly, word by word, so that "
        "you can watch the bubble grow.",
    )[language]
    return Reply(said, delay=8.0, keep_alive=2.0, pace=4.0)


def _call(match: re.Match[str], language: int) -> Reply:
    return Reply(tool_calls=(ToolCall(match[1], match[2]),), pace=_PACE)


def _word(zh: str, en: str) -> re.Pattern[str]:
    # Not \b: between a Latin letter and a Chinese character there is none.
    return re.compile(rf"{zh}|(?<![a-z])(?:{en})(?![a-z])", re.IGNORECASE)


_WAYS = r"\d{3}|断开|中途|沉默|空|过滤|截断|cut|midway|silence|empty|filter|length"
_TRICKS = (
    _Trick(
        _word("帮助|演示|你会什么|能做什么", "help|demo|keywords"),
        ("help、演示", "help, demo"),
        ("这张表", "this table"),
        _help,
    ),
    _Trick(
        re.compile(rf"(?:出错|(?<![a-z])error)[\s:：]*({_WAYS})|^\W*(?:出错|error)\W*$", re.IGNORECASE),
        (
            "出错 429（或 401、402、404、500、断开、中途、沉默、空、过滤、截断）",
            "error 429 (or 401, 402, 404, 500, cut, midway, silence, empty, filter, length)",
        ),
        ("模型这样出错", "the model fails in that way"),
        _fail,
    ),
    _Trick(
        re.compile(r"(?:工具|(?<![a-z])tool)[\s:：]+([A-Za-z0-9_-]{1,64})\s*(\{.*\})", re.IGNORECASE | re.DOTALL),
        ("工具 名字 {JSON}", "tool name {JSON}"),
        ("调用这个工具", "calls that tool"),
        _call,
    ),
    _Trick(
        _word("想一想|思考", "think|thinking"), ("想一想", "think"), ("先思考再回答", "thinks, then answers"), _think
    ),
    _Trick(_word("长文|很长|长一点", "long"), ("长文", "long"), ("超过 20 KB 的回答", "an answer over 20 KB"), _long),
    _Trick(
        _word("慢", "slow|slowly"),
        ("慢", "slow"),
        ("等八秒，再慢慢说", "waits eight seconds, then speaks slowly"),
        _slow,
    ),
    _Trick(_word("表格", "table"), ("表格", "table"), ("对齐的表格", "a table with alignment"), _table),
    _Trick(_word("代码", "code"), ("代码", "code"), ("代码块", "a block of code"), _code),
    _Trick(
        _word("排版|格式", "markdown"), ("排版", "markdown"), ("所有 Markdown 元素", "every Markdown element"), _markup
    ),
)
