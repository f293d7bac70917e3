"""What people send: fetched at once, stored once, looked into.

    link -> encrypted download -> blob -> child process that reads it -> a row in `files`

Knows the order of these steps and which failure gets which code. How a file is read is in `agent.files`, what is said
of it in `notes`. Nothing here raises for a file that cannot be had or read: its row says why.
"""

import asyncio
import json
import logging
import sqlite3
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.files import extract
from agent.files.extract import Extract, Unreadable
from agent.files.reader import Reader
from agent.store import Store, files
from agent.store.blobs import Blobs
from agent.store.files import File
from agent.wecom import MediaTooLarge, MediaUndecryptable, WecomAIBotWsServer, WecomError

from .history import Picture
from .question import Medium, Question

# Of a scanned PDF the model sees so many pages at once; the others when it asks for them.
PAGES_SHOWN = 4
FRAMES_SHOWN = 4
EXTRACT = ".json"
# Of a name in UTF-8, as WeCom's storage has them.
NAME_BYTES = 200
_MIME_KINDS: dict[str, files.Kind] = {"image": "image", "video": "video"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What became of one medium."""

    kind: files.Kind
    name: str
    mime: str = ""
    size: int = 0
    sha256: str = ""
    facts: Mapping[str, Any] | None = None
    error: str | None = None


class Attachments:
    """The files of all chats.

    Args:
        store, blobs: where rows and bytes are kept.
        reader: looks into files.
    """

    def __init__(self, store: Store, blobs: Blobs, reader: Reader) -> None:
        self._store, self._blobs, self._reader = store, blobs, reader
        self._coming: dict[str, asyncio.Future[None]] = {}  # by link: what is being fetched now

    async def fetch(self, chat: str, turn: int, question: Question, server: WecomAIBotWsServer) -> None:
        """Brings what the question came with and is not there yet, all at the same time; waits for what another call
        is bringing already."""
        while True:
            known = {file.source for file in await self._store.run(files.received, turn)}
            media = list({medium.url: medium for medium in question.media if medium.url not in known}.values())
            coming = {self._coming[medium.url] for medium in media if medium.url in self._coming}
            if not coming:
                break
            await asyncio.wait(coming)
        if not media:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming |= dict.fromkeys((medium.url for medium in media), done)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._bring(medium, server)) for medium in media]
            found = [task.result() for task in tasks]
            await self._store.run(_write, chat, turn, media, found, question.wordless)
        finally:
            for medium in media:
                self._coming.pop(medium.url, None)
            done.set_result(None)

    async def _bring(self, medium: Medium, server: WecomAIBotWsServer) -> _Found:
        try:
            saved = await server.save_file(medium.url, medium.aes_key, self._blobs.incoming)
            name = medium.name or saved.name
            found = _Found(medium.kind, name, saved.mime, saved.size)
            try:
                sha256 = await asyncio.to_thread(self._blobs.adopt, saved.path)
            except OSError:
                saved.path.unlink(missing_ok=True)  # up to 100 MB that nobody would find again
                raise
            return await self._look(replace(found, sha256=sha256))
        except (WecomError, OSError) as error:
            code = _code(error)
            _log.warning("a %s could not be fetched (%s): %s", medium.kind, code, error)
            return _Found(medium.kind, medium.name or "", error=code)

    async def _look(self, found: _Found) -> _Found:
        path = self._blobs.path(found.sha256)
        kind = found.kind
        if kind == "file":  # a picture sent as a file is a picture
            kind = _MIME_KINDS.get(found.mime.partition("/")[0], "file")
        try:
            match kind:
                case "image":
                    facts = await self._look_at_image(found.sha256, path)
                case "video":
                    facts = await self._look_at_video(found.sha256, path)
                case _:
                    facts = await self._read(found.sha256, path, found.name)
        except Unreadable as error:
            _log.info("a %s of %d bytes cannot be read: %s", kind, found.size, error)
            return replace(found, kind=kind, facts={"format": error.format}, error=error.code)
        return replace(found, kind=kind, facts=facts)

    async def _look_at_image(self, sha256: str, path: Path) -> dict[str, Any]:
        image = await self._reader.picture(path)
        facts = {"width": image.width, "height": image.height, "format": image.format}
        return facts | {"views": await self._keep_views(sha256, image.parts)}

    async def _look_at_video(self, sha256: str, path: Path) -> dict[str, Any]:
        try:
            frames = await self._reader.frames(path, FRAMES_SHOWN)
        except Unreadable as error:  # kept all the same, with its name and size
            _log.info("a video cannot be looked at: %s", error)
            return {}
        return {"views": await self._keep_views(sha256, frames)}

    async def _read(self, sha256: str, path: Path, name: str) -> dict[str, Any]:
        found = await self._reader.read(path, name)
        await asyncio.to_thread(lambda: self._blobs.derive(sha256, EXTRACT, _packed(found)))
        facts: dict[str, Any] = {**found.facts, "kind": found.kind, "truncated": found.truncated}
        if found.scanned_pages:
            facts["scanned"] = list(found.scanned_pages)
            pages = await self._reader.pages(path, found.scanned_pages[:PAGES_SHOWN])
            facts["views"] = await self._keep_views(sha256, pages)
        return facts

    async def _keep_views(self, sha256: str, pictures: Sequence[extract.Picture]) -> list[dict[str, Any]]:
        """Stores pictures of a file beside it; what `pictures` needs to find them."""
        views = []
        for number, picture in enumerate(pictures, start=1):
            suffix = f".view-{number}.{picture.mime.rpartition('/')[2]}"
            await asyncio.to_thread(self._blobs.derive, sha256, suffix, picture.data)
            views.append({"suffix": suffix, "mime": picture.mime, "width": picture.width, "height": picture.height})
        return views

    # --- looking at what is stored

    def pictures(self, file: File) -> list[Picture]:
        """What the model can see of a file: a picture, pages of a scanned PDF, frames of a video."""
        return [
            Picture(self._blobs.path(file.sha256, view["suffix"]), view["mime"], view["width"], view["height"])
            for view in file.facts.get("views", ())
        ]

    async def extract(self, file: File) -> Extract:
        """The text of a file, read again where it is not stored any more (a made one is read for the first time).

        Raises:
            Unreadable: it has none, or cannot be read.
        """
        if not file.sha256:
            raise Unreadable("missing")
        data = await asyncio.to_thread(self._blobs.derived, file.sha256, EXTRACT)
        if data is None:
            if file.kind == "video":
                raise Unreadable("unsupported", format="video")
            await self._read(file.sha256, self._blobs.path(file.sha256), file.name)
            data = await asyncio.to_thread(self._blobs.derived, file.sha256, EXTRACT)
        assert data is not None
        return await asyncio.to_thread(_unpack, data)

    async def page(self, file: File, number: int) -> Picture:
        """One page of a PDF as a picture, rendered once. Raises Unreadable."""
        suffix = f".page-{number}.jpeg"
        path = self._blobs.path(file.sha256, suffix)
        (picture,) = await self._reader.pages(self._blobs.path(file.sha256), (number,))
        await asyncio.to_thread(self._blobs.derive, file.sha256, suffix, picture.data)
        return Picture(path, picture.mime, picture.width, picture.height)


def _write(
    db: sqlite3.Connection, chat: str, turn: int, media: Sequence[Medium], found: Sequence[_Found], waiting: bool
) -> None:
    """The rows of one message, in the order sent; in one transaction, so that a restart brings all of them or none."""
    for medium, one in zip(media, found, strict=True):
        files.add(
            db,
            chat=chat,
            turn=turn,
            origin="received",
            kind=one.kind,
            name=plain_name(one.name) or one.kind,
            mime=one.mime,
            size=one.size,
            sha256=one.sha256,
            facts=one.facts or {},
            at=datetime.now(UTC),
            source=medium.url,
            error=one.error,
            waiting=waiting,
        )


def plain_name(name: str) -> str:
    """A sender's file name in one line of visible characters, in quotes for the model: it could say anything there."""
    name = " ".join(name.replace('"', "'").split())
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C")
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > 20:
        stem, dot, ending = name, "", ""
    room = NAME_BYTES - len(f"{dot}{ending}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}{dot}{ending}"


def _code(error: Exception) -> str:
    match error:
        case MediaTooLarge():
            return "too_large"
        case MediaUndecryptable():
            return "undecryptable"
        case OSError():
            return "disk"
        case _:
            return "expired"


def _packed(found: Extract) -> bytes:
    return json.dumps(extract.to_json(found), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _unpack(data: bytes) -> Extract:
    return extract.from_json(json.loads(data.decode("utf-8", "surrogatepass")))
