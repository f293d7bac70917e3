"""What flows over the pages of a PDF: laid out text with what stands beside it, and tables that break."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.platypus import Table as PageTable
from reportlab.platypus.flowables import Flowable

from .typeset import Layout

LINES = "#d0d7de"
CELL_PADDING = 5.0
# A row of a table with more lines may be broken over pages, a header with more is not repeated.
ROW_LINES = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: points from the left margin, bars of the quotes around it, depth in lists."""

    indent: float = 0.0
    bars: tuple[float, ...] = ()
    depth: int = 0

    @property
    def is_top(self) -> bool:
        return not self.depth and not self.bars


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the outline; levels count from 0."""

    title: str
    level: int
    key: str


def grid(rows: Sequence[Sequence[Layout]], widths: Sequence[float]) -> PageTable:
    """The table. It breaks over pages between rows, so a tall row is made of several that show no line between them."""
    cells: list[list[Text]] = []
    look: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        *((f"{side}PADDING", (0, 0), (-1, -1), CELL_PADDING) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")),
        ("LINEABOVE", (0, 0), (-1, 0), 0.5, HexColor(LINES)),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, HexColor(LINES)),
    ]
    for row in rows:
        lines = max(len(cell.lines) for cell in row)
        size = math.ceil(lines / math.ceil(lines / ROW_LINES))
        for start in range(0, lines, size):
            if start:
                above, below = (0, len(cells) - 1), (0, len(cells))
                look += (
                    ("LINEBELOW", above, (-1, above[1]), 1, white),
                    ("BOTTOMPADDING", above, (-1, above[1]), 0),
                    ("TOPPADDING", below, (-1, below[1]), 0),
                )
            cells.append([Text(cell.part(start, start + size)) for cell in row])
    has_low_header = max(len(cell.lines) for cell in rows[0]) <= ROW_LINES
    if has_low_header:
        look.append(("BACKGROUND", (0, 0), (-1, 0), HexColor("#e8eef7")))
    look.append(("LINEBEFORE", (0, 0), (-1, -1), 0.5, HexColor(LINES)))
    look.append(("LINEAFTER", (-1, 0), (-1, -1), 0.5, HexColor(LINES)))
    return PageTable(
        cells, widths, style=look, repeatRows=int(has_low_header), hAlign="LEFT", spaceBefore=4, spaceAfter=10
    )


class Text(Flowable):  # type: ignore[misc]
    """Laid out text that flows over pages, with the bars, box or marker beside it."""

    PADDING = 7.0

    def __init__(
        self,
        layout: Layout,
        place: Place = Place(),
        *,
        marker: Layout | None = None,
        outline: Entry | None = None,
        is_boxed: bool = False,
        is_rest: bool = False,
    ) -> None:
        super().__init__()
        self._layout, self._place, self._marker, self._outline = layout, place, marker, outline
        self._is_boxed = is_boxed
        style = layout.style
        self._padding = self.PADDING if is_boxed else 0.0
        # A quote's bar has no gaps, so the space behind belongs to the text there.
        self._tail = style.after if place.bars else 0.0
        self.spaceBefore = 0.0 if is_rest or place.bars else style.before
        self.spaceAfter = 0.0 if place.bars else style.after

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        self.width = width
        self.height = self._layout.height + 2 * self._padding + self._tail
        return width, self.height

    def split(self, width: float, height: float) -> list[Flowable]:
        leading = self._layout.style.leading
        lines = len(self._layout.lines)
        fitting = int((height - 2 * self._padding) / leading)
        if fitting >= lines:  # only the space behind the text does not fit
            fitting = lines - 1
        if lines - fitting == 1 and fitting > 2:
            fitting -= 1  # no single line on the next page
        if fitting < 1 or (fitting == 1 and lines > 1 and height < 4 * leading):
            return []
        first = Text(
            self._layout.part(0, fitting), self._place,
            marker=self._marker, outline=self._outline, is_boxed=self._is_boxed,
        )  # fmt: skip
        rest = Text(self._layout.part(fitting), self._place, is_boxed=self._is_boxed, is_rest=True)
        return [first, rest]

    def draw(self) -> None:
        canvas, x = self.canv, self._place.indent
        if self._outline is not None:
            canvas.bookmarkPage(self._outline.key)
            canvas.addOutlineEntry(self._outline.title or "—", self._outline.key, self._outline.level)
        if self._is_boxed:
            canvas.setFillColor(HexColor("#f3f5f7"))
            canvas.roundRect(x, self._tail, self.width - x, self.height - self._tail, 3, stroke=0, fill=1)
        draw_bars(canvas, self._place.bars, self.height)
        if self._marker is not None:
            self._marker.draw(canvas, x - self._marker.lines[0].width - 6, self.height)
        self._layout.draw(canvas, x + self._padding, self.height - self._padding)


def draw_bars(canvas: Any, bars: Sequence[float], height: float) -> None:
    canvas.setFillColor(HexColor(LINES))
    for bar in bars:
        canvas.rect(bar, 0, 2.5, height, stroke=0, fill=1)
