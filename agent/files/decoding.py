"""Text from bytes, in the encodings that people in China send: UTF-8, GB18030 (GBK, GB2312), UTF-16, Big5. Pure."""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_DECLARED = re.compile(
    rb"""<(?:meta[^>]{0,200}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*["']?([-\w]{3,20})""", re.IGNORECASE
)
_DECLARED_BYTES = 4096
# Two bytes that are one character in both GBK and Big5; judging needs no more than a sample of them.
_PAIRS = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_SAMPLE_BYTES = 100_000
_DAMAGE = 0.01


def decode(data: bytes, declared: bool = False) -> tuple[str, str]:
    """(text, encoding); with `declared`, what an HTML or XML head says of itself is believed if it fits.

    Never fails: what fits nothing is read as the likeliest, with U+FFFD for each byte that has no meaning.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").removeprefix("\ufeff"), encoding
    for encoding in ("utf-8", *(_declared(data) if declared else ())):
        text = _strictly(data, encoding)
        if text is not None:
            return text, encoding
    return _legacy(data)


def _declared(data: bytes) -> list[str]:
    found = _DECLARED.search(data[:_DECLARED_BYTES])
    said = found[1].decode("ascii", "replace").lower() if found else ""
    # What calls itself GB2312 usually holds characters beyond it.
    return ["gb18030"] if said.startswith("gb") else ["big5"] if said.startswith("big5") else []


def _strictly(data: bytes, encoding: str) -> str | None:
    """The text, also when its last character was cut off."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        return decoder.decode(data)
    except UnicodeDecodeError:
        return None


def _legacy(data: bytes) -> tuple[str, str]:
    damaged = data.decode("utf-8", "replace")
    if damaged.count("\ufffd") < sum(byte > 0x7F for byte in data[:_SAMPLE_BYTES]) * _DAMAGE:
        return damaged, "utf-8"  # a few broken bytes in long UTF-8 (a log that was cut together)
    simplified, traditional = _strictly(data, "gb18030"), _strictly(data, "big5")
    if traditional is not None and (simplified is None or _is_big5(data)):
        return traditional, "big5"
    return simplified or data.decode("gb18030", "replace"), "gb18030"


def _is_big5(data: bytes) -> bool:
    """Whether common characters of Big5 (rows A4 to C6) outnumber the common ones of GB2312 (rows B0 to D7)."""
    pairs: list[bytes] = _PAIRS.findall(data[:_SAMPLE_BYTES])
    big5 = sum(0xA4 <= pair[0] <= 0xC6 and (pair[1] <= 0x7E or pair[1] >= 0xA1) for pair in pairs)
    gb2312 = sum(0xB0 <= pair[0] <= 0xD7 and pair[1] >= 0xA1 for pair in pairs)
    return big5 > gb2312
