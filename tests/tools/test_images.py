"""Pictures of a real endpoint: drawn, fetched, checked, made to fit."""

import base64
import io
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image

from agent.model.client import ModelClient, Patience
from agent.model.errors import BadAnswer
from agent.tools import images
from agent.tools.made import ToolInputError
from tests.model.far import Far, Line, Script, far_side, refuses

KEY = "sk-secret-0123456789abcdef"


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as side:
        yield side


@pytest.fixture
async def client(far: Far) -> AsyncIterator[ModelClient]:
    async with ModelClient(far.url, KEY, patience=Patience(first_token=60.0)) as opened:
        yield opened


def picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    output = io.BytesIO()
    image = Image.new(mode, size, "#2463c5")
    if mode == "RGBA":
        image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(output, kind, **options)
    return output.getvalue()


def noise(side: int) -> bytes:
    output = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3)).save(
        output, "PNG", compress_level=0
    )
    return output.getvalue()


def answers(body: Any) -> Script:
    async def script(line: Line) -> None:
        await line.head(200, "application/json")
        await line.send(json.dumps(body).encode())
        await line.end()

    return script


def packed(data: bytes) -> Script:
    return answers({"created": 1, "data": [{"b64_json": base64.b64encode(data).decode(), "url": None}]})


def file(data: bytes, status: int = 200, **headers: str) -> Script:
    async def script(line: Line) -> None:
        await line.head(status, "application/octet-stream", **headers)
        if data:
            await line.send(data)
        await line.end()

    return script


def linked(far: Far, path: str = "/a.png") -> Script:
    return answers({"data": [{"url": far.url + path}]})


async def test_a_packed_picture_goes_as_it_came(far: Far, client: ModelClient) -> None:
    far.will(packed(picture()))
    made = await images.draw({"prompt": "一只猫", "filename": "猫.jpg"}, client, "draws")
    assert (made.name, made.mime, made.data) == ("猫.png", "image/png", picture())
    assert made.summary == "PNG picture, 64 × 48 pixels."
    (request,) = far.requests
    assert (request.method, request.path) == ("POST", "/v1/images/generations")
    assert request.body == {"model": "draws", "prompt": "一只猫", "n": 1}


async def test_a_linked_picture_is_fetched_without_the_key(far: Far, client: ModelClient) -> None:
    far.will(linked(far), file(b"", 302, Location="/b.png"), file(picture("JPEG")))
    made = await images.draw({"prompt": "一只猫在窗台上"}, client, "draws")
    assert (made.name, made.mime, made.data) == ("一只猫在窗台上.jpg", "image/jpeg", picture("JPEG"))
    asked, first, second = far.requests
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert [(request.method, request.path) for request in (first, second)] == [("GET", "/v1/a.png"), ("GET", "/b.png")]
    assert KEY not in str((first.headers, second.headers))


@pytest.mark.parametrize(
    "body",
    [
        {"images": [{"url": "data:image/png;base64," + base64.b64encode(picture()).decode()}]},
        {"data": [{"b64_json": "data:image/png;base64," + base64.b64encode(picture()).decode()}]},
    ],
)
async def test_other_shapes_of_answers(far: Far, client: ModelClient, body: Any) -> None:
    far.will(answers(body))
    assert (await images.draw({"prompt": "猫"}, client, "draws")).data == picture()


async def test_a_size_that_is_refused_is_left_out(far: Far, client: ModelClient) -> None:
    far.will(refuses(400, {"message": "size must be 1024x1024"}), packed(picture()))
    await images.draw({"prompt": "猫", "size": "16:9"}, client, "draws")
    assert [body.get("size") for body in far.bodies] == ["1536x1024", None]


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (picture("WEBP"), "image/jpeg"),
        (picture("WEBP", "RGBA", lossless=True), "image/png"),
        (picture("GIF", "P"), "image/jpeg"),
    ],
)
async def test_other_formats_become_what_wecom_shows(far: Far, client: ModelClient, data: bytes, mime: str) -> None:
    far.will(packed(data))
    made = await images.draw({"prompt": "猫"}, client, "draws")
    assert made.mime == mime
    with Image.open(io.BytesIO(made.data)) as shown:
        assert shown.size == (64, 48)
        red, green, blue = shown.convert("RGB").getpixel((30, 20))
    assert abs(red - 0x24) < 8 and abs(green - 0x63) < 8 and abs(blue - 0xC5) < 8


async def test_a_large_picture_is_made_to_fit(far: Far, client: ModelClient) -> None:
    data = noise(2000)
    assert len(data) > 10 * 1024 * 1024
    far.will(packed(data))
    made = await images.draw({"prompt": "噪点"}, client, "draws")
    assert made.mime == "image/jpeg" and len(made.data) <= 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (refuses(400, {"code": "content_policy_violation", "message": "flagged"}), "moderation refuses"),
        (refuses(401, {"message": "bad key"}), r"not set up right \(key_refused\)"),
        (refuses(404, {"message": "no such model"}), r"not set up right \(model_missing\)"),
        (refuses(400, {"message": "prompt too short"}), r"\(prompt too short\): change"),
        (refuses(500), r"\(overloaded\): try once more"),
        (refuses(429), r"\(rate_limited\)"),
        (answers({"data": []}), r"\(bad_answer\)"),
        (answers({"data": [{"b64_json": "%%%"}]}), r"\(bad_answer\)"),
        (answers({"data": [{"url": "file:///etc/passwd"}]}), r"\(bad_answer\)"),
        (answers({"data": [{"url": "http://127.0.0.1:1/x"}]}), r"\(unreachable\)"),
        (answers(["?"]), r"\(bad_answer\)"),
        (packed(b"<html>no picture</html>"), "is no picture"),
        (packed(picture()[:60]), "is no picture"),
        (packed(picture("BMP")), "is no picture"),
        (packed(picture(size=(10_000, 6000))), "too many to send"),
    ],
)
async def test_failures_are_sentences(far: Far, client: ModelClient, script: Script, said: str) -> None:
    far.will(script)
    with pytest.raises(ToolInputError, match=said):
        await images.draw({"prompt": "猫"}, client, "draws")


async def test_a_file_that_is_gone(far: Far, client: ModelClient) -> None:
    far.will(linked(far), file(b"", 404))
    with pytest.raises(ToolInputError, match="bad_answer"):
        await images.draw({"prompt": "猫"}, client, "draws")


async def test_size_caps(far: Far, client: ModelClient) -> None:
    far.will(linked(far), file(bytes(3000)), packed(bytes(3000)), packed(bytes(3000)))
    for _ in range(2):
        with pytest.raises(BadAnswer, match="larger than 2999 bytes"):
            await client.draw("猫", model="draws", most=2999)
    assert await client.draw("猫", model="draws", most=3000) == bytes(3000)


async def test_silence_ends(far: Far) -> None:
    far.will(Line.gone)
    async with ModelClient(far.url, KEY, patience=Patience(first_token=0.1)) as client:
        with pytest.raises(ToolInputError, match="timeout"):
            await images.draw({"prompt": "猫"}, client, "draws")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "prompt is empty"),
        ({"prompt": ["", " "]}, "prompt is empty"),
        ({"prompt": "猫" * 8001}, "8000 are the most"),
        ({"prompt": "猫", "shape": "round"}, "send one of square, landscape, portrait"),
    ],
)
async def test_what_cannot_be_asked(far: Far, client: ModelClient, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolInputError, match=said):
        await images.draw(arguments, client, "draws")
    assert not far.requests
