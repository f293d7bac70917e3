"""Writes OLE compound files (MS-CFB) with streams of given names: the containers of Office before 2007."""

import struct

_FREE, _END, _FAT, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_SECTOR = 512
_SMALLEST = 4096  # shorter streams would lie in a container of their own


def compound(*names: str, content: bytes = b"") -> bytes:
    """Up to three streams, the first with the content: a sector of allocation table, one of directory, the data."""
    content = content and content.ljust(_SMALLEST, b"\0")
    sectors = -(-len(content) // _SECTOR)
    assert len(names) <= 3 and sectors <= 126
    chain = [_FAT, _END, *range(3, 2 + sectors), *([_END] if sectors else [])]
    table = struct.pack("<128I", *chain, *([_FREE] * (128 - len(chain))))
    entries = [_entry("Root Entry", 5, child=1)]
    for number, name in enumerate(names, 1):
        right = number + 1 if number < len(names) else _NONE
        entries.append(_entry(name, 2, right=right, size=len(content) if number == 1 else 0))
    entries += [bytes(128)] * (4 - len(entries))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, 1, 0, _SMALLEST, _END, 0, _END, 0)
    header += struct.pack("<109I", 0, *([_FREE] * 108))
    return header + table + b"".join(entries) + content.ljust(sectors * _SECTOR, b"\0")


def _entry(name: str, kind: int, right: int = _NONE, child: int = _NONE, size: int = 0) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    entry = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, _NONE, right, child)
    return entry + bytes(36) + struct.pack("<IQ", 2 if size else _END, size)


def workbook(rows: list[list[str | float]], number_format: str = "", encrypted: bool = False) -> bytes:
    """An .xls (BIFF8) with one sheet; its numbers have the format, unless it is empty."""
    cells = b""
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if isinstance(value, str):
                text = struct.pack("<HB", len(value), 1) + value.encode("utf-16-le")
                cells += _record(0x204, struct.pack("<HHH", row, column, 0) + text)
            else:
                cells += _record(0x203, struct.pack("<HHHd", row, column, 1, value))
    size = struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0)
    sheet = _bof(0x10) + _record(0x200, size) + cells + _record(0x0A)
    font = _record(0x31, struct.pack("<HHHHHBBBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0) + b"\x05\0Arial")
    named = struct.pack("<HHB", 164, len(number_format), 1) + number_format.encode("utf-16-le")
    looks = [_record(0xE0, struct.pack("<HHH", 0, key, 0) + bytes(14)) for key in (0, 164 if number_format else 0)]
    start = _bof(0x05) + (_record(0x2F, struct.pack("<HHH", 1, 1, 1) + bytes(48)) if encrypted else b"")
    start += font * 4 + _record(0x41E, named) + b"".join(looks)
    name = struct.pack("<BB", 2, 1) + "表1".encode("utf-16-le")
    at = len(start) + 4 + 6 + len(name) + 4
    return compound(
        "Workbook", content=start + _record(0x85, struct.pack("<IBB", at, 0, 0) + name) + _record(0x0A) + sheet
    )


def _record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _bof(kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x600, kind, 0x0DBB, 0x07CC, 0, 6))
