"""What a file is, by its first bytes: WeCom's downloads carry no type and may carry no name (protocol §6.1, §7)."""

# (offset, signature, MIME type, extension); the first that fits counts.
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png", ".png"),
    (0, b"\xff\xd8\xff", "image/jpeg", ".jpg"),
    (0, b"GIF87a", "image/gif", ".gif"),
    (0, b"GIF89a", "image/gif", ".gif"),
    (8, b"WEBP", "image/webp", ".webp"),
    (0, b"BM", "image/bmp", ".bmp"),
    (0, b"II*\x00", "image/tiff", ".tif"),
    (0, b"MM\x00*", "image/tiff", ".tif"),
    (4, b"ftypheic", "image/heic", ".heic"),
    (4, b"ftypmif1", "image/heif", ".heif"),
    (4, b"ftypavif", "image/avif", ".avif"),
    (4, b"ftypqt", "video/quicktime", ".mov"),
    (4, b"ftypM4A", "audio/mp4", ".m4a"),
    (4, b"ftyp", "video/mp4", ".mp4"),
    (0, b"#!AMR-WB\n", "audio/amr-wb", ".amr"),
    (0, b"#!AMR\n", "audio/amr", ".amr"),
    (0, b"ID3", "audio/mpeg", ".mp3"),
    (8, b"WAVE", "audio/wav", ".wav"),
    (0, b"%PDF-", "application/pdf", ".pdf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", ".doc"),
    (0, b"7z\xbc\xaf'\x1c", "application/x-7z-compressed", ".7z"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar", ".rar"),
    (0, b"\x1f\x8b", "application/gzip", ".gz"),
    (0, b"{\\rtf", "application/rtf", ".rtf"),
)

_OFFICE = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx"),
)

# So many first bytes tell everything that this module can tell.
HEAD_SIZE = 4096


def sniff(head: bytes) -> tuple[str, str]:
    """(MIME type, extension with its dot) of a file that begins with `head`.

    ("text/plain", ".txt") for what reads as text, ("application/octet-stream", "") for everything unknown.
    """
    for offset, signature, mime, extension in _SIGNATURES:
        if head.startswith(signature, offset):
            return mime, extension
    if head.startswith(b"PK\x03\x04"):
        for name, mime, extension in _OFFICE:
            if name in head:
                return mime, extension
        return "application/zip", ".zip"
    if head and b"\x00" not in head and _is_text(head):
        return "text/plain", ".txt"
    return "application/octet-stream", ""


def _is_text(head: bytes) -> bool:
    if any(byte < 0x20 and byte not in b"\t\n\r\x0c\x1b" for byte in head):
        return False
    for encoding, longest in (("utf-8", 4), ("gb18030", 4)):
        for cut in range(longest):  # the head may end inside a character
            try:
                head[: len(head) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            return True
    return False
