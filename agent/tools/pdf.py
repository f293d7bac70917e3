"""PDF from Markdown blocks: A4 pages with an embedded Chinese font, an outline, page numbers and tables that break.

Knows blocks and how they flow over pages. Text itself is `typeset`'s. Deterministic: no dates, no random ids.
"""

import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Frame, Indenter, PageTemplate
from reportlab.platypus.flowables import Flowable, HRFlowable

from .flow import CELL_PADDING, LINES, Entry, Place, Text, grid
from .made import ToolInputError
from .markdown import (
    Block,
    Code,
    Heading,
    Item,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Run,
    Runs,
    Table,
    bold,
    plain,
    tables,
    with_addresses,
)
from .typeset import TEXT, Faces, Layout, Style, glyph_widths, lay_out, natural_width
from .widths import share

# Of WeCom's 20 MB this is far below; a reader's patience is the limit, and 60 s for the builder.
PAGE_LIMIT = 500
# More columns than this cannot be read on A4, whatever the font size.
COLUMN_LIMIT = 24
# From so many columns on the pages lie on their side.
WIDE_TABLE = 8

MARGIN = 56.0
INDENT = 18.0
QUOTE_INDENT = 14.0

BODY = Style(justify=True)
TITLE = Style(size=20, leading=30, bold=True, align="center", color="#0f2d52", after=14)
HEADINGS = tuple(
    Style(size=size, leading=round(size * 1.5), bold=True, color="#0f2d52", before=before, after=4)
    for size, before in ((17, 14), (14.5, 12), (12.5, 10), (11.5, 8), (10.5, 8), (10.5, 8))
)
FOOTER_COLOR = "#8b949e"
PAGE_COUNT = "page-count"
# All documents share reportlab's fonts, and each of these reads its file from one position.
_DRAWING = threading.Lock()
BULLETS = "•◦▪"
# Points that must be left on a page below a heading.
BELOW_HEADING = 80.0
# Points that text always has, however deep it is nested.
ROOM_LEAST = 140.0

QUOTED = replace(BODY, color="#57606a")
CODE = Style(size=8.5, leading=13, code=True, after=8)
CELL = Style(size=9.5, leading=14, after=0)


@dataclass(frozen=True, slots=True)
class Report:
    """What the model is told about the pages."""

    pages: int
    lost: str


def build_pdf(blocks: Sequence[Block], title: str) -> tuple[bytes, Report]:
    """The file and what is worth saying about it.

    Raises:
        ToolInputError: more pages or table columns than a PDF here may have.
    """
    faces = Faces()
    columns = max((len(table.header) for table in tables(blocks)), default=0)
    if columns > COLUMN_LIMIT:
        raise ToolInputError(
            f"a table has {columns} columns and a PDF page has room for {COLUMN_LIMIT}: "
            "use create_spreadsheet, or split the table"
        )
    size = landscape(A4) if columns > WIDE_TABLE else A4
    width = size[0] - 2 * MARGIN
    story: list[Any] = []
    if title:
        story.append(Text(lay_out(faces, (Run(title),), TITLE, width), outline=Entry(title, 0, "title")))
    story.extend(_Story(faces, width, 1 if title else 0).blocks(blocks, Place()))
    glyph_widths(TEXT)  # the page numbers need it, whatever the content
    output = io.BytesIO()
    document = BaseDocTemplate(
        output, pagesize=size, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=title, author="", subject="", creator="wecom-agent", lang="zh-CN", invariant=1, pageCompression=1,
    )  # fmt: skip
    frame = Frame(MARGIN, MARGIN, width, size[1] - 2 * MARGIN, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=_number_page, pagesize=size))
    with _DRAWING:
        document.build(story or [Text(lay_out(faces, (), BODY, width))], canvasmaker=_Canvas)
    return output.getvalue(), Report(document.page, faces.lost)


class _Canvas(Canvas):  # type: ignore[misc]
    """Fills in the number of pages at the end, in a form that every page shows."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # Otherwise every page names Helvetica, which is embedded nowhere.
        super().__init__(*args, **options | {"initialFontName": TEXT})

    def save(self) -> None:
        self.beginForm(PAGE_COUNT)
        self.setFont(TEXT, 8)
        self.setFillColor(HexColor(FOOTER_COLOR))
        self.drawString(0, 0, str(self.getPageNumber() - 1))
        self.endForm()
        super().save()


def _number_page(canvas: Any, document: Any) -> None:
    if document.page > PAGE_LIMIT:
        raise ToolInputError(f"the document has more than {PAGE_LIMIT} pages: send it as several documents")
    width = document.pagesize[0]
    canvas.saveState()
    canvas.setFont(TEXT, 8)
    canvas.setFillColor(HexColor(FOOTER_COLOR))
    canvas.drawRightString(width / 2 + 4, MARGIN / 2, f"{document.page} / ")
    canvas.translate(width / 2 + 4, MARGIN / 2)
    canvas.doForm(PAGE_COUNT)
    canvas.restoreState()


class _Story:
    """Blocks as flowables."""

    def __init__(self, faces: Faces, width: float, outline_level: int) -> None:
        self._faces = faces
        self._width = width
        # Outline levels may not jump: a level 3 behind a level 1 becomes a level 2.
        self._lowest = outline_level
        self._latest = outline_level - 1
        self._count = 0

    def blocks(self, blocks: Sequence[Block], place: Place) -> Iterator[Flowable]:
        for block in blocks:
            match block:
                case Heading():
                    heading = self._heading(block, place)
                    # reportlab's own way to keep it with a table would move the whole table to the next page.
                    yield CondPageBreak(heading.wrap(0, 0)[1] + BELOW_HEADING)
                    yield heading
                case Paragraph(runs):
                    yield self._text(runs, QUOTED if place.bars else BODY, place)
                case Listing():
                    yield from self._list(block, place)
                case Quote(inner):
                    indent = min(place.indent + QUOTE_INDENT, self._width - ROOM_LEAST)
                    bars = (*place.bars, place.indent + 2)
                    yield from self.blocks(inner, replace(place, indent=indent, bars=bars))
                case Code(_, text):
                    layout = lay_out(self._faces, (Run(text),), CODE, self._room(place) - 2 * Text.PADDING)
                    yield Text(layout, place, is_boxed=True)
                case Table():
                    yield Indenter(place.indent)
                    yield self._table(block, place)
                    yield Indenter(-place.indent)
                case Rule():
                    yield HRFlowable(width="100%", thickness=0.6, color=HexColor(LINES), spaceBefore=6, spaceAfter=12)

    def _room(self, place: Place) -> float:
        return max(self._width - place.indent, ROOM_LEAST)

    def _text(self, runs: Runs, style: Style, place: Place, marker: Layout | None = None) -> "Text":
        return Text(lay_out(self._faces, with_addresses(runs), style, self._room(place)), place, marker=marker)

    def _heading(self, heading: Heading, place: Place) -> "Text":
        style = HEADINGS[heading.level - 1]
        outline = None
        if place.is_top:
            self._latest = min(self._lowest + heading.level - 1, self._latest + 1)
            self._count += 1
            outline = Entry(plain(heading.runs).replace("\n", " "), self._latest, f"heading-{self._count}")
        layout = lay_out(self._faces, with_addresses(heading.runs), style, self._room(place))
        return Text(layout, place, outline=outline)

    def _list(self, listing: Listing, place: Place) -> Iterator[Flowable]:
        style = replace(QUOTED if place.bars else BODY, after=3)
        markers = [self._marker(listing, index, item, place.depth) for index, item in enumerate(listing.items)]
        indent = max([INDENT, *(marker.lines[0].width + 6 for marker in markers)])
        inner = Place(min(place.indent + indent, self._width - ROOM_LEAST), place.bars, place.depth + 1)
        for item, marker in zip(listing.items, markers, strict=True):
            first, rest = (item.blocks[0], item.blocks[1:]) if item.blocks else (None, ())
            if isinstance(first, Paragraph):
                yield self._text(first.runs, style, inner, marker)
            else:
                # A marker of its own line, then what the item holds.
                yield self._text((), style, inner, marker)
                rest = item.blocks
            yield from self.blocks(rest, inner)

    def _marker(self, listing: Listing, index: int, item: Item, depth: int) -> Layout:
        if item.done is not None:
            text = "☑" if item.done else "☐"
        elif listing.start is not None:
            text = f"{listing.start + index}."
        else:
            text = BULLETS[depth % len(BULLETS)]
        return lay_out(self._faces, (Run(text),), replace(BODY, justify=False), self._width)

    def _table(self, table: Table, place: Place) -> Flowable:
        count = len(table.header)
        size = 9.5 if count <= 6 else 8.5 if count <= 10 else 7.0
        style = replace(CELL, size=size, leading=round(size * 1.45, 1))
        rows = [tuple(bold(cell) for cell in table.header)]
        rows += [tuple(with_addresses(cell) for cell in row) for row in table.rows]
        naturals = [
            max(natural_width(self._faces, row[column], style) for row in rows) + 2 * CELL_PADDING + 1
            for column in range(count)
        ]
        widths = share(naturals, self._room(place))
        aligned = [replace(style, align=align) for align in table.align]
        laid = [
            [
                lay_out(self._faces, cell, aligned[column], max(widths[column] - 2 * CELL_PADDING, size))
                for column, cell in enumerate(row)
            ]
            for row in rows
        ]
        return grid(laid, widths)
