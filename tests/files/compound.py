"""Writes OLE compound files (MS-CFB) with empty streams of given names: the containers of Office before 2007."""

import struct

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_NONE = 0xFFFFFFFF


def compound(*streams: str) -> bytes:
    """Up to three streams: one sector of allocation table, one of directory."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0, 0)
    header += struct.pack("<109I", *([_FREE] * 108), _FREE)
    header = header[:76] + struct.pack("<I", 0) + header[80:512]
    table = struct.pack("<128I", _FAT, _END, *([_FREE] * 126))
    entries = [_entry("Root Entry", 5, child=1 if streams else _NONE)]
    for number, name in enumerate(streams, 1):
        entries.append(_entry(name, 2, right=number + 1 if number < len(streams) else _NONE))
    entries += [bytes(128)] * (4 - len(entries))
    return header + table + b"".join(entries)


def _entry(name: str, kind: int, right: int = _NONE, child: int = _NONE) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    entry = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, _NONE, right, child)
    return entry + bytes(36) + struct.pack("<IQ", _END if kind == 5 else 0, 0)
