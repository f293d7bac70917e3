"""Rows of cells as Markdown tables that stay readable in pieces: numbered rows, blocks with the header repeated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.files.manuscript import Manuscript, cell

BLOCK_ROWS = 200
# Above the header: titles and remarks that span the table ("2025年3月费用汇总表", "单位：元").
_CAPTIONS = 5

Cells = Mapping[int, str]


@dataclass(slots=True)
class Grid:
    """The rows of a sheet that are not empty: (row number from 1, {column number from 1: text}).

    `height` is the number of the sheet's last row, also when it lies behind the rows that were read. `remarks` are
    written before the table.
    """

    anchor: str
    rows: list[tuple[int, Cells]] = field(default_factory=list)
    height: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """The number of the last column."""
        return max((max(cells) for _, cells in self.rows), default=0)


def write(grid: Grid, out: Manuscript, *, columns: int, room: int) -> None:
    """Writes a sheet into at most about `room` characters and `columns` columns, and says what it left out.

    Raises Full when the manuscript takes no more.
    """
    grid.height = max(grid.height, grid.rows[-1][0] if grid.rows else 0)
    out.part(grid.anchor, f"{grid.height} rows x {grid.width} columns")
    first = min((min(cells) for _, cells in grid.rows), default=1)
    shown = range(first, min(grid.width, first + columns - 1) + 1)
    remarks = list(grid.remarks)
    if grid.width >= shown.stop > first:
        remarks.append(f"columns {letters(shown.stop)}-{letters(grid.width)} are left out")
        out.truncated = True
    for remark in remarks:
        out.write(f"({remark})")
    if not grid.rows:
        out.paragraph("(empty)")
        return
    captions = _captions(grid.rows)
    for _, cells in grid.rows[:captions]:
        out.write(next(iter(cells.values())))
    done = _table(grid, captions, shown, out, out.size + room)
    if done < grid.height:
        out.truncated = True
        out.write(f"(rows {done + 1}-{grid.height} are left out)")
    out.write("\n")


def _table(grid: Grid, captions: int, shown: range, out: Manuscript, end: int) -> int:
    """Writes header and rows until the manuscript has `end` characters; the number of the last row written."""
    header, body = grid.rows[captions], grid.rows[captions + 1 :]
    head = f"{_line('#', header[1], shown)}\n|{'---|' * (len(shown) + 1)}"
    out.write(f"(rows {header[0]}-{grid.height}, columns {letters(shown.start)}-{letters(shown.stop - 1)})")
    out.write(head)
    done = header[0]
    for start in range(0, len(body), BLOCK_ROWS):
        block = body[start : start + BLOCK_ROWS]
        if start:
            out.write("\n")
            out.part(f"{grid.anchor}, rows {block[0][0]}-{block[-1][0]}")
            out.write(head)
        lines = list(_fitting((_line(str(number), cells, shown) for number, cells in block), end - out.size))
        if lines:
            out.write("\n".join(lines))
            done = block[len(lines) - 1][0]
        if len(lines) < len(block):
            return done
    return grid.rows[-1][0]


def table(rows: Sequence[Sequence[str]]) -> str:
    """A small Markdown table without row numbers; the first row is its header."""
    width = max((len(row) for row in rows), default=0)
    lines = [f"| {' | '.join([*map(cell, row), *[''] * (width - len(row))])} |" for row in rows]
    lines.insert(1, "|" + "---|" * width)
    return "\n".join(lines) if width else ""


def letters(column: int) -> str:
    """The letters of a column: A for 1, AA for 27."""
    text = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def _captions(rows: Sequence[tuple[int, Cells]]) -> int:
    """How many rows stand above the header: single cells on top of something wider."""
    wide = (index for index, (_, cells) in enumerate(rows[: _CAPTIONS + 1]) if len(cells) > 1)
    return next(wide, 0)


def _line(label: str, cells: Cells, shown: range) -> str:
    return f"| {label} | {' | '.join(cell(cells.get(column, '')) for column in shown)} |"


def _fitting(lines: Iterator[str], room: int) -> Iterator[str]:
    for text in lines:
        room -= len(text) + 1
        if room < 0:
            return
        yield text
