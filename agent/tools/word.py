"""DOCX from Markdown blocks: real headings, lists, tables and links. Deterministic.

Knows WordprocessingML. What the styles look like is in `word_styles`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import docx
from docx.document import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.section import Section
from docx.shared import Emu, Pt, RGBColor, Twips
from docx.text.paragraph import Paragraph as WordParagraph

from .markdown import (
    Block,
    Code,
    Heading,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Run,
    Runs,
    Table,
    bold,
    is_openable,
    plain,
    tables,
    with_addresses,
)
from .package import settle
from .widths import em_width, share
from .word_styles import (
    BULLETS,
    CELL_SIZE,
    CODE,
    INDENT,
    INLINE_CODE,
    LEVELS,
    NUMBERS,
    TABLE_TEXT,
    draw_border,
    element,
    set_numbering,
    set_page,
    set_styles,
)

LINK = RGBColor(0x0B, 0x57, 0xD0)
# Of a table's cells, left and right. Word puts a table's text at the margin, and so its border this far outside.
CELL_MARGIN = Twips(108)
# From so many columns on the pages lie on their side, as in the PDF.
WIDE_TABLE = 8
_ALIGN = {"left": WD_ALIGN_PARAGRAPH.LEFT, "center": WD_ALIGN_PARAGRAPH.CENTER, "right": WD_ALIGN_PARAGRAPH.RIGHT}


def build_word(blocks: Sequence[Block], title: str) -> bytes:
    """The file."""
    document = docx.Document()
    set_styles(document)
    set_numbering(document)
    set_page(document, is_wide=_columns(blocks) > WIDE_TABLE)
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title[:255], "", ""
    properties.language = "zh-CN"
    if title:
        document.add_paragraph(title, style="Title")
    _Writer(document).blocks(blocks, _Place())
    output = io.BytesIO()
    document.save(output)
    return settle(output.getvalue())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block stands: depth in lists, depth in quotes."""

    depth: int = 0
    quotes: int = 0


class _Writer:
    """Writes blocks to the end of the document, and the lists that they need."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._numbering = document.part.numbering_part.element
        self._lists = NUMBERS
        self._relations: dict[str, str] = {}

    def blocks(self, blocks: Sequence[Block], place: _Place) -> None:
        for before, block in pairwise((None, *blocks)):
            match block:
                case Heading(level, runs):
                    # A heading in a list or quote is one of the text, not of the document's outline.
                    style = f"Heading {level}" if place == _Place() else None
                    self._runs(self._paragraph(place, style), runs if style else bold(runs))
                case Paragraph(runs):
                    self._runs(self._paragraph(place), runs)
                case Listing():
                    self._list(block, place)
                case Quote(inner):
                    self.blocks(inner, replace(place, quotes=place.quotes + 1))
                case Code(_, text):
                    if isinstance(before, Code):  # or the two would be one grey box
                        self._gap()
                    paragraph = self._paragraph(place, CODE)
                    self._runs(paragraph, (Run(text.expandtabs(4)),))
                case Table():
                    self._table(block, place)
                case Rule():
                    properties = self._paragraph(place)._p.get_or_add_pPr()
                    draw_border(properties, "bottom", size=6, space=1)

    def _paragraph(self, place: _Place, style: str | None = None) -> WordParagraph:
        paragraph: WordParagraph = self._document.add_paragraph(style=style or ("Quote" if place.quotes else None))
        if place.depth or place.quotes > 1:
            paragraph.paragraph_format.left_indent = INDENT * (place.depth + place.quotes)
        return paragraph

    def _list(self, listing: Listing, place: _Place) -> None:
        level = min(place.depth, LEVELS - 1)
        number = self._begin(listing.start, level)
        inner = replace(place, depth=place.depth + 1)
        for item in listing.items:
            paragraph = self._paragraph(replace(place, depth=0))
            rest = item.blocks
            runs: Runs = () if item.done is None else (Run("☑\t" if item.done else "☐\t"),)
            if rest and isinstance(first := rest[0], Paragraph):
                runs, rest = (*runs, *first.runs), rest[1:]
            self._runs(paragraph, runs)
            if item.done is None:
                place_in_list = element("numPr", element("ilvl", val=str(level)), element("numId", val=str(number)))
                paragraph._p.get_or_add_pPr().insert_element_before(place_in_list, "w:ind")
            paragraph.paragraph_format.left_indent = INDENT * (place.depth + place.quotes + 1)
            paragraph.paragraph_format.first_line_indent = -INDENT
            paragraph.paragraph_format.space_after = Pt(3)
            self.blocks(rest, inner)

    def _begin(self, start: int | None, level: int) -> int:
        """The number of a list that begins here. Each numbered list has its own, or Word would go on counting from the
        one before; bullets share one."""
        if start is None:
            return BULLETS
        self._lists += 1
        begin = element("lvlOverride", element("startOverride", val=str(start)), ilvl=str(level))
        number = element("num", element("abstractNumId", val=str(NUMBERS)), begin, numId=str(self._lists))
        self._numbering.append(number)
        return self._lists

    def _table(self, table: Table, place: _Place) -> None:
        rows: list[tuple[Runs, ...]] = [tuple(bold(cell) for cell in table.header), *table.rows]
        made = self._document.add_table(len(rows), len(table.header), style="Table Grid")
        style = self._document.styles[TABLE_TEXT].style_id
        indent = INDENT * (place.depth + place.quotes)
        widths = _column_widths(table, self._document.sections[0], indent)
        for column, width in zip(made._tbl.tblGrid.gridCol_lst, widths, strict=True):
            column.w = width
        for index, (row, cells) in enumerate(zip(made._tbl.tr_lst, rows, strict=True)):
            properties = row.get_or_add_trPr()
            properties.append(element("cantSplit"))
            if index == 0:
                properties.append(element("tblHeader"))
            for cell, runs, align, width in zip(row.tc_lst, cells, table.align, widths, strict=True):
                cell.width = width
                cell.p_lst[0].style = style  # by its id: the name would be looked up among all styles for each cell
                paragraph = WordParagraph(cell.p_lst[0], self._document._body)
                paragraph.alignment = _ALIGN[align]
                self._runs(paragraph, runs)
                if index == 0:
                    cell.get_or_add_tcPr().append(element("shd", val="clear", color="auto", fill="E8EEF7"))
        shift = str(Emu(indent + CELL_MARGIN).twips)
        made._tbl.tblPr.find(qn("w:tblW")).addnext(element("tblInd", w=shift, type="dxa"))
        self._gap()  # or two tables in a row would become one

    def _gap(self) -> None:
        gap = self._document.add_paragraph()
        gap.paragraph_format.space_after = Pt(0)
        gap.paragraph_format.line_spacing = Pt(8)

    def _runs(self, paragraph: WordParagraph, runs: Runs) -> None:
        for run in with_addresses(runs):
            made = paragraph.add_run(run.text)
            made.bold, made.italic, made.font.strike = run.bold or None, run.italic or None, run.strike or None
            if run.code:
                made.style = INLINE_CODE
            if is_openable(run.url):
                made.font.color.rgb, made.font.underline = LINK, True
                link = OxmlElement("w:hyperlink", {qn("r:id"): self._relation(run.url)})
                made._r.addprevious(link)
                link.append(made._r)

    def _relation(self, url: str) -> str:
        if url not in self._relations:
            self._relations[url] = self._document.part.relate_to(url, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
        return self._relations[url]


def _column_widths(table: Table, section: Section, indent: int) -> list[Emu]:
    room = (section.page_width or 0) - (section.left_margin or 0) - (section.right_margin or 0) - indent
    naturals = [
        max(em_width(line) for cells in (table.header, *table.rows) for line in plain(cells[column]).split("\n"))
        * CELL_SIZE + 14
        for column in range(len(table.header))
    ]  # fmt: skip
    return [Emu(int(width * 12_700)) for width in share(naturals, max(room / 12_700, 72))]


def _columns(blocks: Sequence[Block]) -> int:
    return max((len(table.header) for table in tables(blocks)), default=0)
