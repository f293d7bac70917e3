"""Sending files: three commands, chunks of 512 KiB (protocol §14).

`plan` decides, before the first byte leaves, as what a file can go: WeCom's limits differ a kind, and what does not fit
its kind goes as a plain file, as the official plugin does it.
"""

import asyncio
import base64
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import frames, voice
from .connection import Line
from .errors import ConnectionLost, MediaTooLarge, MediaWrongKind, RequestFailed, RequestTimeout
from .sniff import HEAD_SIZE, sniff
from .split import head as cut_name

CHUNK = 512 * 1024
MEGABYTE = 1024 * 1024
FILE_LIMIT = 20 * MEGABYTE
SIZE_LEAST = 5
NAME_LIMIT = 256
VOICE_SECONDS = voice.SECONDS
WORKERS = 2
ACK_SECONDS = 30.0
TRIES = 3
CHUNK_PAUSE = 0.5
LINE_LOSSES = 5
# 30 uploads a minute (§13): what is refused for that is tried again later, after so many seconds.
TOO_FAST = 45009
BUSY_PAUSES = (5.0, 20.0, 40.0)

_LIMITS = {"image": 10 * MEGABYTE, "voice": 2 * MEGABYTE, "video": 10 * MEGABYTE}
_FORMATS = {
    "image": ("image/png", "image/jpeg", "image/gif"),
    "voice": ("audio/amr",),
    "video": ("video/mp4",),
}
# Bytes after the frame's type byte, by the mode in it (RFC 4867, table for AMR-NB in storage format); 20 ms a frame.
_AMR_FRAME = (12, 13, 15, 17, 19, 20, 26, 31, 5)
_AMR_MAGIC = b"#!AMR\n"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """As what a file goes: its kind, the name that people see, its size in bytes, and why it is not the kind asked."""

    kind: str
    name: str
    size: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """An uploaded file: `media_id` serves this bot for three days as a message of `kind`."""

    media_id: str
    kind: str
    name: str
    reason: str = ""


def plan(kind: str, name: str, size: int, head: bytes, amr_seconds: float = 0.0) -> Plan:
    """Checks size, format and name against protocol §14.

    Raises:
        MediaTooLarge: over 20 MB, which WeCom takes in no form.
        MediaWrongKind: under 5 bytes, or a kind that does not exist.
    """
    if kind not in ("file", *_LIMITS):
        raise MediaWrongKind(f"{kind!r} is no kind of media; there are file, image, voice and video")
    if size < SIZE_LEAST:
        raise MediaWrongKind(f"{name!r} has {size} bytes; WeCom takes files of {SIZE_LEAST} bytes and more")
    if size > FILE_LIMIT:
        raise MediaTooLarge(
            f"{name!r} has {size / MEGABYTE:.1f} MB; WeCom takes at most 20 MB: split or compress it, or send a link"
        )
    reason = ""
    if kind != "file":
        mime, _ = sniff(head)
        limit = _LIMITS[kind]
        if mime not in _FORMATS[kind]:
            reason = f"{mime} is not a format for {kind}"
        elif size > limit:
            reason = f"{size} bytes are over the {limit // MEGABYTE} MB for {kind}"
        elif kind == "voice" and amr_seconds > VOICE_SECONDS:
            reason = f"{amr_seconds:.0f} s are over the {VOICE_SECONDS} s for voice"
    return Plan("file" if reason else kind, short_name(name), size, reason)


def short_name(name: str) -> str:
    """`name` within WeCom's 256 bytes, its extension kept."""
    if len(name.encode("utf-8", "replace")) <= NAME_LIMIT:
        return name
    stem, suffix = os.path.splitext(name)
    room = NAME_LIMIT - len(suffix.encode("utf-8", "replace"))
    return cut_name(stem, room) + suffix if room > 0 else cut_name(name, NAME_LIMIT)


def amr_seconds(data: bytes) -> float:
    """Length of an AMR-NB recording, 0.0 if `data` is none."""
    if not data.startswith(_AMR_MAGIC):
        return 0.0
    at, count = len(_AMR_MAGIC), 0
    while at < len(data):
        mode = data[at] >> 3 & 0x0F
        at += 1 + (_AMR_FRAME[mode] if mode < len(_AMR_FRAME) else 0)
        count += 1
    return count * 0.02


class _Source:
    """The bytes to send, from memory or from a file that is read a chunk at a time."""

    def __init__(self, content: bytes | Path) -> None:
        self._content = content

    def inspect(self, kind: str) -> tuple[int, bytes, str, float]:
        """(size, first bytes, MD5 in hex, seconds of an AMR)."""
        if isinstance(self._content, bytes):
            data = self._content
            spoken = kind == "voice" and len(data) <= _LIMITS["voice"]
            return len(data), data[:HEAD_SIZE], hashlib.md5(data).hexdigest(), amr_seconds(data) if spoken else 0.0
        digest, size, head = hashlib.md5(), 0, b""
        with self._content.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            while max(total, size) <= FILE_LIMIT and (piece := file.read(CHUNK)):
                head = head or piece[:HEAD_SIZE]
                digest.update(piece)
                size += len(piece)
        spoken = kind == "voice" and total <= _LIMITS["voice"]
        return max(size, total), head, digest.hexdigest(), amr_seconds(self._content.read_bytes()) if spoken else 0.0

    def chunk(self, index: int) -> str:
        if isinstance(self._content, bytes):
            data = self._content[index * CHUNK : (index + 1) * CHUNK]
        else:
            with self._content.open("rb") as file:
                file.seek(index * CHUNK)
                data = file.read(CHUNK)
        return base64.b64encode(data).decode("ascii")


class _SessionLost(RequestFailed):
    """Refused after a gap in the line or in its acks: the upload is finished already, or unknown by now."""


async def upload(line: Line, content: bytes | str | Path, kind: str, name: str | None = None) -> Media:
    """Uploads a file; survives a lost connection, since an upload session belongs to the bot for 30 minutes.

    Raises:
        MediaTooLarge, MediaWrongKind: as in `plan`, before anything is sent.
        OSError: the file cannot be read.
        RequestFailed, RequestTimeout, ConnectionLost: WeCom did not take it.
    """
    if isinstance(content, str):
        content = Path(content)
    shown = name or (content.name if isinstance(content, Path) else "file")
    source = _Source(content)
    size, head, md5, seconds = await asyncio.to_thread(source.inspect, kind)
    if kind == "voice" and SIZE_LEAST <= size <= FILE_LIMIT and not voice.is_amr(head):
        recording = await asyncio.to_thread(voice.to_amr, content)
        if recording is not None:
            return await upload(line, recording, kind, os.path.splitext(shown)[0] + ".amr")
    planned = plan(kind, shown, size, head, seconds)
    repeated = False
    while True:
        try:
            return await _transfer(line, source, planned, md5)
        except RequestFailed as error:
            if error.errcode == TOO_FAST:
                raise
            if isinstance(error, _SessionLost) and not repeated:
                repeated = True
                _log.warning("%s; uploading %r again", error, planned.name)
            elif planned.kind != "file":
                # The size limits of the kinds are disputed (§22.6): what is refused as its kind may pass as a file.
                _log.warning("%s; sending the %s as a file instead", error, planned.kind)
                planned = Plan("file", planned.name, size, str(error))
            else:
                raise


async def _transfer(line: Line, source: _Source, planned: Plan, md5: str) -> Media:
    chunks = -(-planned.size // CHUNK)
    start = {
        "type": planned.kind,
        "filename": planned.name,
        "total_size": planned.size,
        "total_chunks": chunks,
        "md5": md5,
    }
    ack = await _request(line, frames.UPLOAD_INIT, start)
    upload_id = ack.get("upload_id")
    if not isinstance(upload_id, str):
        raise RequestFailed(frames.UPLOAD_INIT, 0, "the ack holds no upload_id")
    indexes = iter(range(chunks))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(WORKERS, chunks)):
                group.create_task(_send_chunks(line, source, upload_id, indexes))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    done = await _request(line, frames.UPLOAD_FINISH, {"upload_id": upload_id})
    media_id = done.get("media_id")
    if not isinstance(media_id, str) or not media_id:
        raise RequestFailed(frames.UPLOAD_FINISH, 0, "the ack holds no media_id")
    return Media(media_id, planned.kind, planned.name, planned.reason)


async def _send_chunks(line: Line, source: _Source, upload_id: str, indexes: Iterator[int]) -> None:
    for index in indexes:
        data = await asyncio.to_thread(source.chunk, index)
        chunk = {"upload_id": upload_id, "chunk_index": index, "base64_data": data}
        await _request(line, frames.UPLOAD_CHUNK, chunk)


async def _request(line: Line, cmd: str, body: dict[str, object]) -> dict[str, object]:
    """One upload command, repeated as often as that does no harm: a chunk that came twice is ignored, and an upload
    that was begun or finished without our knowing is seen by nobody."""
    failure: RequestFailed | RequestTimeout
    losses = waits = 0
    tries, pause, gap = TRIES, CHUNK_PAUSE, False
    while True:
        try:
            await line.writable()
            return (await line.request(cmd, body, seconds=ACK_SECONDS)).body
        except ConnectionLost:
            losses, gap = losses + 1, True
            if line.closed is not None or losses > LINE_LOSSES:
                raise
            await line.ready()
            continue
        except RequestTimeout as error:
            gap, tries, failure = True, tries - 1, error
            if not tries:
                raise
        except RequestFailed as error:
            if error.errcode == TOO_FAST and waits < len(BUSY_PAUSES):
                waits += 1
                _log.warning("%s; trying again in %.0f s", error, BUSY_PAUSES[waits - 1])
                await asyncio.sleep(BUSY_PAUSES[waits - 1])
                continue
            tries, failure = tries - 1, error
            if not tries or cmd != frames.UPLOAD_CHUNK:
                if gap and cmd != frames.UPLOAD_INIT:
                    raise _SessionLost(error.cmd, error.errcode, error.errmsg) from None
                raise
        _log.warning("%s; trying again in %.1f s", failure, pause)
        await asyncio.sleep(pause)
        pause *= 2
