"""One cheap question to a model: does endpoint, key and model answer, and does it see pictures?

Knows what to ask and how to read the answer. What to tell the operator is the caller's business.
"""

import base64
import struct
import time
import zlib
from dataclasses import dataclass
from typing import Any

from agent.model.client import ModelClient
from agent.model.errors import BadRequest, Empty, ModelError, ModelMissing, Overloaded, Refused
from agent.model.stream import Text

# Large enough for endpoints that want more than 10 pixels a side (Qwen) and for two 28-pixel patches each way.
_SIDE = 56
# A reasoning model thinks before it names the colour; the answer is left as soon as it does.
_IMAGE_TOKENS = 1024
_TEXT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Probe:
    """``error`` is None when the model answered; ``sees`` is None when that was not asked, or could not be told."""

    model: str
    seconds: float  # to the first content of the answer
    error: ModelError | None = None
    sees: bool | None = None


async def probe(client: ModelClient, model: str, *, image: bool = False) -> Probe:
    """Asks ``model`` for a word, and with ``image`` for the colour of a red square."""
    started = time.monotonic()
    try:
        await _ask(client, model, "Reply with the word OK.", _TEXT_TOKENS)
    except ModelError as error:
        return Probe(model, time.monotonic() - started, error)
    seconds = time.monotonic() - started
    if not image:
        return Probe(model, seconds)
    question = [
        {"type": "text", "text": "Which colour is this picture? Answer with one English word."},
        {"type": "image_url", "image_url": {"url": _red_square()}},
    ]
    try:
        answer = await _ask(client, model, question, _IMAGE_TOKENS, until="red")
    except (BadRequest, ModelMissing, Overloaded, Refused, Empty) as error:
        # Endpoints refuse pictures with 400, 404, 422 or 500; one that is merely busy just answered without a picture.
        return Probe(model, seconds, sees=False if not isinstance(error, Empty) else None)
    except ModelError:
        return Probe(model, seconds)
    return Probe(model, seconds, sees="red" in answer.lower() or "红" in answer)


async def _ask(client: ModelClient, model: str, content: Any, limit: int, until: str = "") -> str:
    """The answer's text, up to ``until``; with ``until`` empty the first sign of life will do."""
    text = ""
    async with client.stream([{"role": "user", "content": content}], model=model, max_tokens=limit) as answer:
        async for events in answer:
            text += "".join(event.text for event in events if isinstance(event, Text))
            if until in text.lower():
                break
    return text


def _red_square() -> str:
    """A red PNG as a data URL."""
    rows = (b"\x00" + b"\xff\x00\x00" * _SIDE) * _SIDE

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()
