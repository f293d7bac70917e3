"""Text files from Markdown: TXT with the marks gone, and Markdown itself with its pictures made links.

A picture in a Markdown file would be fetched by whatever shows it, which can carry data out; so would an HTML tag.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt

from .markdown import Block, Code, Heading, Listing, Paragraph, Quote, Rule, Runs, Table, plain, with_addresses
from .widths import columns

# Windows' Notepad and the previews of mail programs take a UTF-8 text without it for GBK.
_MARK = "\ufeff"
_RULE = "─" * 40
_PICTURE = re.compile(r"(?<![!\\])!\[([^\[\]\n]*)\]\(([^\s()<>]*)")
# An address in angle brackets is a link, everything else that begins like a tag may be one.
_TAG = re.compile(r"<(?=[A-Za-z/!?])(?!(?i:br)[ \t]*/?>|[A-Za-z][A-Za-z0-9+.-]+:[^\s<>]*>|[^\s<>@]+@[^\s<>@]+>)")


def build_text(blocks: Sequence[Block], title: str) -> bytes:
    """A TXT file, UTF-8 with a byte order mark, line ends as Windows wants them."""
    lines: list[str] = []
    if title:
        lines += [title, "═" * columns(title), ""]
    lines += _blocks(blocks)
    return (_MARK + "\r\n".join(line.rstrip() for line in lines).strip("\r\n") + "\r\n").encode()


def build_markdown(text: str, title: str) -> bytes:
    """A Markdown file, UTF-8: the text as it is, but for pictures and HTML tags."""
    if title:
        text = f"# {title}\n\n" + text.lstrip("\n")
    return (disarm(text).strip("\n") + "\n").encode()


def disarm(text: str) -> str:
    """The Markdown with nothing in it that a viewer would fetch; code stays as it is."""
    lines = text.split("\n")
    is_code = [False] * len(lines)
    for token in MarkdownIt("commonmark", {"html": False}).parse(text):
        if token.type in ("fence", "code_block") and token.map:
            first, last = token.map
            is_code[first:last] = [True] * (last - first)
    # Outside of blocks of code, spans of code stay too; they may go on over a line end.
    result: list[str] = []
    prose: list[str] = []
    for line, stays in zip((*lines, ""), (*is_code, True), strict=True):
        if not stays:
            prose.append(line)
            continue
        if prose:
            result.append(_disarm_prose("\n".join(prose)))
            prose = []
        result.append(line)
    disarmed = "\n".join(result[:-1])
    # Where a viewer would see prose in what is code here, no code is spared.
    return _disarm_marks(text) if _is_armed(disarmed) else disarmed


def _disarm_prose(text: str) -> str:
    return "".join(map(_disarm_paragraph, re.split(r"(\n[ \t]*\n)", text)))


def _disarm_paragraph(text: str) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in _code_spans(text):
        parts += (_disarm_marks(text[end:start]), text[start:stop])
        end = stop
    return "".join((*parts, _disarm_marks(text[end:])))


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    """From one run of backticks to the next of the same length, in linear time."""
    runs = [found.span() for found in re.finditer("`+", text)]
    following: list[int | None] = [None] * len(runs)
    latest: dict[int, int] = {}
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        following[index] = latest.get(length)
        latest[length] = index
    index = 0
    while index < len(runs):
        start = runs[index][0]
        closing = following[index]
        if closing is None or text[start - 1 : start] == "\\":
            index += 1
            continue
        yield start, runs[closing][1]
        index = closing + 1


def _disarm_marks(text: str) -> str:
    """`![a](b)` becomes `[a](b)`; where that is not plainly a picture, the mark is escaped and nothing is lost."""
    text = _PICTURE.sub(lambda found: f"[{found[1] or found[2] or 'image'}]({found[2]}", text)
    return _TAG.sub("&lt;", text.replace("![", "!\\["))


def _is_armed(text: str) -> bool:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return any(
        token.type == "html_block"
        or any(
            child.type == "image" or (child.type == "html_inline" and not child.content.lower().startswith("<br"))
            for child in token.children or ()
        )
        for token in parser.parse(text)
    )


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for before, block in pairwise((None, *blocks)):
        if before is not None:
            yield ""
        match block:
            case Heading(level, runs):
                text = _runs(runs).replace("\n", " ")
                yield text
                if level <= 2:
                    yield ("=" if level == 1 else "-") * columns(text)
            case Paragraph(runs):
                yield from _runs(runs).split("\n")
            case Listing():
                yield from _list(block)
            case Quote(inner):
                yield from (f"> {line}" for line in _blocks(inner))
            case Code(_, text):
                yield from (f"    {line}" for line in text.split("\n"))
            case Table():
                yield from _table(block)
            case Rule():
                yield _RULE


def _list(listing: Listing) -> Iterator[str]:
    for index, item in enumerate(listing.items):
        mark = "-" if listing.start is None else f"{listing.start + index}."
        if item.done is not None:
            mark += " [x]" if item.done else " [ ]"
        lines = list(_blocks(item.blocks))
        yield f"{mark} {lines[0] if lines else ''}"
        # Between an item's text and the list inside it no empty line is wanted.
        inside = lines[1:]
        if len(item.blocks) > 1 and isinstance(item.blocks[1], Listing) and "" in inside:
            inside.remove("")
        yield from (f"{' ' * (len(mark) + 1)}{line}" if line else "" for line in inside)


def _table(table: Table) -> Iterator[str]:
    rows = [[_runs(cell).split("\n") for cell in row] for row in (table.header, *table.rows)]
    widths = [max(columns(line) for row in rows for line in row[index]) for index in range(len(table.header))]
    for number, row in enumerate(rows):
        for line in range(max(map(len, row))):
            cells = [cell[line] if line < len(cell) else "" for cell in row]
            yield "  ".join(map(_pad, cells, widths, table.align))
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _pad(text: str, width: int, align: str) -> str:
    free = width - columns(text)
    left = free if align == "right" else free // 2 if align == "center" else 0
    return " " * left + text + " " * (free - left)


def _runs(runs: Runs) -> str:
    return plain(with_addresses(runs))
