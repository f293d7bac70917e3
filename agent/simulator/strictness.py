"""What a strict endpoint refuses in a chat completion request: the public fakes accept it, real endpoints do not."""

import base64
import binascii
import re
import struct
from collections.abc import Iterator, Sequence

from agent.simulator.completions import Json

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
