"""Files on disk behind media ids: what the bot uploaded and what people sent. Bounded; the folder is its opener's."""

import hashlib
import secrets
from pathlib import Path

from agent.simulator.media import Medium


class Shelf:
    """At most ``count`` files and ``size`` bytes; the oldest go first."""

    def __init__(self, folder: Path, count: int, size: int) -> None:
        self.folder = folder
        self._count = count
        self._limit = size
        self._size = 0
        self._media: dict[
            str, tuple[Medium, bool, bool]
        ] = {}  # media_id -> medium, uploaded by the bot, ours to delete

    def put(self, kind: str, name: str, data: bytes | Path, now: float) -> Medium:
        """Something that a person sends. A path is read where it lies and stays the caller's."""
        if isinstance(data, Path):
            return self._add(Medium(_media_id(), kind, name, data.stat().st_size, "", data, now), False, False)
        path = self.new_path()
        path.write_bytes(data)
        return self.adopt(kind, name, path, now)

    def adopt(self, kind: str, name: str, path: Path, now: float, *, md5: str = "", uploaded: bool = False) -> Medium:
        """A file in our folder, deleted when its turn comes."""
        return self._add(Medium(_media_id(), kind, name, path.stat().st_size, md5, path, now), uploaded, True)

    def get(self, media_id: str) -> Medium | None:
        entry = self._media.get(media_id)
        return entry[0] if entry else None

    def uploaded(self, media_id: str) -> Medium | None:
        """Only what the bot itself uploaded: nothing else may be sent by its id (protocol §14)."""
        entry = self._media.get(media_id)
        return entry[0] if entry and entry[1] else None

    def new_path(self) -> Path:
        return self.folder / secrets.token_hex(12)

    def _add(self, medium: Medium, uploaded: bool, ours: bool) -> Medium:
        self._media[medium.media_id] = (medium, uploaded, ours)
        self._size += medium.size
        while len(self._media) > self._count or (self._size > self._limit and len(self._media) > 1):
            old, _, deletable = self._media.pop(next(iter(self._media)))
            self._size -= old.size
            if deletable:
                old.path.unlink(missing_ok=True)
        return medium


def file_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _media_id() -> str:
    return secrets.token_urlsafe(66)[:87]  # 87 characters were observed (protocol §14)
