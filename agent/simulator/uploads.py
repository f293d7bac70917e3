"""Chunked uploads: sessions from init to finish (protocol §14).

Every rule about sizes and counts is the page's; the codes for most refusals are not attested and say so.
"""

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from agent.simulator import wire
from agent.simulator.limits import Window
from agent.simulator.media import Medium
from agent.simulator.options import Options
from agent.simulator.shelf import Shelf
from agent.simulator.wire import Json, Refusal, missing

CHUNK = 512 * 1024
MAX_CHUNKS = 100
MIN_SIZE = 5
NAME_LIMIT = 256
_MIB = 1024 * 1024
_LIMITS = {"file": 20 * _MIB, "voice": 2 * _MIB, "video": 10 * _MIB}  # image: an option, since sources disagree
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_MAGIC = {
    "image": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"),
    "voice": (b"#!AMR",),
}


@dataclass(slots=True, eq=False)
class Session:
    upload_id: str
    bot_id: str
    kind: str
    name: str
    size: int
    chunks: int
    md5: str
    started: float
    path: Path
    file: BinaryIO
    pieces: dict[int, tuple[int, int]] = field(default_factory=dict)  # index -> offset in the file, length
    received: int = 0
    hashed: int = 0  # chunks from 0 that are in ``hasher``: hashing goes along, so that finish has little left to do
    hasher: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))


class Uploads:
    """Open sessions by upload_id. They outlive connections and belong to a bot (protocol §14)."""

    def __init__(self, options: Options, shelf: Shelf) -> None:
        self._options = options
        self._shelf = shelf
        self._sessions: dict[str, Session] = {}
        self._window = Window(options.uploads_per_minute, options.uploads_per_hour)

    def init(self, body: Json, bot_id: str, now: float) -> Json:
        """Body of the ack: the upload_id. Refusal for what cannot be uploaded."""
        kind, name = body.get("type"), body.get("filename")
        size, chunks, md5 = body.get("total_size"), body.get("total_chunks"), body.get("md5", "")
        if kind not in ("file", "image", "voice", "video"):
            raise missing("type", "14", f"{kind!r} is none of file, image, voice, video")
        if not isinstance(name, str) or not name:
            raise missing("filename", "14")
        if wire.size(name) > NAME_LIMIT:
            raise _bad(f"filename has {wire.size(name)} bytes, more than {NAME_LIMIT}")
        if not _is_int(size):
            raise missing("total_size", "14", "an integer is needed")
        if not _is_int(chunks):
            raise missing("total_chunks", "14", "an integer is needed")
        if size < MIN_SIZE:
            raise _bad_size(f"total_size {size} is less than {MIN_SIZE}")
        limit = self._options.image_limit if kind == "image" else _LIMITS[kind]
        if size > limit:
            raise _bad_size(f"total_size {size} is more than the {limit} of {kind}")
        if not 1 <= chunks <= MAX_CHUNKS:
            raise _bad(f"total_chunks {chunks} is not in 1..{MAX_CHUNKS}")
        if chunks * CHUNK < size:
            raise _bad(f"{chunks} chunks of {CHUNK} cannot hold {size} bytes")
        if not isinstance(md5, str) or (md5 and not _MD5.fullmatch(md5)):
            raise _bad("md5 is not 32 hexadecimal digits")
        if not self._window.admit(now):
            raise Refusal(wire.TOO_OFTEN, "too many uploads" + wire.INVENTED, rule="", section="13")
        self._drop_expired(now)
        path = self._shelf.new_path()
        session = Session(
            secrets.token_hex(16), bot_id, kind, name, size, chunks, md5.lower(), now, path, path.open("w+b")
        )
        self._sessions[session.upload_id] = session
        return {"upload_id": session.upload_id}

    def chunk(self, body: Json, bot_id: str, now: float) -> None:
        session = self._find(body, bot_id, now)
        index, data = body.get("chunk_index"), body.get("base64_data")
        if not _is_int(index):
            raise missing("chunk_index", "14", "an integer is needed")
        if not isinstance(data, str) or not data:
            raise missing("base64_data", "14")
        if not 0 <= index < session.chunks:
            raise _bad(f"chunk_index {index} is not in 0..{session.chunks - 1}")
        try:
            piece = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise _bad("base64_data is not base64") from None
        if len(piece) > CHUNK:
            raise _bad_size(f"chunk {index} has {len(piece)} bytes, more than {CHUNK}")
        if index in session.pieces:
            return  # a repeated index is ignored (protocol §14)
        if session.received + len(piece) > session.size:
            raise _bad_size(f"the chunks hold more than the total_size of {session.size}")
        session.pieces[index] = (session.received, len(piece))
        session.file.seek(session.received)
        session.file.write(piece)
        session.received += len(piece)
        if index == session.hashed:
            session.hasher.update(piece)
            session.hashed += 1
            self._hash_on(session)

    def finish(self, body: Json, bot_id: str, now: float) -> Json:
        """Body of the ack: type, media_id, created_at. A refused session goes on, so that chunks may follow."""
        session = self._find(body, bot_id, now)
        absent = [index for index in range(session.chunks) if index not in session.pieces]
        if absent:
            raise _bad(f"{len(absent)} of {session.chunks} chunks are missing, the first is {absent[0]}")
        if session.received != session.size:
            raise _bad_size(f"{session.received} bytes arrived, total_size said {session.size}")
        digest = session.hasher.hexdigest()
        if session.md5 and session.md5 != digest:
            raise _bad(f"md5 is {digest}, init said {session.md5}")
        path = self._assembled(session)
        del self._sessions[session.upload_id]
        if self._options.check_formats and not _has_format(session.kind, path):
            path.unlink()
            raise Refusal(
                wire.BAD_MEDIA_TYPE,
                f"the content is no {session.kind}" + wire.INVENTED,
                rule="bad-upload",
                section="14",
            )
        medium = self._shelf.adopt(session.kind, session.name, path, now, md5=digest, uploaded=True)
        created: str | int = str(int(now)) if self._options.created_at_string else int(now)
        return {"type": medium.kind, "media_id": medium.media_id, "created_at": created}

    def claim(self, media_id: object, kind: str, now: float) -> Medium:
        """The finished medium that a message names. 40007 for an unknown, expired or differently typed one."""
        medium = self._shelf.uploaded(media_id) if isinstance(media_id, str) else None
        if medium is None or now - medium.created > self._options.media_id_lifetime:
            raise Refusal(wire.BAD_MEDIA_ID, "invalid media_id", rule="", section="14")
        if medium.kind != kind:
            why = f"invalid media_id: uploaded as {medium.kind}, sent as {kind}"
            raise Refusal(wire.BAD_MEDIA_ID, why + wire.INVENTED, rule="bad-upload", section="14")
        return medium

    def close(self) -> None:
        for session in self._sessions.values():
            session.file.close()
        self._sessions.clear()

    def _find(self, body: Json, bot_id: str, now: float) -> Session:
        upload_id = body.get("upload_id")
        if not isinstance(upload_id, str) or not upload_id:
            raise missing("upload_id", "14")
        session = self._sessions.get(upload_id)
        if session is None or session.bot_id != bot_id:
            raise Refusal(wire.BAD_PARAMETER, "unknown upload_id" + wire.INVENTED, rule="", section="14")
        if now - session.started > self._options.upload_session:
            raise Refusal(wire.BAD_PARAMETER, "the upload session is over" + wire.INVENTED, rule="", section="14")
        return session

    def _hash_on(self, session: Session) -> None:
        while (piece := session.pieces.get(session.hashed)) is not None:
            session.file.seek(piece[0])
            session.hasher.update(session.file.read(piece[1]))
            session.hashed += 1

    def _assembled(self, session: Session) -> Path:
        """The file in index order; chunks were stored in the order of their arrival."""
        if list(session.pieces) == sorted(session.pieces):
            session.file.close()
            return session.path
        ordered = self._shelf.new_path()
        with session.file, ordered.open("wb") as target:
            for index in range(session.chunks):
                offset, length = session.pieces[index]
                session.file.seek(offset)
                target.write(session.file.read(length))
        session.path.unlink()
        return ordered

    def _drop_expired(self, now: float) -> None:
        over = [s for s in self._sessions.values() if now - s.started > self._options.upload_session]
        for session in over:
            del self._sessions[session.upload_id]
            session.file.close()
            session.path.unlink(missing_ok=True)


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _bad(why: str) -> Refusal:
    return Refusal(wire.BAD_PARAMETER, why + wire.INVENTED, rule="bad-upload", section="14")


def _bad_size(why: str) -> Refusal:
    return Refusal(wire.BAD_SIZE, why + wire.INVENTED, rule="bad-upload", section="14")


def _has_format(kind: str, path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    if kind == "video":
        return head[4:8] == b"ftyp"
    return kind not in _MAGIC or head.startswith(_MAGIC[kind])
