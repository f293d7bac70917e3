import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from PIL import Image as Pillow

from agent.files import images
from agent.files.extract import Image, Limits, Picture, Unreadable
from agent.files.reader import Reader
from tests.files.conftest import saved


def encoded(image: Pillow.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **({"compress_level": 1} if format == "PNG" else {}) | options)
    return data.getvalue()


def picture(image: Pillow.Image, format: str, **options: object) -> Image:
    return images.picture(io.BytesIO(encoded(image, format, **options)), format, Limits())


def opened(picture: Picture) -> Pillow.Image:
    image = Pillow.open(io.BytesIO(picture.data))
    assert (image.size, Pillow.MIME[image.format or ""]) == ((picture.width, picture.height), picture.mime)
    assert not image.getexif() and "icc_profile" not in image.info
    return image


def noise(*size: int) -> Pillow.Image:
    return Pillow.merge("RGB", [Pillow.effect_noise(size, 90) for _ in "RGB"])


def test_a_photo_is_shrunk_and_turned_upright() -> None:
    photo = noise(2400, 1600)
    photo.paste("red", (0, 0, 400, 400))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    exif[0x010E] = "at my home address"
    found = picture(photo, "JPEG", exif=exif)
    assert (found.width, found.height) == (1600, 2400)
    (part,) = found.parts
    assert (part.width, part.height, part.mime) == (1045, 1568, "image/jpeg")
    assert len(part.data) <= images.PICTURE_BYTES
    assert picture(noise(4032, 3024), "JPEG").width == 4032, "though it is decoded at half of that"
    red = opened(part).convert("RGB").getpixel((950, 100))
    assert isinstance(red, tuple) and red[0] > 200 and red[1] < 60


def test_small_images_are_not_enlarged() -> None:
    (part,) = picture(noise(40, 30), "PNG").parts
    assert (part.width, part.height) == (40, 30)


@pytest.mark.parametrize(("mode", "color"), [("RGB", (255, 0, 0)), ("RGBA", (255, 0, 0, 255)), ("L", 0)])
def test_images_that_endpoints_find_too_narrow_get_a_frame(mode: str, color: Any) -> None:
    found = picture(Pillow.new(mode, (300, 1), color), "PNG")
    (part,) = found.parts
    assert (found.width, found.height, part.width, part.height) == (300, 1, 300, images.LEAST_SIDE)
    seen = opened(part).convert("RGB")
    middle = (images.LEAST_SIDE - 1) // 2
    assert seen.getpixel((150, 0)) == (255, 255, 255)
    assert seen.getpixel((150, middle)) == ((255, 0, 0) if mode != "L" else (0, 0, 0))


def test_transparency_and_few_colours_stay_exact() -> None:
    glass = Pillow.new("RGBA", (50, 50), (255, 0, 0, 128))
    (part,) = picture(glass, "PNG").parts
    assert part.mime == "image/png" and opened(part).mode == "RGBA"
    screen = Pillow.new("RGB", (400, 300), "white")
    screen.paste("navy", (10, 10, 200, 30))
    (part,) = picture(screen, "BMP").parts
    assert part.mime == "image/png" and opened(part).convert("RGB").getpixel((15, 15)) == (0, 0, 128)
    opaque = noise(300, 300).convert("RGBA")
    assert picture(opaque, "PNG").parts[0].mime == "image/jpeg"


def test_transparent_photos_that_are_too_big_are_laid_on_white() -> None:
    big = noise(700, 700).convert("RGBA")
    big.putalpha(Pillow.linear_gradient("L").resize((700, 700)))
    (part,) = picture(big, "PNG").parts
    assert part.mime == "image/jpeg" and len(part.data) <= images.PICTURE_BYTES
    assert min(opened(part).convert("L").crop((0, 0, 700, 5)).getextrema()) > 200


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(format: str) -> None:
    first, second = Pillow.new("RGB", (40, 30), "red"), Pillow.new("RGB", (40, 30), "blue")
    found = picture(first, format, save_all=True, append_images=[second])
    assert (found.frames, len(found.parts)) == (2, 1)
    pixel = opened(found.parts[0]).convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple) and pixel[0] > 200 and pixel[2] < 60


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_every_mode(mode: str) -> None:
    image = Pillow.linear_gradient("L").convert("I").point(lambda value: value * 256).convert("I;16")
    if mode != "I;16":
        image = Pillow.linear_gradient("L").convert(mode)
    format = "JPEG" if mode == "CMYK" else "PNG"
    (part,) = picture(image, format).parts
    low, high = opened(part).convert("L").getextrema()
    assert isinstance(low, int) and low < 60 and high > 200


def test_a_long_screenshot_is_cut_into_overlapping_parts() -> None:
    long = Pillow.new("RGB", (800, 6000), "white")
    for at in range(0, 6000, 100):
        long.paste((at // 25, 0, 0), (0, at, 800, at + 100))
    found = picture(long, "PNG")
    assert (found.width, found.height, len(found.parts)) == (800, 6000, 5)
    assert all(part.width == 800 and part.height <= 1568 for part in found.parts)
    first, second = (opened(part).convert("RGB") for part in found.parts[:2])
    assert first.getpixel((0, 1520)) == second.getpixel((0, 52))
    wide = picture(long.rotate(90, expand=True), "PNG")
    assert [part.height for part in wide.parts] == [800] * 5
    endless = picture(Pillow.new("L", (1000, 40_000)), "PNG")
    assert len(endless.parts) == 6 and endless.parts[0].height == 1568


def test_limits_and_damage() -> None:
    with pytest.raises(Unreadable, match="too_large"):
        images.picture(io.BytesIO(encoded(noise(100, 100), "PNG")), "PNG", Limits(pixels=9999))
    for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP"):
        whole = encoded(noise(100, 100), format)
        with pytest.raises(Unreadable, match="broken"):
            images.picture(io.BytesIO(whole[: len(whole) // 2]), format, Limits())


@pytest.mark.usefixtures("unprivileged")
async def test_a_picture_in_an_office_file(reader: Reader, write: Callable[[str, bytes], Path]) -> None:
    document = docx.Document()
    document.add_picture(io.BytesIO(encoded(Pillow.new("RGB", (70, 50), "green"), "PNG")))
    path = write("a.docx", saved(document))
    extract = await reader.read(path, "a.docx")
    found = await reader.picture(path, extract.images[0])
    assert (found.width, found.height, found.format) == (70, 50, "PNG")
    with pytest.raises(Unreadable, match="missing"):
        await reader.picture(path, "word/media/nowhere.png")
    with pytest.raises(Unreadable, match="unsupported"):
        await reader.picture(path, "word/document.xml")
    with pytest.raises(Unreadable, match="unsupported"):
        await reader.picture(path)


async def test_a_photo_of_a_hundred_megapixels_fits(reader: Reader, write: Callable[[str, bytes], Path]) -> None:
    photo = await asyncio.to_thread(lambda: encoded(Pillow.new("RGB", (10_000, 9_900), "gray"), "JPEG"))
    path = write("a.jpg", photo)
    assert (await reader.picture(path)).parts[0].width == 1568
