"""Text tables for a terminal: rows in, lines out. Pure.

Knows how wide a character is on a screen, what must not reach a terminal, and how columns share the room. Does not
know what stands in them.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

GAP = "  "

# A column that shrinks keeps this many columns of the screen.
LEAST = 8

# What a terminal would act upon: C0 with ESC, DEL, C1 with CSI, and the marks that turn the direction of text around.
_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[{_UNSAFE}]")

# What may stand together on a line: a run of letters with the blanks before it, or one wide character.
_PIECE = re.compile(r"\s*[^\s\u1100-\uffff]+|\s*[\u1100-\uffff]|\s+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """`fit` says what happens when the room is short: nothing, an ellipsis, or further lines."""

    title: str
    fit: Literal["keep", "cut", "wrap"] = "keep"
    right: bool = False


def width(text: str) -> int:
    """Columns of the screen that `text` takes: two for a Chinese character or an emoji, none for a combining mark."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    match unicodedata.category(character):
        case "Mn" | "Me" | "Cf":
            return 0
        case "Cn":  # not assigned, which counts as wide in Python's table
            return 1
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def safe(text: str) -> str:
    """`text` with every control character spelt out (`\\x1b`), and its line breaks and tabs kept."""
    text = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _CONTROL.sub(lambda match: _spelt(match[0]), text)


def one_line(text: str) -> str:
    """`text` safe and on one line, each run of blanks one space."""
    return " ".join(safe(text).split())


def _spelt(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cut(text: str, room: int) -> str:
    """The beginning of `text` that fits into `room` columns, with an ellipsis where something is missing."""
    if width(text) <= room:
        return text
    kept, used = [], 1
    for character in text:
        used += _width(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def wrap(text: str, room: int | None) -> list[str]:
    """The lines of `text`, none wider than `room`; broken at blanks or between Chinese characters, else anywhere."""
    lines: list[str] = []
    for line in text.expandtabs(4).split("\n"):
        lines += [line.rstrip()] if room is None or width(line) <= room else _wrapped(line, room)
    return lines


def _wrapped(line: str, room: int) -> Iterator[str]:
    so_far, used = "", 0
    for piece in _PIECE.findall(line):
        wide = width(piece)
        if so_far and used + wide > room:
            yield so_far.rstrip()
            piece = piece.lstrip()
            so_far, used, wide = "", 0, width(piece)
        while wide > room:
            head = _head(piece, room)
            yield head
            piece = piece[len(head) :]
            wide = width(piece)
        so_far, used = so_far + piece, used + wide
    if so_far.strip() or not line.strip():
        yield so_far.rstrip()


def _head(text: str, room: int) -> str:
    """As much of `text` as fits, at least one character."""
    used = 0
    for index, character in enumerate(text):
        used += _width(character)
        if used > room and index:
            return text[:index]
    return text


def widths(columns: Sequence[Column], rows: Iterable[Sequence[str]], room: int | None) -> list[int]:
    """How wide each column is to be. Those that may shrink give way, the widest first; `room` None is no limit."""
    found = [width(column.title) for column in columns]
    for row in rows:
        for index, cell in enumerate(row):
            found[index] = max(found[index], *(width(line) for line in cell.expandtabs(4).split("\n")))
    if room is None:
        return found
    # No column is worth more than the screen, which also bounds the loop.
    shrinking = [index for index, column in enumerate(columns) if column.fit != "keep"]
    for index in shrinking:
        found[index] = min(found[index], room)
    over = sum(found) + len(GAP) * (len(columns) - 1) - room
    while over > 0 and shrinking:
        widest = max(shrinking, key=lambda index: found[index])
        if found[widest] <= LEAST:
            break
        found[widest] -= 1
        over -= 1
    return found


def row_lines(columns: Sequence[Column], row: Sequence[str], taken: Sequence[int]) -> Iterator[str]:
    """The lines of one row, in columns of these widths."""
    cells = [
        wrap(cell, wide) if column.fit == "wrap" else [cut(cell, wide) if column.fit == "cut" else cell]
        for column, cell, wide in zip(columns, row, taken, strict=True)
    ]
    for index in range(max(len(lines) for lines in cells)):
        line = [lines[index] if index < len(lines) else "" for lines in cells]
        yield GAP.join(_padded(cell, wide, column) for cell, wide, column in zip(line, taken, columns, strict=True))


def _padded(cell: str, wide: int, column: Column) -> str:
    blanks = " " * (wide - width(cell))
    return blanks + cell if column.right else cell + blanks


def render(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None) -> list[str]:
    """Header and rows. Cells hold safe text; only in a column that wraps may they hold several lines.

    `room` is the screen's width, None for no limit (a pipe). Where even the shrunk columns do not fit, the lines are
    longer than the screen: an id that is cut off could not be used.
    """
    taken = widths(columns, rows, room)
    titles = [column.title for column in columns]
    header = GAP.join(_padded(title, wide, column) for title, wide, column in zip(titles, taken, columns, strict=True))
    lines = [header]
    for row in rows:
        lines += row_lines(columns, row, taken)
    return [line.rstrip() for line in lines]
