"""Asking the model: one request, its retries and its deadlines, as a stream of events.

Knows when to wait, when to ask again and when to give up. Does not know HTTP (`endpoint`), the format of the stream
(`sse`, `stream`) or parameters (`dialect`).

    async with ModelClient("https://api.deepseek.com/v1", key) as client:
        async with client.stream(messages, model="deepseek-flash") as answer:
            async for events in answer:          # the events of one read of the socket
                ...
"""

import asyncio
import base64
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agent.model.dialect import Dialect
from agent.model.errors import BadAnswer, BadRequest, Cut, Empty, ModelError, Refused, TimedOut
from agent.model.sse import Decoder
from agent.model.stream import Event, Finished, Fold, Text, TextWasThinking, ToolCall

if TYPE_CHECKING:
    from agent.model.endpoint import Body, Endpoint

logger = logging.getLogger(__name__)

OnWait = Callable[[float, ModelError], None]
Message = dict[str, Any]

# How endpoints say in a finish reason that they, not the model, ended the answer (DeepSeek, GLM, OpenRouter).
_BROKEN = frozenset({"insufficient_system_resource", "network_error", "error"})


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, and tries."""

    connect: float = 5.0
    first_token: float = 120.0  # from the request to the first piece of content, keep-alive comments or not
    gap: float = 60.0  # between two reads; comments alone may stretch it to first_token
    total: float = 900.0  # the whole answer, retries included
    after_finish: float = 5.0  # for usage and the end of the stream, once the model said that it is done
    drain: float = 0.2  # for the body's last bytes, so that the connection can serve again
    retries: int = 2  # before the first token only
    backoff: float = 1.0  # before the first retry; doubles, give or take a quarter
    longest_wait: float = 20.0  # an endpoint that asks for more is not waited for


class ModelClient:
    """The models behind one OpenAI-compatible endpoint, over one pool of connections. Open as a context manager, which
    raises ValueError for settings that cannot work: base URL, key, CA file, proxy."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        ca_file: Path | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._settings = (base_url, api_key, ca_file)
        self._patience = patience
        self._dialect = Dialect()
        self._habits: set[str] = set()  # models whose content begins inside a block of thinking
        self._endpoint: Endpoint | None = None

    async def __aenter__(self) -> Self:
        # Importing openai and reading the system's certificates take 0.5 to 0.9 s: not on the loop.
        self._endpoint = await asyncio.to_thread(self._connect)
        return self

    def _connect(self) -> "Endpoint":
        from agent.model.endpoint import Endpoint

        base_url, key, ca_file = self._settings
        return Endpoint(base_url, key, connect_seconds=self._patience.connect, ca_file=ca_file)

    async def __aexit__(self, *_: object) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.aclose()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Sequence[dict[str, Any]] | None = None,
        extra: dict[str, Any] | None = None,
        on_wait: OnWait | None = None,
    ) -> "Answer":
        """Asks for one answer; nothing is sent before the first iteration.

        ``tools`` are OpenAI function schemas, ``extra`` more fields of the body (``{"enable_thinking": False}``).
        ``on_wait(seconds, error)`` is called before each wait for a retry. A parameter that the endpoint refuses is
        left out, then and later.
        """
        body: dict[str, Any] = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if temperature is not None:
            body["temperature"] = temperature
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        if tools:
            body["tools"] = list(tools)
        body.update(extra or {})
        return Answer(self._open_endpoint, body, self._patience, self._dialect, self._habits, on_wait)

    async def list_models(self) -> list[str]:
        """The names of the models that the endpoint lists. Some have no such route: `ModelMissing` then."""
        try:
            async with asyncio.timeout(self._patience.first_token):
                listed = await self._open_endpoint.get("/models")
        except TimeoutError:
            raise TimedOut("the endpoint did not list its models in time") from None
        entries = listed.get("data") or listed.get("models") if isinstance(listed, dict) else listed
        if not isinstance(entries, list):
            raise BadAnswer("the endpoint's list of models has another shape than {'data': [...]}")
        names = [entry.get("id") or entry.get("name") for entry in entries if isinstance(entry, dict)]
        return [name for name in names if isinstance(name, str)]

    async def draw(self, prompt: str, *, model: str, size: str = "", most: int) -> bytes:
        """A picture of the images endpoint, as it came, at most ``most`` bytes. ``size`` is like ``1536x1024``; an
        endpoint that refuses it is asked again without."""
        body = {"model": model, "prompt": prompt, "n": 1}
        try:
            async with asyncio.timeout(self._patience.first_token):
                try:
                    drawn = await self._open_endpoint.post(
                        "/images/generations", body | ({"size": size} if size else {})
                    )
                except BadRequest:
                    if not size:
                        raise
                    drawn = await self._open_endpoint.post("/images/generations", body)
                packed, url = _picture(drawn)
                if url:
                    return await self._open_endpoint.download(url, most)
        except TimeoutError:
            raise TimedOut(f"the model {model!r} did not draw within {self._patience.first_token:g} s") from None
        try:
            data = base64.b64decode(packed, validate=True)
        except ValueError:
            raise BadAnswer("the endpoint's picture is no base64") from None
        if len(data) > most:
            raise BadAnswer(f"the endpoint's picture is larger than {most} bytes")
        return data

    @property
    def _open_endpoint(self) -> "Endpoint":
        if self._endpoint is None:
            raise RuntimeError("the model client is not open; use it as `async with ModelClient(...)`")
        return self._endpoint


def _picture(drawn: Any) -> tuple[str, str]:
    """The base64 or the address of the first picture in an answer; most endpoints list them as `data`, some as
    `images`, and a few put a data URL where the address belongs."""
    pictures = drawn.get("data") or drawn.get("images") if isinstance(drawn, dict) else None
    picture = pictures[0] if isinstance(pictures, list) and pictures else None
    if isinstance(picture, dict):
        packed, url = picture.get("b64_json"), picture.get("url")
        if isinstance(packed, str) and packed:
            return packed.rpartition(",")[2], ""
        if isinstance(url, str) and url:
            return (url.rpartition(",")[2], "") if url.startswith("data:") else ("", url)
    raise BadAnswer("the endpoint answered without a picture in data[0].b64_json or data[0].url")


class Answer:
    """One answer under way: an async context manager and an async iterator of lists of events, never empty.

    The last list ends with `Finished` (``stop``, ``tool_calls``, ``length`` or the endpoint's own word). A `ModelError`
    ends it otherwise; what was yielded before stays valid. Leaving the context closes the connection, which ends the
    generation at the endpoint's side, unless the answer was read to its end.
    """

    def __init__(
        self,
        endpoint: "Endpoint",
        body: dict[str, Any],
        patience: Patience,
        dialect: Dialect,
        habits: set[str],
        on_wait: OnWait | None,
    ) -> None:
        self._endpoint = endpoint
        self._body = body
        self._model: str = body["model"]
        self._patience = patience
        self._dialect = dialect
        self._habits = habits
        self._on_wait = on_wait
        self._http: Body | None = None
        self._decoder = Decoder()
        self._fold = Fold()
        self._has_answer = False  # some text or a tool call came
        self._is_over = False
        self._failure: ModelError | None = None  # to be raised once the events before it are out
        self._ends_at = self._asked_at = self._byte_at = self._content_at = 0.0  # loop time

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if self._is_over and self._failure is None and exc_type is None and self._http is not None:
            with contextlib.suppress(TimeoutError, ModelError):
                async with asyncio.timeout(self._patience.drain):
                    while await self._http.read():
                        pass
        await self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Event]:
        while True:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                self._is_over = True
                await self._close()
                _quote(failure)
                raise failure
            if self._is_over:
                raise StopAsyncIteration
            events = await self._read() if self._http is not None else await self._begin()
            if events:
                return events

    async def _begin(self) -> list[Event]:
        """Asks, again if need be, until the first content is there."""
        loop, tries = asyncio.get_running_loop(), 0
        self._ends_at = loop.time() + self._patience.total
        refused: frozenset[str] = frozenset()
        while True:
            spoken = self._dialect.speak(self._body, refused)
            try:
                await self._ask(spoken)
                while True:
                    events = await self._read()
                    if self._failure is not None and not self._fold.progress:
                        raise self._failure
                    if self._is_over or self._fold.progress:
                        return events
            except ModelError as error:
                self._failure = None
                await self._close()
                _quote(error)
                if names := self._dialect.learn(error, spoken):
                    refused |= names
                    continue
                seconds = self._wait(error, tries)
                if seconds is None or loop.time() + seconds >= self._ends_at:
                    self._is_over = True
                    raise
                tries += 1
                logger.info("the model %r gave no answer: %s; asking again in %.1f s", self._model, error, seconds)
                if self._on_wait is not None:
                    self._on_wait(seconds, error)
                await asyncio.sleep(seconds)

    def _wait(self, error: ModelError, tries: int) -> float | None:
        """Seconds before the next try; None when there is none."""
        if not error.transient or tries >= self._patience.retries:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self._patience.longest_wait else None
        seconds = self._patience.backoff * 2.0**tries * random.uniform(0.75, 1.25)
        return min(seconds, self._patience.longest_wait)

    async def _ask(self, spoken: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        self._decoder, self._is_over = Decoder(), False
        self._fold = Fold(opened=self._model in self._habits, key=self._endpoint.key)
        self._asked_at = self._byte_at = self._content_at = loop.time()
        try:
            async with asyncio.timeout_at(self._deadline()):
                self._http = await self._endpoint.complete(spoken)
        except TimeoutError:
            raise TimedOut(self._silence()) from None

    def _deadline(self) -> float:
        patience = self._patience
        if self._fold.finished:
            return min(self._byte_at + patience.after_finish, self._ends_at)
        if not self._fold.progress:
            return min(self._asked_at + patience.first_token, self._ends_at)
        return min(self._byte_at + patience.gap, self._content_at + patience.first_token, self._ends_at)

    def _silence(self) -> str:
        now = asyncio.get_running_loop().time()
        if now >= self._ends_at:
            return f"the model {self._model!r} was not done after {self._patience.total:g} s"
        if not self._fold.progress:
            return f"the model {self._model!r} wrote nothing for {now - self._asked_at:.0f} s"
        return f"the model {self._model!r} fell silent for {now - self._content_at:.0f} s in the middle of its answer"

    async def _read(self) -> list[Event]:
        """The events of one read; what ends the answer is kept in ``_failure`` behind them."""
        assert self._http is not None
        events: list[Event] = []
        try:
            piece = b""
            try:
                async with asyncio.timeout_at(self._deadline()):
                    piece = await self._http.read()
            except TimeoutError:
                if not self._fold.finished:
                    raise TimedOut(self._silence()) from None
            except Cut:
                if not self._fold.finished:
                    raise
            before = self._fold.progress
            for chunk in self._decoder.feed(piece) if piece else self._decoder.flush():
                events += self._fold.feed(chunk)
            self._byte_at = asyncio.get_running_loop().time()
            if self._fold.progress != before:
                self._content_at = self._byte_at
            self._has_answer = _has_answer(events, self._has_answer)
            if self._decoder.done or not piece:
                events += self._end()
        except ModelError as error:
            events += self._fold.flush(cut=True)
            self._failure = self._in_place(error)
        return events

    def _end(self) -> list[Event]:
        """The stream is over: is the answer?"""
        if not (self._decoder.done or self._fold.finished):
            if not self._decoder.is_stream and not self._fold.progress:
                raise BadAnswer("the endpoint answered without a single event")
            raise Cut("the stream ended before the model said that it is done")
        events = self._fold.flush()
        if self._fold.thinking_habit:
            self._habits.add(self._model)
        else:
            self._habits.discard(self._model)
        self._is_over = True
        finished = events[-1]
        assert isinstance(finished, Finished)
        if finished.reason in ("content_filter", "refusal"):
            self._failure = Refused(f"the answer was withheld: {finished.reason!r}", kind=finished.reason)
        elif finished.reason in _BROKEN:
            self._failure = Cut(f"the endpoint broke the answer off: {finished.reason!r}", kind=finished.reason)
        elif not _has_answer(events, self._has_answer) and finished.reason != "length":
            self._failure = Empty(f"the model {self._model!r} finished without text and without a tool call")
        return events if self._failure is None else events[:-1]

    def _in_place(self, error: ModelError) -> ModelError:
        """What an error is once a part of the answer is out: the endpoint's trouble then cuts the answer off."""
        if self._fold.progress and (error.transient or isinstance(error, BadRequest | BadAnswer)):
            return Cut(f"the stream broke off: {error}", said=error.said)
        return error

    async def _close(self) -> None:
        body, self._http = self._http, None
        if body is not None:
            await body.aclose()


def _quote(error: ModelError) -> None:
    if error.said:
        logger.debug("the endpoint says: %s", error.said)


def _has_answer(events: list[Event], before: bool) -> bool:
    """Whether, after ``events``, the answer holds visible text or a tool call."""
    for event in events:
        match event:
            case Text(text):
                before = before or bool(text.strip())
            case ToolCall():
                before = True
            case TextWasThinking():
                before = False
    return before
