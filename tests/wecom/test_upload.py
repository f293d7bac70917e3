"""Sending files: limits before the first byte, downgrades, chunks, and everything that goes wrong on the way."""

import asyncio
import base64
import hashlib
import logging
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.simulator import Options, Simulator
from agent.wecom import WecomAIBotWsServer, frames, upload
from agent.wecom.errors import ConnectionLost, MediaTooLarge, MediaWrongKind, RequestFailed, RequestTimeout
from agent.wecom.upload import CHUNK, FILE_LIMIT, MEGABYTE, amr_seconds, plan, short_name
from tests.wecom.far import Far, error, far_side, ok
from tests.wecom.golden import golden
from tests.wecom.running import running, server_on

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"x" * 100
SECOND = (b"\x3c" + b"x" * 31) * 50  # an AMR-NB second at 12.2 kbit/s: mode 7, 50 frames of 1 + 31 bytes
AMR = b"#!AMR\n" + SECOND


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK_PAUSE", 0.01)
    monkeypatch.setattr(upload, "BUSY_PAUSES", (0.01, 0.01))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as one:
        yield one
        assert one.gateway.check() == []


@pytest.fixture
async def server(sim: Simulator) -> AsyncIterator[WecomAIBotWsServer]:
    async with running(server_on(sim.ws_url)) as one:
        yield one


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as one:
        one.answer = gateway
        yield one


def gateway(_number: int, frame: dict[str, Any]) -> Any:
    if frame["cmd"] == frames.UPLOAD_INIT:
        return ok(frame, upload_id="UPLOAD-1")
    if frame["cmd"] == frames.UPLOAD_FINISH:
        return ok(frame, type="file", media_id="MEDIA-1", created_at="1380000000")
    return ok(frame)


# --- what a file may go as


@pytest.mark.parametrize(
    ("kind", "size", "head", "goes_as"),
    [
        ("file", 5, b"", "file"),
        ("file", FILE_LIMIT, b"", "file"),
        ("image", 100, PNG, "image"),
        ("image", 10 * MEGABYTE, b"\xff\xd8\xff", "image"),
        ("image", 10 * MEGABYTE + 1, PNG, "file"),
        ("image", 100, b"GIF89a", "image"),
        ("image", 100, b"RIFF1234WEBP", "file"),
        ("image", 100, b"%PDF-", "file"),
        ("video", 10 * MEGABYTE, MP4, "video"),
        ("video", 10 * MEGABYTE + 1, MP4, "file"),
        ("video", 100, b"\x00\x00\x00\x14ftypqt  ", "file"),
        ("voice", 2 * MEGABYTE, AMR, "voice"),
        ("voice", 2 * MEGABYTE + 1, AMR, "file"),
        ("voice", 100, b"ID3", "file"),
        ("voice", 100, b"#!AMR-WB\n", "file"),
    ],
)
def test_a_plan(kind: str, size: int, head: bytes, goes_as: str) -> None:
    planned = plan(kind, "name", size, head)
    assert planned.kind == goes_as
    assert bool(planned.reason) == (goes_as != kind)


@pytest.mark.parametrize(("seconds", "kind"), [(60.0, "voice"), (60.02, "file")])
def test_a_voice_of_more_than_a_minute_goes_as_a_file(seconds: float, kind: str) -> None:
    assert plan("voice", "name", 1000, AMR, seconds).kind == kind


@pytest.mark.parametrize("kind", ["file", "image", "video", "voice"])
def test_over_20_mb_nothing_goes(kind: str) -> None:
    with pytest.raises(
        MediaTooLarge, match=r"'big\.bin' has 20\.0 MB; WeCom takes at most 20 MB: split or compress it"
    ):
        plan(kind, "big.bin", FILE_LIMIT + 1, PNG)


@pytest.mark.parametrize("size", range(5))
def test_under_5_bytes_nothing_goes(size: int) -> None:
    with pytest.raises(MediaWrongKind, match=f"has {size} bytes; WeCom takes files of 5 bytes and more"):
        plan("file", "small.txt", size, b"")


def test_an_unknown_kind() -> None:
    with pytest.raises(MediaWrongKind, match="'poem' is no kind of media"):
        plan("poem", "name", 100, b"")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("周报 2026 (终稿).pdf", "周报 2026 (终稿).pdf"),
        ("字" * 85 + "x", "字" * 85 + "x"),
        ("字" * 100 + ".pdf", "字" * 84 + ".pdf"),
        ("x" * 300 + ".tar.gz", "x" * 253 + ".gz"),
        ("a." + "x" * 300, "a." + "x" * 254),
        ("." + "字" * 100, "." + "字" * 85),
    ],
)
def test_names_within_256_bytes_keep_their_extension(name: str, short: str) -> None:
    assert short_name(name) == short
    assert len(short.encode()) <= 256


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (AMR, 1.0),
        (b"#!AMR\n" + SECOND * 61, 61.0),
        (b"#!AMR\n" + b"\x04" + b"x" * 12, 0.02),
        (b"#!AMR\n", 0.0),
        (b"x", 0.0),
    ],
)
def test_the_length_of_an_amr(data: bytes, seconds: float) -> None:
    assert amr_seconds(data) == pytest.approx(seconds)


# --- on the wire


async def test_the_frames_look_like_the_golden_ones(far: Far) -> None:
    async with running(server_on(far.url)) as server:
        media = await server.upload_media(b"hello", "file", "a.txt")
    assert (media.media_id, media.kind, media.name, media.reason) == ("MEDIA-1", "file", "a.txt", "")
    sent = [frame for _, frame in far.frames if frame["cmd"].startswith("aibot_upload")]
    for frame, name in zip(sent, ["out-upload-init", "out-upload-chunk", "out-upload-finish"], strict=True):
        assert frame["cmd"] == golden(name).frame["cmd"]
        assert frame["body"] == golden(name).body


@pytest.mark.parametrize("size", [5, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7])
@pytest.mark.parametrize("from_disk", [False, True])
async def test_what_arrives_is_what_was_sent(
    sim: Simulator, server: WecomAIBotWsServer, tmp_path: Path, size: int, from_disk: bool
) -> None:
    data, path = secrets.token_bytes(size), tmp_path / "with spaces 周报.bin"
    path.write_bytes(data)
    media = await server.upload_media(path if from_disk else data, "file", None if from_disk else path.name)
    assert sim.gateway.media_bytes(media.media_id) == data
    assert media.name == "with spaces 周报.bin"


async def test_a_path_may_be_a_string(sim: Simulator, server: WecomAIBotWsServer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("12345")
    media = await server.upload_media(str(tmp_path / "a.txt"))
    assert sim.gateway.media_bytes(media.media_id) == b"12345"


@pytest.mark.parametrize(
    ("kind", "data", "goes_as"),
    [("image", PNG, "image"), ("video", MP4, "video"), ("voice", AMR, "voice"), ("voice", b"ID3" + b"x" * 50, "file"),
     ("voice", b"#!AMR\n" + SECOND * 61, "file"), ("image", PNG + bytes(10 * MEGABYTE), "file")],
)  # fmt: skip
async def test_kinds_and_downgrades_arrive(server: WecomAIBotWsServer, kind: str, data: bytes, goes_as: str) -> None:
    media = await server.upload_media(data, kind, "name.bin")
    assert media.kind == goes_as
    assert bool(media.reason) == (goes_as != kind)


async def test_chunks_are_numbered_from_0_and_at_most_two_are_in_flight(far: Far) -> None:
    in_flight, most = set[str](), 0

    def answer(number: int, frame: dict[str, Any]) -> Any:
        nonlocal most
        if frame["cmd"] != frames.UPLOAD_CHUNK:
            return gateway(number, frame)
        in_flight.add(frame["headers"]["req_id"])
        most = max(most, len(in_flight))
        asyncio.get_running_loop().call_later(0.02, ack, frame)
        return None

    def ack(frame: dict[str, Any]) -> None:
        in_flight.remove(frame["headers"]["req_id"])
        asyncio.ensure_future(far.send(ok(frame)))  # noqa: RUF006 - it is awaited by what it answers

    far.answer = answer
    data = secrets.token_bytes(6 * CHUNK - 100)
    async with running(server_on(far.url)) as server:
        await server.upload_media(data)
    chunks = sorted(far.bodies(frames.UPLOAD_CHUNK), key=lambda body: body["chunk_index"])
    assert [body["chunk_index"] for body in chunks] == list(range(6))
    assert b"".join(base64.b64decode(body["base64_data"]) for body in chunks) == data
    (init,) = far.bodies(frames.UPLOAD_INIT)
    assert (init["total_size"], init["total_chunks"]) == (len(data), 6)
    assert init["md5"] == hashlib.md5(data).hexdigest()
    assert most == 2


@pytest.mark.parametrize(
    ("content", "kind", "failure"),
    [
        (b"1234", "file", MediaWrongKind),
        (b"", "image", MediaWrongKind),
        (bytes(FILE_LIMIT + 1), "file", MediaTooLarge),
        (b"12345", "poem", MediaWrongKind),
        (Path("/no/such/file"), "file", FileNotFoundError),
        (Path("/"), "file", IsADirectoryError),
    ],
)
async def test_what_cannot_go_is_said_before_the_first_byte(
    far: Far, content: bytes | Path, kind: str, failure: type[Exception]
) -> None:
    async with running(server_on(far.url)) as server:
        with pytest.raises(failure):
            await server.upload_media(content, kind)
    assert [frame["cmd"] for _, frame in far.frames] == [frames.SUBSCRIBE]


async def test_a_giant_on_disk_is_not_read(far: Far, tmp_path: Path) -> None:
    path = tmp_path / "giant"
    path.touch()
    os.truncate(path, 50 * 1024 * MEGABYTE)
    async with running(server_on(far.url)) as server:
        with pytest.raises(MediaTooLarge, match=r"51200\.0 MB"):
            await server.upload_media(path)


# --- what goes wrong


async def test_a_chunk_is_tried_again(sim: Simulator, server: WecomAIBotWsServer) -> None:
    sim.gateway.faults.refuse(frames.UPLOAD_CHUNK, -1, frames=2)
    data = secrets.token_bytes(3 * CHUNK)
    media = await server.upload_media(data)
    assert sim.gateway.media_bytes(media.media_id) == data


async def test_a_chunk_that_is_refused_for_ever_ends_it(far: Far) -> None:
    far.answer = lambda n, frame: error(frame, -1) if frame["cmd"] == frames.UPLOAD_CHUNK else gateway(n, frame)
    async with running(server_on(far.url)) as server:
        with pytest.raises(RequestFailed, match="errcode -1"):
            await server.upload_media(b"12345")
    assert far.count(frames.UPLOAD_CHUNK) == 3


async def test_a_kind_that_wecom_refuses_goes_as_a_file(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    far.answer = lambda n, frame: (
        error(frame, 40006)
        if frame["cmd"] == frames.UPLOAD_INIT and frame["body"]["type"] == "image"
        else gateway(n, frame)
    )
    async with running(server_on(far.url)) as server:
        media = await server.upload_media(PNG, "image", "a.png")
    assert (media.kind, media.name) == ("file", "a.png")
    assert "40006" in media.reason
    assert [body["type"] for body in far.bodies(frames.UPLOAD_INIT)] == ["image", "file"]


async def test_the_older_image_limit_of_wecom(caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator(options=Options(image_limit=2 * MEGABYTE)) as sim:
        async with running(server_on(sim.ws_url)) as server:
            media = await server.upload_media(PNG + bytes(3 * MEGABYTE), "image", "a.png")
        assert media.kind == "file"
        assert sim.gateway.media_bytes(media.media_id).startswith(PNG)


async def test_too_many_uploads_wait(far: Far) -> None:
    refusals = 2

    def answer(number: int, frame: dict[str, Any]) -> Any:
        nonlocal refusals
        if frame["cmd"] == frames.UPLOAD_INIT and refusals:
            refusals -= 1
            return error(frame, 45009)
        return gateway(number, frame)

    far.answer = answer
    async with running(server_on(far.url)) as server:
        assert (await server.upload_media(PNG, "image")).kind == "image"
        refusals = 99
        with pytest.raises(RequestFailed, match="45009"):
            await server.upload_media(PNG, "image")
    assert {body["type"] for body in far.bodies(frames.UPLOAD_INIT)} == {"image"}


@pytest.mark.parametrize("lost", [frames.UPLOAD_INIT, frames.UPLOAD_CHUNK, frames.UPLOAD_FINISH])
async def test_an_upload_goes_on_after_the_line_dropped(
    sim: Simulator, server: WecomAIBotWsServer, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The command was obeyed, its ack never came, and the line dropped."""
    sim.gateway.faults.lose_acks(1, lost)
    data = secrets.token_bytes(4 * CHUNK)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.upload_media(data, "file", "a.bin"))
        await _seen(sim, lost)
        sim.gateway.faults.drop()
    assert sim.gateway.media_bytes(task.result().media_id) == data
    assert task.result().kind == "file"


async def _seen(sim: Simulator, cmd: str) -> None:
    async with asyncio.timeout(15.0):
        while not any(entry.cmd == cmd for entry in sim.gateway.trace):  # noqa: ASYNC110 - the trace tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kind", ["file", "image"])
async def test_an_upload_that_was_finished_without_our_knowing_starts_again_as_what_it_was(
    sim: Simulator, server: WecomAIBotWsServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "ACK_SECONDS", 0.5)
    sim.gateway.faults.lose_acks(1, frames.UPLOAD_FINISH)
    media = await server.upload_media(PNG, kind, "a.png")
    assert (media.kind, media.reason) == (kind, "")
    assert sim.gateway.media_bytes(media.media_id) == PNG


async def test_without_any_ack_it_ends(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "ACK_SECONDS", 0.05)
    far.answer = lambda n, frame: None if frame["cmd"] == frames.UPLOAD_INIT else gateway(n, frame)
    async with running(server_on(far.url)) as server:
        with pytest.raises(RequestTimeout, match="aibot_upload_media_init"):
            await server.upload_media(b"12345")
    assert far.count(frames.UPLOAD_INIT) == 3


@pytest.mark.parametrize(
    ("cmd", "body"),
    [
        (frames.UPLOAD_INIT, {}),
        (frames.UPLOAD_INIT, {"upload_id": 5}),
        (frames.UPLOAD_FINISH, {}),
        (frames.UPLOAD_FINISH, {"media_id": 5}),
        (frames.UPLOAD_FINISH, {"media_id": ""}),
    ],
)
async def test_acks_that_hold_no_id(far: Far, cmd: str, body: dict[str, Any]) -> None:
    far.answer = lambda n, frame: ok(frame, **body) if frame["cmd"] == cmd else gateway(n, frame)
    async with running(server_on(far.url)) as server:
        with pytest.raises(RequestFailed, match="the ack holds no"):
            await server.upload_media(b"12345")


async def test_an_upload_while_the_line_is_closed_for_good(far: Far) -> None:
    far.answer = lambda n, frame: None if frame["cmd"] == frames.UPLOAD_CHUNK else gateway(n, frame)
    server = server_on(far.url)
    async with running(server, drain_time=0):
        task = asyncio.ensure_future(server.upload_media(b"12345"))
        await far.until(lambda: far.count(frames.UPLOAD_CHUNK) == 1)
    with pytest.raises(ConnectionLost):
        await task


async def test_no_word_of_the_content_is_logged(
    sim: Simulator, server: WecomAIBotWsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agent.wecom")
    await server.upload_media(b"private content", "file", "a.txt")
    assert "private" not in caplog.text
    assert base64.b64encode(b"private content").decode() not in caplog.text
