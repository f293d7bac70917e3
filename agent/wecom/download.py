"""Fetching what people sent: encrypted files behind links that live five minutes (protocol §7).

`Decryptor` is the cipher, without IO. `save` streams to disk in bounded memory and `fetch` returns bytes; neither hands
on a byte of a file before its padding is verified.
"""

import asyncio
import base64
import binascii
import logging
import os
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from .errors import MediaError, MediaTooLarge, MediaUnavailable, MediaUndecryptable
from .sniff import HEAD_SIZE, sniff
from .transport import is_loopback, tls_context

if TYPE_CHECKING:
    import httpx2

BLOCK = 16
PADDING_MAX = 32
KEY_SIZE = 32

# WeCom lets people send 100 MB (§7); the padding comes on top.
SIZE_LIMIT = 100 * 1024 * 1024
# The link lives 300 s from the callback on; what cannot be had well before that is given up.
PATIENCE = 240.0
READ_TIMEOUT = 20.0
CONNECT_TIMEOUT = 8.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
PIECE = 256 * 1024
NAME_LIMIT = 200

_GONE = (400, 401, 403, 404, 410)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file on disk: `name` as the sender called it (or made up from the type), `size` in bytes, `mime` by content."""

    path: Path
    name: str
    size: int
    mime: str


def decode_key(aes_key: str | None) -> bytes:
    """The 32 bytes of a base64 key, with or without its `=` (protocol §7).

    Raises:
        MediaUndecryptable: there is none, or it is no such key.
    """
    if not aes_key:
        raise MediaUndecryptable("the message came without an aeskey; its file is not handed on undecrypted")
    text = aes_key.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise MediaUndecryptable(f"the aeskey is not {KEY_SIZE} bytes in base64 (it has {len(aes_key)} characters)")
    return key


class Decryptor:
    """AES-256-CBC with IV = key[:16] and PKCS#7 padding of 1 to 32 bytes (protocol §7), a piece at a time."""

    def __init__(self, aes_key: str | None) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # megabytes, needed by few bots

        key = decode_key(aes_key)
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK])).decryptor()
        self._tail = b""
        self._size = 0
        self.size = 0
        """Plain bytes of the whole file, once it is finished."""

    def feed(self, data: bytes) -> bytes:
        """Plain bytes so far; the last 32 are held back because they may be padding."""
        self._size += len(data)
        plain = self._tail + self._cipher.update(data)
        keep = min(PADDING_MAX, len(plain))
        self._tail = plain[len(plain) - keep :]
        return plain[: len(plain) - keep]

    def finish(self) -> bytes:
        """The rest without padding. Raises `MediaUndecryptable` when the key does not fit or bytes are missing."""
        if not self._size or self._size % BLOCK:
            raise MediaUndecryptable(f"{self._size} bytes are no whole number of cipher blocks: the file is incomplete")
        self._cipher.finalize()
        count = self._tail[-1]
        if not 1 <= count <= min(PADDING_MAX, len(self._tail)) or self._tail[-count:] != bytes([count]) * count:
            raise MediaUndecryptable("the padding is wrong: the aeskey does not belong to this file")
        self.size = self._size - count
        return self._tail[:-count]


class Downloader:
    """Fetches media over one HTTP client, opened at first use; respects proxies but never for loopback.

    Args:
        ca_file: certificates of a private deployment, besides the system's.
        patience: seconds to keep trying, from the call on.
    """

    def __init__(self, ca_file: str | None = None, patience: float = PATIENCE) -> None:
        self._ca_file, self._patience = ca_file, patience
        self._clients: dict[bool, httpx2.AsyncClient] = {}

    async def fetch(self, url: str, aes_key: str | None, limit: int = SIZE_LIMIT) -> tuple[bytes, str | None]:
        """(decrypted content, the sender's file name or None). Errors as in `save`."""
        pieces: list[bytes] = []
        name = await self._retry(url, aes_key, limit, pieces.append, pieces.clear)
        return b"".join(pieces), name

    async def save(self, url: str, aes_key: str | None, folder: str | Path, limit: int = SIZE_LIMIT) -> SavedFile:
        """Streams into `folder` under the sender's name, made safe and unique; the file appears when it is whole.

        Raises:
            MediaUndecryptable: no key, a wrong key, or an incomplete file.
            MediaTooLarge: more than `limit` bytes.
            MediaUnavailable: the link has expired, or the storage kept failing.
            OSError: the folder cannot be written.
        """
        folder = Path(folder)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        # Not in a thread, which a cancellation would leave with a file that nobody removes; likewise below.
        descriptor, part = tempfile.mkstemp(".part", ".download-", folder)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                writer = _Writer(file)
                name = await self._retry(url, aes_key, limit, writer.write, writer.restart)
                head = await asyncio.to_thread(writer.head)
            mime, extension = sniff(head)
            shown = name or f"{mime.partition('/')[0]}-{time.strftime('%Y%m%d-%H%M%S')}{extension}"
            return SavedFile(place(Path(part), folder, safe_name(shown)), shown, writer.size, mime)
        finally:
            _discard(Path(part))

    async def post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """Posts JSON, once, and returns the JSON object that comes back. Raises MediaUnavailable."""
        import httpx2

        try:
            response = await self._client(url).post(url, json=body)
            answer = response.raise_for_status().json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise MediaUnavailable(f"the post failed: {type(error).__name__}: {_status(error)}") from error
        return answer if isinstance(answer, dict) else {}

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _retry(
        self, url: str, aes_key: str | None, limit: int, write: Callable[[bytes], None], restart: Callable[[], None]
    ) -> str | None:
        decode_key(aes_key)
        give_up, pause = time.monotonic() + self._patience, FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(max(1.0, give_up - time.monotonic())):
                    return await self._attempt(url, aes_key, limit, write)
            except MediaUnavailable as error:
                if not error.__cause__ or time.monotonic() + pause >= give_up:
                    raise
                _log.warning("%s; trying again in %.1f s", error, pause)
            except TimeoutError:
                raise MediaUnavailable(f"the download was not complete within {self._patience:g} s") from None
            restart()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _attempt(self, url: str, aes_key: str | None, limit: int, write: Callable[[bytes], None]) -> str | None:
        """One download. A `MediaUnavailable` with a cause is worth another try."""
        import httpx2

        decryptor, size = Decryptor(aes_key), 0
        try:
            async with self._client(url).stream("GET", url) as response:
                if response.status_code in _GONE:
                    raise MediaUnavailable(
                        f"the storage answered {response.status_code}: the link has expired, they live five minutes"
                    )
                response.raise_for_status()
                announced = response.headers.get("content-length", "")
                if announced.isdigit() and int(announced) > limit + PADDING_MAX:
                    raise _too_large(int(announced), limit)
                async for piece in response.aiter_bytes(PIECE):
                    size += len(piece)
                    if size > limit + PADDING_MAX:
                        raise _too_large(size, limit)
                    plain = decryptor.feed(piece)
                    if size > PIECE:
                        await asyncio.to_thread(write, plain)
                    else:
                        write(plain)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise MediaUnavailable(f"the download failed: {type(error).__name__}: {_status(error)}") from error
        last = decryptor.finish()
        if decryptor.size > limit:
            raise _too_large(decryptor.size, limit)
        write(last)
        return file_name(response.headers.get("content-disposition"))

    def _client(self, url: str) -> "httpx2.AsyncClient":
        import httpx2

        local = is_loopback(urlsplit(url).hostname)
        if local not in self._clients:
            self._clients[local] = httpx2.AsyncClient(
                verify=tls_context(self._ca_file),
                trust_env=not local,
                timeout=httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
                follow_redirects=True,
            )
        return self._clients[local]


class _Writer:
    """Plain bytes on their way into a file that has no name yet."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    def head(self) -> bytes:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.seek(0)
        return self._file.read(HEAD_SIZE)


def _too_large(size: int, limit: int) -> MediaTooLarge:
    return MediaTooLarge(f"the file has {size} bytes or more, over the limit of {limit}")


def _status(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"status {response.status_code}" if response is not None else str(error)[:200]


def file_name(disposition: str | None) -> str | None:
    """The name in a Content-Disposition header: `filename*` (RFC 5987) before `filename`, percent-decoded (§7)."""
    if not disposition:
        return None
    extended = re.search(r"filename\*\s*=\s*\"?([\w!#$%&+^`{}~.-]*)'[^']*'([^;\"\s]+)", disposition, re.IGNORECASE)
    if extended:
        try:
            name = unquote_to_bytes(extended[2]).decode(extended[1] or "utf-8")
        except (LookupError, UnicodeDecodeError):
            name = _decode(unquote_to_bytes(extended[2]))
    else:
        plain = re.search(r"filename\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;]+))", disposition, re.IGNORECASE)
        if not plain:
            return None
        raw = re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else plain[2].strip()
        name = _decode(unquote_to_bytes(raw.encode("latin-1"))) if raw.isascii() else unquote(_unmangle(raw))
    name = re.split(r"[/\\]", name)[-1].strip()
    return name or None


def _unmangle(raw: str) -> str:
    """HTTP libraries read header bytes as Latin-1; names are sent as UTF-8 or GB18030."""
    try:
        return _decode(raw.encode("latin-1"))
    except UnicodeEncodeError:
        return raw


def _decode(data: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def safe_name(name: str) -> str:
    """`name` as a file name: no path, no control characters, not hidden, at most 200 bytes, its extension kept."""
    name = unicodedata.normalize("NFC", name)
    name = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    name = re.sub(r'[/\\:*?"<>|]', "_", name).strip().lstrip(".").strip()
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 20:
        stem, extension = name, ""
    stem = stem.encode()[: NAME_LIMIT - len(extension.encode()) - 1].decode("utf-8", "ignore")
    return (f"{stem}.{extension}" if extension else stem) or "file"


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)


def place(part: Path, folder: Path, name: str) -> Path:
    """Gives the finished `part` its `name` in `folder`, with a number when that is taken; never overwrites."""
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 10_000):
        target = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            os.link(part, target)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            if target.exists():
                continue
            part.rename(target)
        return target
    raise MediaError(f"{folder} already holds 10,000 files named {name!r}; clean it up")
