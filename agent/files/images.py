"""Images and PDF pages as pictures for a model: upright, shrunk, without metadata, bounded in bytes. For the child."""

import io
import struct
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import ImageOps

from agent.files import archive, kinds
from agent.files.extract import Extract, Image, Limits, Picture, Unreadable
from agent.files.kinds import Sort
from agent.files.manuscript import Manuscript

LONG_SIDE = 1568
PICTURE_BYTES = 1_500_000
PNG_BYTES = 600_000
# A screenshot of a whole conversation or page is cut, once it is this many times longer than wide.
_LONG = 3
_PARTS = 6
_OVERLAP = 100
_STEP = LONG_SIDE - _OVERLAP
_FEW_COLOURS = 256
# Endpoints refuse what is only a few pixels wide (Qwen takes more than 10), and pictures thinner than 1:200.
LEAST_SIDE = 28


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """An image as a file: facts without text."""
    with _open(file, sort.format, limits) as image:
        facts = {"format": sort.format, "width": image.width, "height": image.height}
        return out.extract("image", facts)


def picture(file: BinaryIO, format: str, limits: Limits) -> Image:
    """The image, shrunk, and cut where it is long; of several frames the first."""
    with _open(file, format, limits) as image:
        short, long = sorted(image.size)
        cut = long > short * _LONG and long > LONG_SIDE
        longest = _PARTS * _STEP + _OVERLAP
        scale = min(1.0, LONG_SIDE / short, longest / long) if cut else min(1.0, LONG_SIDE / long)
        size = image.size  # of a JPEG that is decoded at a fraction, the image itself tells less afterwards
        try:
            upright = ImageOps.exif_transpose(_shrunk(image, scale))
        except (OSError, SyntaxError, ValueError, struct.error) as error:
            raise Unreadable("broken", f"a damaged image ({type(error).__name__})", format) from None
        if (upright.width > upright.height) != (size[0] > size[1]):
            size = size[::-1]
        parts = tuple(map(encode, _cut(upright) if cut else [_framed(upright)]))
        return Image(parts, *size, format, getattr(image, "n_frames", 1))


def inside(file: BinaryIO, member: str, limits: Limits) -> Image:
    """A picture that lies in an office file."""
    package = archive.check(file, limits)
    if member not in package.namelist():
        raise Unreadable("missing", "no such picture in the file")
    data = package.read(member)
    sort = kinds.tell(data[: kinds.HEAD_BYTES], member)
    if sort.kind != "image":
        raise Unreadable("unsupported", "a drawing of its own format", kinds.extension(member).upper())
    return picture(io.BytesIO(data), sort.format, limits)


def encode(image: Pillow.Image) -> Picture:
    """PNG where it is exact and small (few colours) or has transparency; else JPEG within PICTURE_BYTES."""
    if "A" in image.getbands():
        if image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    if "A" in image.getbands() or image.getcolors(_FEW_COLOURS):
        data = _saved(image, "PNG")
        if len(data) <= PNG_BYTES:
            return Picture(data, "image/png", *image.size)
    if "A" in image.getbands():
        white = Pillow.new("RGBA", image.size, "white")
        image = Pillow.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    for quality in (85, 70, 50, 30):
        data = _saved(image, "JPEG", quality=quality)
        if len(data) <= PICTURE_BYTES:
            break
    return Picture(data, "image/jpeg", *image.size)


def _open(file: BinaryIO, format: str, limits: Limits) -> Pillow.Image:
    Pillow.MAX_IMAGE_PIXELS = None  # its limit only warns; ours is below
    if format == "HEIC":
        raise Unreadable("unsupported", "no decoder", format)
    try:
        image = Pillow.open(file, formats=(format,))
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable("broken", f"no whole image ({type(error).__name__})", format) from None
    if image.width * image.height > limits.pixels:
        raise Unreadable("too_large", f"{image.width} x {image.height} pixels", format)
    return image


def _shrunk(image: Pillow.Image, scale: float) -> Pillow.Image:
    """A copy of the first frame in a mode that can be encoded; its orientation mark stays."""
    exif = image.getexif()
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    image.draft("RGB", size)  # JPEG alone: decodes at a fraction of its size
    image.load()
    if image.mode.startswith("I"):  # 16 bits a channel
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    if image.size != size:
        image = image.resize(size, Pillow.Resampling.LANCZOS, reducing_gap=2.0)
    image.info = {"exif": exif.tobytes()} if exif else {}
    return image


def _cut(image: Pillow.Image) -> list[Pillow.Image]:
    tall = image.height > image.width
    length = image.height if tall else image.width
    starts = range(0, max(length - _OVERLAP, 1), _STEP)
    boxes = [
        (0, at, image.width, min(at + LONG_SIDE, length))
        if tall
        else (at, 0, min(at + LONG_SIDE, length), image.height)
        for at in starts
    ]
    return [image.crop(box) for box in boxes]


def _framed(image: Pillow.Image) -> Pillow.Image:
    """An image that is too narrow, in the middle of a white one that is not."""
    if min(image.size) >= LEAST_SIDE:
        return image
    frame = Pillow.new("RGB", (max(image.width, LEAST_SIDE), max(image.height, LEAST_SIDE)), "white")
    place = ((frame.width - image.width) // 2, (frame.height - image.height) // 2)
    frame.paste(image, place, image if "A" in image.getbands() else None)
    return frame


def _saved(image: Pillow.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()
