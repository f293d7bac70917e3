"""Text, Markdown, source code, JSON, CSV and TSV. For the child; a huge file costs no more than its beginning."""

import contextlib
import csv
import io
import json
import re
from typing import Any, BinaryIO

from agent.files import grid
from agent.files.decoding import decode
from agent.files.extract import Extract, Limits
from agent.files.grid import Grid
from agent.files.kinds import Sort
from agent.files.manuscript import Full, Manuscript
from agent.files.outline import guess

_HEADING = re.compile(r"(#{1,6})\s+(.*?)#*\s*$")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_DELIMITERS = ",;\t|"
_LONG_LINE = 2000
_FIELD_CHARACTERS = 1_000_000


def text(file: BinaryIO, limits: Limits, declared: bool = False) -> tuple[str, str, bool]:
    """(text, encoding, whether there is more): at most about `limits.characters` of it."""
    data = file.read(limits.characters * 4)  # no encoding takes more bytes for a character
    decoded, encoding = decode(data, declared)
    return decoded, encoding, bool(file.read(1))


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """Any of the kinds; facts: encoding, of tables rows and columns, of code its format."""
    content, encoding, out.truncated = text(file, limits, declared=sort.format == "xml")
    facts: dict[str, Any] = {"encoding": encoding, "format": sort.format}
    if sort.kind in ("csv", "tsv"):
        with contextlib.suppress(Full):
            facts |= _table(content, sort.kind, _count_lines(file), limits, out)
        return out.extract(sort.kind, facts)
    if sort.kind == "json":
        content = _indented(content)
    with contextlib.suppress(Full):
        if sort.kind == "markdown":
            _markdown(content, out)
        else:
            out.write(content)
    extract = out.extract(sort.kind, facts)
    return guess(extract) if sort.kind == "text" else extract


def _markdown(content: str, out: Manuscript) -> None:
    fenced = ""
    for line in content.splitlines(keepends=True):
        fence = _FENCE.match(line)
        if fence:
            fenced = "" if fenced == fence[1] else fenced or fence[1]
        heading = None if fenced else _HEADING.match(line)
        if heading:
            out.enter(heading[2], len(heading[1]))
        out.write(line)


def _indented(content: str) -> str:
    """JSON that a machine wrote on one line, made readable; anything else as it is."""
    if max(map(len, content.splitlines()), default=0) <= _LONG_LINE:
        return content
    try:
        return json.dumps(json.loads(content), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return content


def _table(content: str, kind: str, lines: int, limits: Limits, out: Manuscript) -> dict[str, int]:
    csv.field_size_limit(_FIELD_CHARACTERS)
    delimiter = "\t" if kind == "tsv" else _delimiter(content)
    found = Grid("table")
    with contextlib.suppress(csv.Error):  # what could be read stands
        for number, row in enumerate(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter), 1):
            if number > limits.rows:
                found.height = max(lines, number)
                break
            cells = {column: value.strip() for column, value in enumerate(row, 1) if value.strip()}
            if cells:
                found.rows.append((number, cells))
    if out.truncated:
        found.height = max(found.height, lines)
    grid.write(found, out, columns=limits.columns, room=out.room - 1000)
    return {"rows": found.height, "columns": found.width}


def _delimiter(content: str) -> str:
    """What divides the first lines most evenly. Excel writes semicolons in many countries, tabs as "Unicode text"."""
    lines = content[:20_000].splitlines()[:20]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines if line.strip()]
        most = max(counts, key=counts.count, default=0)
        return (counts.count(most) if most else 0, most)

    return max(_DELIMITERS, key=evenness)


def _count_lines(file: BinaryIO) -> int:
    file.seek(0)
    return sum(piece.count(b"\n") for piece in iter(lambda: file.read(2**20), b""))
