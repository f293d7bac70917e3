"""What can go wrong between the bot and its model, and how a provider's answer is sorted into it.

Knows the status codes, error codes and phrases of OpenAI-compatible endpoints. Does not know HTTP clients, retries,
or the sentence that the person in the chat reads: that table is keyed by ``code``.

    ModelError
    ├── KeyRefused     key_refused    401, 403: the key, or what it may do
    ├── NoBalance      no_balance     402, or a quota that money would refill
    ├── ModelMissing   model_missing  404: no such model (or no such path: a base URL without its /v1)
    ├── RateLimited    rate_limited   429; retry_after when the endpoint says so
    ├── Overloaded     overloaded     5xx, 408, 409
    ├── TooLong        too_long       the prompt does not fit the model's context
    ├── BadRequest     bad_request    any other 4xx
    ├── Unreachable    unreachable    DNS, connect, TLS, proxy
    ├── TimedOut       timeout        no first token, a silence in the stream, or the cap on the whole answer
    ├── Cut            cut            the stream broke after it began; the caller holds the text so far
    ├── Refused        refused        moderation by the provider, or the model's own refusal
    ├── Empty          empty          finished without text and without a tool call
    └── BadAnswer      bad_answer     neither SSE nor JSON of the expected shape

``str(error)`` holds status, provider codes and request id only. What the provider said in words is in ``said``: it
may repeat what a person wrote, so it belongs in a DEBUG log or on the operator's own terminal.
"""

import email.utils
import re
from collections.abc import Mapping
from typing import Any, ClassVar

# A provider's words are kept for the operator, not archived.
SAID_LIMIT = 400


class ModelError(Exception):
    """The model gave no (complete) answer.

    ``transient`` tells whether the same request may succeed a little later.
    """

    code: ClassVar[str] = "model_error"
    transient: ClassVar[bool] = False

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        kind: str = "",
        said: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        details = [
            f"status {status}" if status else "",
            f"provider code {kind!r}" if kind else "",
            f"request id {request_id!r}" if request_id else "",
        ]
        known = ", ".join(filter(None, details))
        super().__init__(f"{what} ({known})" if known else what)
        self.status = status
        self.kind = kind
        self.said = said
        self.request_id = request_id
        self.retry_after = retry_after  # seconds, as the endpoint asked for


class KeyRefused(ModelError):
    code = "key_refused"


class NoBalance(ModelError):
    code = "no_balance"


class ModelMissing(ModelError):
    code = "model_missing"


class RateLimited(ModelError):
    code = "rate_limited"
    transient = True


class Overloaded(ModelError):
    code = "overloaded"
    transient = True


class TooLong(ModelError):
    code = "too_long"


class BadRequest(ModelError):
    code = "bad_request"


class Unreachable(ModelError):
    code = "unreachable"
    transient = True


class TimedOut(ModelError):
    code = "timeout"


class Cut(ModelError):
    code = "cut"
    transient = True


class Refused(ModelError):
    code = "refused"


class Empty(ModelError):
    code = "empty"


class BadAnswer(ModelError):
    code = "bad_answer"


_WHAT: dict[type[ModelError], str] = {
    KeyRefused: "the endpoint refuses the API key or what it asks for; check OPENAI_API_KEY and the account's rights",
    NoBalance: "the account at the model provider has no balance or quota left; top it up",
    ModelMissing: "the endpoint does not know the model, or the path; check OPENAI_MODEL and OPENAI_BASE_URL",
    RateLimited: "the endpoint limits the rate of requests",
    Overloaded: "the endpoint failed or is overloaded",
    TooLong: "the prompt is longer than the model's context; lower AGENT_CONTEXT_TOKENS",
    BadRequest: "the endpoint refuses the request",
    Refused: "the provider's moderation refuses the content",
}

# What providers write when the status alone says too little. First match wins, so the order matters: moderation and
# money hide behind 400, 403 and 429. Lower case; codes are compared with the error's code and type, words with its
# message. OpenAI, Azure, DeepSeek, Qwen (DashScope), GLM, Kimi, Doubao (Ark), Ollama, vLLM, one-api and OpenRouter.
_MARKS: tuple[tuple[type[ModelError], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        Refused,
        ("content_filter", "content_policy", "data_inspection", "datainspection", "sensitivecontent", "=1301"),
        (
            "content exists risk",
            "content management policy",
            "inappropriate content",
            "considered high risk",
            "input was flagged",
            "敏感内容",
        ),
    ),
    (
        NoBalance,
        (
            "insufficient_quota",
            "insufficient_user_quota",
            "insufficient_balance",
            "exceeded_current_quota",
            "arrearage",
            "accountoverdue",
            "billing_",
            "freetieronly",
            "=1113",
        ),
        (
            "insufficient balance",
            "insufficient account balance",
            "exceeded your current quota",
            "account is in good standing",
            "余额不足",
            "欠费",
        ),
    ),
    (
        TooLong,
        ("context_length", "context_window", "exceed_context_size", "string_above_max_length", "=1261"),
        (
            "context length",
            "context window",
            "context size",
            "input length should be",
            "input is too long",
            "prompt is too long",
            "too many tokens",
            "max message tokens",
            "model token limit",
            "input token count",
            "reduce the length",
            "超长",
        ),
    ),
    (
        ModelMissing,
        (
            "model_not_found",
            "modelnotfound",
            "modelnotopen",
            "model.accessdenied",
            "invalidendpointormodel",
            "=1211",
        ),
        ("model not exist", "model not found", "no available channel", "模型不存在"),
    ),
    (RateLimited, ("rate_limit", "ratelimit", "throttling"), ("rate limit",)),
    (KeyRefused, ("invalid_api_key", "api_key_invalid", "invalidapikey", "authentication"), ("api key not valid",)),
)


def from_status(
    status: int, body: object = None, headers: Mapping[str, str] | None = None, *, key: str = "", now: float = 0.0
) -> ModelError:
    """The error of an HTTP answer that is not 2xx.

    ``body`` is the decoded JSON, or the text. ``headers`` are looked up in lower case. ``key`` is cut out of whatever
    the provider said. ``now`` is the Unix time against which a date in Retry-After is read.
    """
    headers = headers or {}
    codes, said = _words(body)
    kind = _sort(status, codes, said)
    return kind(
        _WHAT[kind],
        status=status,
        kind=", ".join(codes),
        said=redact(said, key),
        request_id=headers.get("x-request-id", "")[:80],
        retry_after=retry_after(headers, now),
    )


def from_stream(error: object, *, key: str = "") -> ModelError:
    """The error of an error object inside a stream that began with 200; without a hint it is the endpoint's fault."""
    codes, said = _words(error)
    numbers = [int(code) for code in codes if code.isdecimal() and 400 <= int(code) < 600]
    if not numbers and any("invalid_request" in code for code in codes):
        numbers = [400]
    kind = _sort(numbers[0] if numbers else 500, codes, said)
    return kind(_WHAT[kind], kind=", ".join(codes), said=redact(said, key))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait as the endpoint asks for (seconds or an HTTP date); None when it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if not text:
            continue
        try:
            seconds = float(text) * unit
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
            except (ValueError, OverflowError):
                continue
        if seconds == seconds and seconds != float("inf"):
            return max(0.0, seconds)
    return None


def redact(text: str, key: str = "") -> str:
    """``text`` in one line, cut short, without ``key`` and without anything that looks like a key."""
    if key:
        text = text.replace(key, "[key]")
    text = re.sub(r"(?i)\bsk-[\w.*-]{4,}|\bbearer\s+\S+", "[key]", text)
    text = " ".join(text.split())
    return text if len(text) <= SAID_LIMIT else text[:SAID_LIMIT] + "…"


def _words(body: object) -> tuple[list[str], str]:
    """The codes and the words of an error body, whatever its shape."""
    error: Any = body
    if isinstance(body, dict):
        # {"error": {...}} is the rule; {"error": "words"} (Ollama), {"detail": ...} (FastAPI) and a bare object happen.
        error = body.get("error") or body.get("detail") or body
    if not isinstance(error, dict):
        return [], error if isinstance(error, str) else "" if error is None else str(error)
    codes = [str(error[name])[:80] for name in ("code", "type", "param") if error.get(name) not in (None, "", "error")]
    said = error.get("message") or error.get("msg") or error.get("error") or ""
    return codes, said if isinstance(said, str) else str(said)


def _sort(status: int, codes: list[str], said: str) -> type[ModelError]:
    codes, said = [code.lower() for code in codes], said.lower()
    for kind, marks, phrases in _MARKS:
        if any(mark[1:] == code if mark[0] == "=" else mark in code for mark in marks for code in codes):
            return kind
        if any(phrase in said for phrase in phrases):
            return kind
    match status:
        case 401 | 403:
            return KeyRefused
        case 402:
            return NoBalance
        case 404:
            return ModelMissing
        case 413:
            return TooLong
        case 429:
            return RateLimited
        case 408 | 409 | 425:
            return Overloaded
        case _:
            return Overloaded if status >= 500 else BadRequest
