"""Inbound media as the platform serves it: a signed link and a key of its own for each delivery (protocol §7).

It knows files, keys, links and the cipher; the HTTP side is in ``http``.
"""

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.simulator.wire import Json

PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Medium:
    """A file of the shelf: what a person sent or the bot uploaded. ``size`` in bytes, ``created`` in seconds."""

    media_id: str
    kind: str  # image, voice, video, file
    name: str
    size: int
    md5: str
    path: Path
    created: float

    def as_json(self) -> Json:
        return {"media_id": self.media_id, "kind": self.kind, "name": self.name, "size": self.size}


@dataclass(frozen=True, slots=True)
class Link:
    """A download link: one key, one file, one lifetime."""

    token: str
    key: bytes
    medium: Medium
    starts: float
    expires: float


def new_link(medium: Medium, now: float, lifetime: float) -> Link:
    return Link(secrets.token_urlsafe(18), secrets.token_bytes(32), medium, now, now + lifetime)


def url(link: Link, base: str) -> str:
    """Pre-signed in the manner of the object storage: the span stands in the query, and only the token counts."""
    return f"{base}/media/{link.token}?sign=q-sign-time%3D{link.starts:.0f}%3B{link.expires:.0f}"


def key_text(key: bytes, *, padded: bool) -> str:
    """Base64 of the 32 bytes: 43 characters as observed, 44 with its padding."""
    text = base64.b64encode(key).decode()
    return text if padded else text.rstrip("=")


def encrypted_size(size: int, block: int) -> int:
    """PKCS#7 always adds 1 to ``block`` bytes."""
    return size + block - size % block


def encrypt(plain: BinaryIO, key: bytes, block: int, *, broken: bool = False) -> Iterator[bytes]:
    """AES-256-CBC, IV the key's first 16 bytes, PKCS#7 to ``block`` bytes; one piece in memory at a time.

    ``broken`` ends with a padding that no decoder may accept.
    """
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    size = 0
    while piece := plain.read(PIECE):
        size += len(piece)
        if encrypted := encryptor.update(piece):
            yield encrypted
    padding = block - size % block
    yield encryptor.update(bytes([0xFF if broken else padding]) * padding) + encryptor.finalize()


def disposition(name: str, style: str) -> str | None:
    """The Content-Disposition header: ``rfc5987``, ``plain`` (percent-encoded inside quotes) or None for ``none``."""
    if style == "none" or not name:
        return None
    encoded = quote(name, safe="")
    return f"attachment; filename*=UTF-8''{encoded}" if style == "rfc5987" else f'attachment; filename="{encoded}"'
