"""What the scripted model is told to answer, and what it was asked: plain values, and the errors that endpoints send.

It knows the vocabulary of the chat completions API; how a reply goes over the wire is in ``model``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

Json = Mapping[str, Any]

# One or two Chinese characters or half a long word: about what one streamed chunk of a real model carries.
_TOKEN = re.compile(r"[\u3400-\u9fff]{1,2}|\s?[^\W\u3400-\u9fff]{1,8}|\s+|[^\w\s]", re.UNICODE)


def tokens(text: str) -> list[str]:
    """``text`` in pieces of about a token each; joined they are ``text`` again."""
    return _TOKEN.findall(text)


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
    return Reply(failure=Failure(status, error_body(message or said, kind=kind, code=code), headers), delay=delay)


def error_body(message: str, *, kind: str, code: str | None, param: str | None = None) -> Json:
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
