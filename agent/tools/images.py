"""The tool `create_image`: a description in, a picture of the images endpoint out. Offered when a model for it is set.

Knows the arguments, what a failure means to the model in the chat, and WeCom's limits for pictures (protocol §14). The
endpoint is the model client's.
"""

import asyncio
import io
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.model.errors import BadRequest, KeyRefused, ModelError, ModelMissing, NoBalance, Refused, TooLong

from . import arguments as read
from .made import Made, ToolInputError, file_stem, finish

if TYPE_CHECKING:
    from PIL.Image import Image

    from agent.model.client import ModelClient

NAME = "create_image"
DESCRIPTION = (
    "Draw a picture from a description and send it to the user. Use it when the user asks for a drawing, illustration, "
    "poster or photo. For charts of numbers use create_chart."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {
            "type": "string",
            "description": "What the picture shows: subject, style, colours, any words on it. The whole of it, also "
            "when it changes an earlier picture.",
        },
        "filename": {"type": "string", "description": "File name in the user's language, e.g. 海报.png"},
        "shape": {"type": "string", "enum": ["square", "landscape", "portrait"]},
    },
    "required": ["prompt"],
    "additionalProperties": False,
}

_SHAPES = {
    "square": "square", "1024x1024": "square", "1:1": "square",
    "landscape": "landscape", "wide": "landscape", "horizontal": "landscape", "1536x1024": "landscape",
    "1792x1024": "landscape", "16:9": "landscape", "3:2": "landscape", "4:3": "landscape",
    "portrait": "portrait", "tall": "portrait", "vertical": "portrait", "1024x1536": "portrait",
    "1024x1792": "portrait", "9:16": "portrait", "2:3": "portrait", "3:4": "portrait",
}  # fmt: skip
# A square is what every endpoint draws unasked.
_SIZES = {"square": "", "landscape": "1536x1024", "portrait": "1024x1536"}
_PROMPT_LIMIT = 8000
# Bytes that a picture may have as it comes, and as it goes (protocol §14).
_MOST, _LIMIT = 40 * 1024 * 1024, 10 * 1024 * 1024
_PIXELS = 50_000_000
_QUALITY = 90

_log = logging.getLogger(__name__)


async def draw(arguments: Mapping[str, Any], client: "ModelClient", model: str) -> Made:
    """Has the picture drawn by `model`.

    Raises:
        ToolInputError: no description, or no picture came; the message says what to do.
    """
    arguments = read.unwrap(arguments)
    prompt = read.text(read.pick(arguments, "prompt", "description", "text"), "prompt", "").strip()
    if not prompt:
        raise ToolInputError("prompt is empty; describe the picture")
    if len(prompt) > _PROMPT_LIMIT:
        raise ToolInputError(f"prompt has {len(prompt)} characters and {_PROMPT_LIMIT} are the most")
    shape = read.choice(read.pick(arguments, "shape", "size", "aspect_ratio"), "shape", _SHAPES, "square")
    name = read.text(read.pick(arguments, "filename", "file_name"), "filename", "")
    try:
        data = await client.draw(prompt, model=model, size=_SIZES[shape], most=_MOST)
    except ModelError as error:
        _log.warning("no picture from the model %r: %s", model, error)
        raise ToolInputError(_advice(error)) from None
    # Minutes of a large picture's pixels do not belong on the loop.
    data, ending, size = await asyncio.to_thread(_fitting, data)
    return finish(
        file_stem(name, prompt[:30]), ending, data, f"{ending.upper()} picture, {size[0]} × {size[1]} pixels."
    )


def _advice(error: ModelError) -> str:
    match error:
        case Refused():
            return "the image service's moderation refuses this description: change it, or tell the user"
        case KeyRefused() | NoBalance() | ModelMissing():
            return f"the image service is not set up right ({error.code}): tell the user to ask the administrator"
        case BadRequest() | TooLong():
            return f"the image service refuses the request ({error.said or 'without a reason'}): change the description"
    return f"the image service gave no picture ({error.code}): try once more, or tell the user to try later"


def _fitting(data: bytes) -> tuple[bytes, str, tuple[int, int]]:
    """The picture as WeCom takes it: PNG or JPEG, at most 10 MB; with its ending and size."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
            if image.width * image.height > _PIXELS:
                raise ToolInputError(f"the image service sent {image.width} × {image.height} pixels, too many to send")
            ending = {"PNG": "png", "JPEG": "jpg"}.get(image.format or "")
            image.load()
            if ending and len(data) <= _LIMIT:
                return data, ending, image.size
            return _packed(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ToolInputError("what the image service sent is no picture: tell the user to try later") from None


def _packed(image: "Image") -> tuple[bytes, str, tuple[int, int]]:
    if image.has_transparency_data and len(data := _saved(image.convert("RGBA"), "PNG")) <= _LIMIT:
        return data, "png", image.size
    from PIL import Image as images

    flat = images.new("RGB", image.size, "white")
    rgba = image.convert("RGBA")
    flat.paste(rgba, mask=rgba)
    while len(data := _saved(flat, "JPEG", quality=_QUALITY)) > _LIMIT:
        flat.thumbnail((flat.width * 3 // 4, flat.height * 3 // 4))
    return data, "jpg", flat.size


def _saved(image: "Image", kind: str, **options: Any) -> bytes:
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()
