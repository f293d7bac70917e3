"""Uploads: protocol §14, with arbitrary files in arbitrary order."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.simulator.media import Medium
from agent.simulator.shelf import Shelf
from tests.simulator.line import CHUNK, Pure

Make = Callable[..., Pure]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def init(far: Pure, **change: Any) -> Any:
    body = {"type": "file", "filename": "a.txt", "total_size": 5, "total_chunks": 1} | change
    return far.ask("aibot_upload_media_init", {key: value for key, value in body.items() if value is not None})


def begin(far: Pure, **change: Any) -> str:
    upload_id: str = init(far, **change)["body"]["upload_id"]
    return upload_id


def chunk(far: Pure, upload_id: str, index: Any, data: bytes | str) -> Any:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    body = {"upload_id": upload_id, "chunk_index": index, "base64_data": text}
    return far.ask("aibot_upload_media_chunk", body)


def finish(far: Pure, upload_id: str) -> Any:
    return far.ask("aibot_upload_media_finish", {"upload_id": upload_id})


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({}, 0),
        ({"type": "gif"}, 40058),
        ({"type": None}, 40058),
        ({"filename": None}, 40058),
        ({"filename": "文" * 85}, 0),
        ({"filename": "文" * 85 + "ab"}, 40035),
        ({"total_size": 4}, 40006),
        ({"total_size": "5"}, 40058),
        ({"total_size": True}, 40058),
        ({"total_size": 20 * 1024 * 1024, "total_chunks": 40}, 0),
        ({"total_size": 20 * 1024 * 1024 + 1, "total_chunks": 41}, 40006),
        ({"type": "image", "total_size": 10 * 1024 * 1024 + 1, "total_chunks": 21}, 40006),
        ({"type": "voice", "total_size": 2 * 1024 * 1024 + 1, "total_chunks": 5}, 40006),
        ({"type": "video", "total_size": 10 * 1024 * 1024 + 1, "total_chunks": 21}, 40006),
        ({"total_chunks": 0}, 40035),
        ({"total_chunks": 101}, 40035),
        ({"total_chunks": 100}, 0),
        ({"total_chunks": None}, 40058),
        ({"total_size": CHUNK + 1, "total_chunks": 1}, 40035),
        ({"md5": "5D41402ABC4B2A76B9719D911017C592"}, 0),
        ({"md5": "short"}, 40035),
    ],
)
def test_init(pure: Make, change: dict[str, Any], errcode: int) -> None:
    far = pure()
    ack = init(far, **change)
    assert ack["errcode"] == errcode
    assert far.rules_broken == ([] if not errcode else ["bad-field" if errcode == 40058 else "bad-upload"])
    if errcode in (40035, 40006):
        assert ack["errmsg"].endswith("(invented)")


def test_the_image_cap_can_be_the_older_one(pure: Make) -> None:
    far = pure(image_limit=2 * 1024 * 1024)
    assert init(far, type="image", total_size=2 * 1024 * 1024 + 1, total_chunks=5)["errcode"] == 40006


@pytest.mark.parametrize(
    ("index", "data", "errcode"),
    [
        (0, b"hello", 0),
        (1, b"hello", 40035),
        (-1, b"hello", 40035),
        ("0", b"hello", 40058),
        (False, b"hello", 40058),
        (0, "", 40058),
        (0, "not base64!", 40035),
        (0, b"hello!", 40006),
    ],
)
def test_chunk(pure: Make, index: Any, data: bytes | str, errcode: int) -> None:
    far = pure()
    assert chunk(far, begin(far), index, data)["errcode"] == errcode


def test_a_chunk_over_its_size(pure: Make) -> None:
    far = pure()
    upload_id = begin(far, total_size=2 * CHUNK, total_chunks=2)
    assert chunk(far, upload_id, 0, b"x" * (CHUNK + 1))["errcode"] == 40006
    assert chunk(far, upload_id, 0, b"x" * CHUNK)["errcode"] == 0


def test_a_session_belongs_to_its_bot_and_lasts_half_an_hour(pure: Make) -> None:
    far = pure()
    assert chunk(far, "unknown", 0, b"hello")["errcode"] == 40035
    assert chunk(far, "", 0, b"hello")["errcode"] == 40058
    upload_id = begin(far)
    far.subscribe(far.connect())  # another connection of the same bot goes on
    far.conn = far.world.owner or far.conn
    assert chunk(far, upload_id, 0, b"hello")["errcode"] == 0
    far.now += 1801
    assert finish(far, upload_id)["errcode"] == 40035
    begin(far)
    assert finish(far, upload_id)["errmsg"].startswith("unknown")


def test_finish_checks_completeness_size_and_md5_and_may_be_tried_again(pure: Make) -> None:
    far = pure()
    digest = hashlib.md5(b"hello world").hexdigest()
    upload_id = begin(far, total_size=11, total_chunks=2, md5=digest)
    chunk(far, upload_id, 1, b" world")
    assert "1 of 2 chunks are missing, the first is 0" in finish(far, upload_id)["errmsg"]
    chunk(far, upload_id, 0, b"hello")
    chunk(far, upload_id, 0, b"HELLO")  # a repeated index is ignored
    ack = finish(far, upload_id)
    assert ack["errcode"] == 0
    assert ack["body"].keys() == {"type", "media_id", "created_at"}
    assert ack["body"]["created_at"] == str(int(far.now))
    assert far.people.media_bytes(ack["body"]["media_id"]) == b"hello world"
    short = begin(far, total_size=6, total_chunks=1)
    chunk(far, short, 0, b"hello")
    assert finish(far, short)["errcode"] == 40006
    wrong = begin(far, md5="0" * 32)
    chunk(far, wrong, 0, b"hello")
    assert "md5" in finish(far, wrong)["errmsg"]


@pytest.mark.parametrize(("kind", "good"), [("image", PNG), ("voice", b"#!AMR\nabc"), ("video", b"\0\0\0\x18ftypmp42")])
def test_formats(pure: Make, kind: str, good: bytes) -> None:
    far = pure()
    assert far.upload(good, kind=kind)
    upload_id = begin(far, type=kind)
    chunk(far, upload_id, 0, b"hello")
    ack = finish(far, upload_id)
    assert (ack["errcode"], far.rules_broken) == (40005, ["bad-upload"])
    assert pure(check_formats=False).upload(b"hello", kind=kind)


def test_uploads_have_a_limit_of_their_own(pure: Make) -> None:
    far = pure()
    assert [init(far)["errcode"] for _ in range(31)] == [0] * 30 + [45009]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_gives_the_same_file(pure: Make, data: st.DataObject) -> None:
    far = pure(uploads_per_minute=0)
    pieces = data.draw(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=8))
    content = b"".join(pieces)
    if len(content) < 5:
        pieces[-1] += b"....."
        content = b"".join(pieces)
    order = data.draw(st.permutations(list(range(len(pieces))) * 2))
    upload_id = begin(far, total_size=len(content), total_chunks=len(pieces), md5=hashlib.md5(content).hexdigest())
    for index in order:
        assert chunk(far, upload_id, index, pieces[index])["errcode"] == 0
    ack = finish(far, upload_id)
    assert ack["errcode"] == 0, ack
    assert far.people.media_bytes(ack["body"]["media_id"]) == content


def test_the_shelf_is_bounded_and_deletes_only_its_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"12345")
    folder = tmp_path / "shelf"
    folder.mkdir()
    shelf = Shelf(folder, count=3, size=20)
    outside = shelf.put("file", "mine.txt", mine, 0)
    kept: list[Medium] = [shelf.put("file", f"{number}", b"12345", 0) for number in range(4)]
    assert shelf.get(outside.media_id) is None
    assert mine.exists()
    assert [shelf.get(medium.media_id) is not None for medium in kept] == [False, True, True, True]
    assert len(list(folder.iterdir())) == 3
    big = shelf.put("file", "big", b"x" * 30, 0)  # larger than the whole shelf: it stays alone
    assert list(folder.iterdir()) == [big.path]
