"""The ZIP that office files are: what its directory declares is looked at before any library unpacks it."""

import zipfile
from typing import BinaryIO

from agent.files.extract import Limits, Unreadable

# Small archives may have any ratio: a few kilobytes of spaces harm nobody.
_HARMLESS_BYTES = 10_000_000
_ENTRIES = 10_000
_STREAMED = "xl/worksheets/"


def check(file: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """The archive, if it unpacks to something reasonable (zipfile itself never unpacks more than is declared)."""
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # a hostile directory breaks it in many ways
        raise Unreadable("broken", f"not a whole ZIP ({type(error).__name__})") from None
    entries = archive.infolist()
    unpacked = sum(info.file_size for info in entries)
    packed = sum(info.compress_size for info in entries)
    file.seek(0, 2)
    size = file.tell()
    if len(entries) > _ENTRIES:
        raise Unreadable("bomb", f"{len(entries)} entries")
    # Entries that lie over each other declare more packed bytes than the file has.
    if unpacked > _HARMLESS_BYTES and unpacked / max(min(packed, size), 1) > limits.ratio:
        raise Unreadable("bomb", f"{size} bytes would become {unpacked}")
    if unpacked > limits.unpacked_bytes:
        raise Unreadable("too_large", f"{unpacked} bytes unpacked")
    for info in entries:
        if info.flag_bits & 1:
            raise Unreadable("encrypted", "an entry of the ZIP has a password")
        if info.filename.endswith(".xml") and info.file_size > limits.part_bytes and _STREAMED not in info.filename:
            raise Unreadable("too_large", f"a part of {info.file_size} bytes")
    file.seek(0)
    return archive
