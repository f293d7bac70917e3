"""One endpoint through the openai client: a request out, a body in, and every failure as a `ModelError`.

Knows openai's client and httpx2. Does not know chunks, retries or parameters. The openai client builds the request
(URL, key, its own headers) and raises for the status; the body is read raw, because building its model objects costs
twenty times what decoding the JSON does. Importing this module takes most of a second: `agent.model.client` does it
in a thread when it opens.
"""

import asyncio
import logging
import time
import urllib.parse
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, cast

import httpx2
import openai

from agent.model import wire
from agent.model.errors import BadAnswer, Cut, ModelError, Unreachable, from_status, redact

DEFAULT_URL = "https://api.openai.com/v1"
# Ollama and vLLM want no key, the openai client wants one.
NO_KEY = "none"
# What these libraries log at DEBUG and INFO: whole URLs (a key may be in the query) and response headers.
_CHATTY = ("openai", "httpx2", "httpcore2")


class Body:
    """The body of one answer. Closing it before its end closes the connection, and with it the generation at the
    endpoint's side."""

    def __init__(self, response: httpx2.Response, key: str) -> None:
        self._response = response
        self._key = key
        # Raw where nothing is packed, as we asked for: two layers fewer for every token.
        self._pieces = response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()

    async def read(self) -> bytes:
        """What came since the last read; b"" at the end. Raises `Cut` when the connection breaks."""
        try:
            return await anext(self._pieces, b"")
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            found = Cut(f"the connection broke while the answer was read ({_reason(error, self._key)})")
        raise found

    async def aclose(self) -> None:
        await self._pieces.aclose()
        await self._response.aclose()


class Endpoint:
    """Open until `aclose`. Raises ValueError for settings that cannot work, naming them."""

    def __init__(self, base_url: str | None, key: str | None, *, connect_seconds: float, ca_file: Path | None) -> None:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        url = (base_url or DEFAULT_URL).strip()
        self.host = _host(url)
        self.key = (key or "").strip()
        if not (self.key.isascii() and self.key.isprintable()):
            raise ValueError("OPENAI_API_KEY holds characters that no key has; copy it again")
        self._ca_file = ca_file
        self._timeout = timeout = httpx2.Timeout(None, connect=connect_seconds)
        self._client = openai.AsyncOpenAI(
            api_key=self.key or NO_KEY,
            base_url=url,
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.AsyncClient(
                transport=wire.transport(url, ca_file), timeout=timeout, follow_redirects=True
            ),
        )

    async def aclose(self) -> None:
        await self._client.close()

    async def complete(self, body: dict[str, Any]) -> "Body":
        """Posts a streamed chat completion; returns its body, unread, once the endpoint answered with 2xx."""
        headers = {"Accept": "text/event-stream, application/json", "Accept-Encoding": "identity"}
        # `cast_to` decides what comes back, whatever the signature of a stream promises.
        asked = self._client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            body=body,
            options={"headers": headers},
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        return Body(cast(httpx2.Response, await self._answered(asked)), self.key)

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        return self._json(await self._answered(self._client.get(path, cast_to=httpx2.Response)), path)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON of a POST's answer."""
        return self._json(await self._answered(self._client.post(path, cast_to=httpx2.Response, body=body)), path)

    async def download(self, url: str, most: int) -> bytes:
        """What lies behind an address that the endpoint named in an answer, up to `most` bytes. The key is not sent."""
        try:
            host = _host(url)
        except ValueError:
            raise BadAnswer(f"{self.host} named an address that is none") from None
        found: ModelError
        try:
            # Reading the system's certificates takes a while: not on the loop.
            transport = await asyncio.to_thread(wire.transport, url, self._ca_file)
            async with (
                httpx2.AsyncClient(transport=transport, timeout=self._timeout, follow_redirects=True) as client,
                client.stream("GET", url) as response,
            ):
                if response.status_code != 200:
                    raise BadAnswer(f"{host} answered with status {response.status_code} instead of a file")
                data = bytearray()
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > most:
                        raise BadAnswer(f"the file at {host} is larger than {most} bytes")
                return bytes(data)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            found = Unreachable(f"the file at {host} could not be fetched ({_reason(error, self.key)})")
        raise found

    def _json(self, response: httpx2.Response, path: str) -> Any:
        try:
            return response.json()
        except ValueError:
            raise BadAnswer(f"{self.host} answered {path} with something that is no JSON") from None

    async def _answered(self, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except openai.APIError as error:
            found = self._sorted(error)
        # Outside of the handler: the library's exception holds the request with its key, and prints the endpoint's
        # words, which may repeat a person's.
        raise found

    def _sorted(self, error: openai.APIError) -> ModelError:
        match error:
            case openai.APIStatusError():
                headers = {name.lower(): value for name, value in error.response.headers.items()}
                return from_status(error.status_code, error.body, headers, key=self.key, now=time.time())
            case openai.APITimeoutError():
                return Unreachable(f"no connection to {self.host} in time; check the network and HTTPS_PROXY")
            case openai.APIConnectionError():
                reason = _reason(error.__cause__ or error, self.key)
                return Unreachable(f"no connection to {self.host} ({reason}); check the network and HTTPS_PROXY")
            case _:
                return BadAnswer(f"{self.host} answered in a way that the client cannot read: {type(error).__name__}")


def _reason(error: BaseException, key: str) -> str:
    """Of a connection's failure: may quote what the far side sent."""
    return redact(f"{type(error).__name__}: {error}", key)


def _host(url: str) -> str:
    """Host and port of an http(s) address. Raises ValueError for anything else."""
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and httpx2.URL(url).host:
            return parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except (ValueError, httpx2.InvalidURL):
        pass
    raise ValueError(f"OPENAI_BASE_URL {redact(url)!r} is no address; it looks like https://api.example.com/v1")
