"""The bytes of files, stored once by their SHA-256 beside the database: `files/ab/abcd...`.

What was derived from a file (its extracted text, its shrunken pictures) lies beside it under the same name with a
suffix, and can be made again. Knows names and bytes; which chat a file belongs to is in `files`. Everything here
blocks.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from agent.store import folder

NAME = "files"
_PIECE = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The folder `files` in the data folder, closed to other users (folders 0700, files 0600)."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.incoming = data / NAME / "incoming"

    def prepare(self) -> None:
        """Makes the folders and removes what a crash left half-written. Raises OSError."""
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.close(self._data / NAME, 0o700)
        folder.close(self.incoming, 0o700)
        for left in self.incoming.iterdir():
            left.unlink(missing_ok=True)

    def adopt(self, file: Path) -> str:
        """Takes over a finished file by moving it; its SHA-256."""
        digest = hashlib.sha256()
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
        return self._place(file, digest.hexdigest())

    def put(self, data: bytes) -> str:
        """Stores bytes; their SHA-256."""
        return self._place(self._written(data), hashlib.sha256(data).hexdigest())

    def derive(self, sha256: str, suffix: str, data: bytes) -> None:
        """Stores what was made of a file, e.g. under the suffix `.json`."""
        os.replace(self._written(data), self.path(sha256, suffix))

    def derived(self, sha256: str, suffix: str) -> bytes | None:
        """What `derive` stored, None when it is not there."""
        try:
            return self.path(sha256, suffix).read_bytes()
        except FileNotFoundError:
            return None

    def path(self, sha256: str, suffix: str = "") -> Path:
        return self._data / self.relative(sha256, suffix)

    @staticmethod
    def relative(sha256: str, suffix: str = "") -> str:
        """The path inside the data folder, as the table `files` has it."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no SHA-256")
        return f"{NAME}/{sha256[:2]}/{sha256}{suffix}"

    def _place(self, file: Path, sha256: str) -> str:
        target = self.path(sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if target.exists():
            file.unlink()
        else:
            file.chmod(0o600)
            os.replace(file, target)
        return sha256

    def _written(self, data: bytes) -> Path:
        """A temporary file with these bytes, on the disk before it gets its name (mkstemp gives it 0600)."""
        descriptor, name = tempfile.mkstemp(".part", "", self.incoming)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)
