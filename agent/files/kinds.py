"""What a file is: by its content first, by its name second.

`tell` looks at the first bytes only and is safe anywhere; `look_inside` opens the two kinds of containers that office
files come in, which is for the child alone.

WeCom's clients send files under any name, exports of office systems call HTML tables `.xls`, and WPS gives old Word
files names of its own: only what lies inside decides which reader gets the file.
"""

import zipfile
from dataclasses import dataclass
from typing import BinaryIO

from agent.files.extract import Kind, Unreadable

HEAD_BYTES = 65_536

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# (offset, first bytes, kind, format); the first that fits counts.
_SIGNATURES: tuple[tuple[int, bytes, Kind, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image", "PNG"),
    (0, b"\xff\xd8\xff", "image", "JPEG"),
    (0, b"GIF8", "image", "GIF"),
    (8, b"WEBP", "image", "WEBP"),
    (0, b"II*\x00", "image", "TIFF"),
    (0, b"MM\x00*", "image", "TIFF"),
    (4, b"ftypavi", "image", "AVIF"),
    (4, b"ftyphe", "image", "HEIC"),
    (4, b"ftypmif1", "image", "HEIC"),
    (4, b"ftypmsf1", "image", "HEIC"),
    (4, b"ftypM4A", "audio", "M4A"),
    (4, b"ftypqt", "video", "MOV"),
    (4, b"ftyp", "video", "MP4"),
    (0, b"\x1aE\xdf\xa3", "video", "MKV"),
    (8, b"AVI ", "video", "AVI"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video", "WMV"),
    (0, b"#!AMR", "audio", "AMR"),
    (0, b"ID3", "audio", "MP3"),
    (0, b"\xff\xfb", "audio", "MP3"),
    (0, b"OggS", "audio", "OGG"),
    (8, b"WAVE", "audio", "WAV"),
    (0, b"7z\xbc\xaf'\x1c", "archive", "7Z"),
    (0, b"Rar!\x1a\x07", "archive", "RAR"),
    (0, b"\x1f\x8b\x08", "archive", "GZIP"),
    (0, b"{\\rtf", "doc", "RTF"),
)

_OFFICE: dict[str, Kind] = {"word/": "docx", "xl/": "xlsx", "ppt/": "pptx"}
_OPEN_DOCUMENT = (
    (b"opendocument.text", "ODT"),
    (b"opendocument.spreadsheet", "ODS"),
    (b"opendocument.presentation", "ODP"),
    (b"epub", "EPUB"),
)

_BY_EXTENSION: dict[str, Kind] = {
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "md": "markdown",
    "markdown": "markdown",
    "htm": "html",
    "html": "html",
    "xhtml": "html",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "ipynb": "json",
    "geojson": "json",
}
# fmt: off
_CODE = frozenset((
    "asm", "awk", "bas", "bash", "bat", "c", "cc", "cfg", "clj", "cmake", "cmd", "conf", "cpp", "cs", "css", "cxx",
    "dart", "diff", "dockerfile", "env", "erl", "ex", "exs", "f90", "fs", "go", "gradle", "groovy", "h", "hcl", "hpp",
    "hs", "ini", "java", "jl", "js", "jsx", "kt", "kts", "less", "lisp", "lua", "m", "makefile", "ml", "mm", "nix",
    "pas", "patch", "php", "pl", "pm", "proto", "ps1", "py", "pyi", "r", "rb", "rs", "sass", "scala", "scss", "sh",
    "sol", "sql", "svelte", "svg", "swift", "tcl", "tf", "toml", "ts", "tsx", "v", "vb", "vba", "vbs", "vhd", "vue",
    "wxml", "wxss", "xml", "xsd", "xsl", "yaml", "yml", "zig", "zsh",
))
# fmt: on

# Office formats of before 2007 by what their OLE container holds; files with WPS's own extensions hold the same.
_STREAMS: tuple[tuple[str, Kind, str], ...] = (
    ("WordDocument", "doc", "DOC"),
    ("Workbook", "xls", "XLS"),
    ("Book", "xls", "XLS"),
    ("PowerPoint Document", "ppt", "PPT"),
)
_ENCRYPTED = ("EncryptedPackage", "\tDRMContent", "\x06DataSpaces")


@dataclass(frozen=True, slots=True)
class Sort:
    """`format` names what the kind leaves open ("PNG", "DOC", "ODT"); `encrypted` is an office container that only a
    password opens."""

    kind: Kind
    format: str = ""
    encrypted: bool = False


ZIP = Sort("archive", "ZIP")
COMPOUND = Sort("unknown", "OLE")


def tell(head: bytes, name: str) -> Sort:
    """What a file that begins with `head` (HEAD_BYTES of it) is; of containers, what it seems to be."""
    if head.startswith(_OLE):
        return COMPOUND
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK00PK\x03\x04")):
        return _office(_first_names(head))
    # Readers of PDF look for its mark in the first 1024 bytes: mail gateways and web forms put lines before it.
    if b"%PDF-" in head[:1024]:
        return Sort("pdf", "PDF")
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return Sort("image", "BMP")
    for offset, signature, kind, format in _SIGNATURES:
        if head.startswith(signature, offset):
            return Sort(kind, format)
    return Sort("unknown") if is_binary(head) else _text(head, extension(name))


def look_inside(file: BinaryIO, sort: Sort) -> Sort:
    """What a container holds, of which `tell` has seen the head only; anything else as it is. Raises Unreadable."""
    if sort == COMPOUND:
        return _compound(file)
    return _zip(file, sort) if sort == ZIP or sort.kind in _OFFICE.values() else sort


def extension(name: str) -> str:
    """The extension in lower case, without its dot; of `Makefile` and the like, the name itself."""
    stem, dot, ending = name.rpartition(".")
    return (ending if dot and stem else name.lstrip(".")).lower()


def is_binary(head: bytes) -> bool:
    """Whether the first bytes are no text in any encoding that `decoding` knows."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    controls = sum(head.count(byte) for byte in range(0x20) if byte not in b"\t\n\r\x0b\x0c\x1b\x08\x1a")
    return 0 in head or controls > len(head) * 0.01


def _text(head: bytes, ending: str) -> Sort:
    if ending in _BY_EXTENSION:
        return Sort(_BY_EXTENSION[ending])
    if ending in _CODE:
        return Sort("code", ending)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:2048].lower()
    if start.startswith((b"<!doctype html", b"<head", b"<table", b"<body", b"<meta")) or b"<html" in start:
        return Sort("html")
    if start.startswith(b"mime-version:") and b"multipart/related" in start:
        return Sort("unknown", "MHTML")
    if start.startswith(b"<?xml"):
        return Sort("code", "xml")
    if ending in ("xls", "xlsx"):  # exports that are text under a spreadsheet's name
        first = head.split(b"\n", 1)[0]
        return Sort("tsv" if b"\t" in first else "csv" if b"," in first else "text")
    return Sort("text")


def _zip(file: BinaryIO, sort: Sort) -> Sort:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                mime = archive.read("mimetype")
                for part, format in _OPEN_DOCUMENT:
                    if part in mime:
                        return Sort("unknown", format)
            return _office(names)
    except Exception:  # whatever is wrong with it, its reader will find and name it
        return sort
    finally:
        file.seek(0)


def _office(names: list[str]) -> Sort:
    for prefix, kind in _OFFICE.items():
        if any(name.startswith(prefix) for name in names):
            return Sort(kind, "XLSB" if "xl/workbook.bin" in names else kind.upper())
    return ZIP


def _first_names(head: bytes) -> list[str]:
    """Names in the local headers at the start of a ZIP."""
    names, at = [], 0
    while (at := head.find(b"PK\x03\x04", at)) >= 0:
        length = int.from_bytes(head[at + 26 : at + 28], "little")
        names.append(head[at + 30 : at + 30 + length].decode("utf-8", "replace"))
        at += 30
    return names


def _compound(file: BinaryIO) -> Sort:
    import olefile

    try:
        with olefile.OleFileIO(file) as container:
            names = {entry[0] for entry in container.listdir(streams=True, storages=True)}
    except Exception as error:
        raise Unreadable("broken", f"a damaged container ({type(error).__name__})", "OLE") from None
    finally:
        file.seek(0)
    if not names.isdisjoint(_ENCRYPTED):
        return Sort("unknown", "OOXML", encrypted=True)
    for stream, kind, format in _STREAMS:
        if stream in names:
            return Sort(kind, format)
    return COMPOUND
