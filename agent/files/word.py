"""Word documents (.docx, .docm) by python-docx, as Markdown. For the child.

The library opens the package; the walk over its elements is ours, because what it offers leaves out what matters in
contracts: the numbers of articles, insertions that are not yet accepted, filled-in content controls, text boxes,
footnotes. What is deleted or hidden in the document is left out here, too.
"""

import contextlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO

from docx.opc import pkgreader
from docx.opc.part import PartFactory
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart
from lxml import etree

from agent.files import archive, grid
from agent.files.extract import Extract, Limits
from agent.files.kinds import Sort
from agent.files.manuscript import Full, Manuscript, line
from agent.files.numbering import Numbering, integer, value
from agent.files.outline import guess

_PACKAGES: Any = pkgreader
# Documents with macros and templates, which the library does not count among documents.
_DOCUMENTS = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
_HEADING = re.compile(r"(?:heading|标题)\s*([1-9])", re.IGNORECASE)
_CONTENTS = re.compile(r"(?:toc|目录)\s*\d*$|toc heading|table of figures", re.IGNORECASE)
_LEFT_OUT = frozenset({"pPr", "rPr", "sdtPr", "del", "moveFrom", "txbxContent", "Fallback", "instrText", "delText"})
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# Ticks and boxes of the symbol fonts, in the private range where Word keeps them.
_SYMBOLS = {"F0FE": "☑", "F052": "☑", "F0A8": "☐", "F06F": "☐", "F0FC": "✓", "F0FB": "✗"}
_BODY_TEXT = 10
_MARGIN_LINES = 12


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """A document; facts: title."""
    archive.check(file, limits)
    for kind in _DOCUMENTS:
        PartFactory.part_type_for[kind] = DocumentPart
    _PACKAGES.PackageReader._srels_for = staticmethod(_relations)
    package = Package.open(file)
    document = _Document(package.main_document_part, out)
    with contextlib.suppress(Full):
        document.write()
    extract = out.extract("docx", {"title": line(package.core_properties.title or "")})
    return extract if extract.outline else guess(extract)


def _relations(reader: Any, source: Any) -> Any:
    """The relations of a part without those to nothing, which Word tolerates and the library does not."""
    found = _PACKAGES._SerializedRelationships.load_from_xml(source.baseURI, reader.rels_xml_for(source))
    there = set(reader._zipf.namelist())
    found._srels = [each for each in found if each.is_external or each.target_partname.membername in there]
    return found


class _Document:
    """One document on its way into the manuscript."""

    def __init__(self, part: Any, out: Manuscript) -> None:
        self._part = part
        self._out = out
        self._numbering = Numbering(next(self._beside("numbering"), None))
        styles = next(self._beside("styles"), None)
        found = styles.iterchildren(qn("w:style")) if styles is not None else ()
        self._styles = {each.get(qn("w:styleId")): each for each in found}
        self._style = cache(self._look_up)
        self._notes_of = cache(self._read_notes)
        self._notes: list[str] = []
        self._listed = False

    def write(self) -> None:
        self._blocks(self._part.element.body)
        self._end_list()
        if self._notes:
            self._section("footnotes", [f"[^{at}]: {text}" for at, text in enumerate(self._notes, 1)])
        comments = [each for root in self._beside("comments") for each in root]
        self._section("comments", [f"- {each.get(qn('w:author'))}: {self._line(each)}" for each in comments])
        # They often hold the number and the classification of a document; each line once.
        margins = [self._line(p) for kind in ("header", "footer") for root in self._beside(kind) for p in root]
        texts = dict.fromkeys(text for text in margins if any(map(str.isalpha, text)))
        self._section("headers and footers", list(texts)[:_MARGIN_LINES])

    def _section(self, name: str, lines: list[str]) -> None:
        if lines:
            self._out.part(name)
            self._out.paragraph("\n".join(lines))

    def _beside(self, kind: str) -> Iterator[Any]:
        """The root elements of the parts that the document has of a kind."""
        for relation in self._part.rels.values():
            if relation.reltype.rpartition("/")[2] == kind and not relation.is_external:
                part = relation.target_part
                yield part.element if hasattr(part, "element") else parse_xml(part.blob)

    def _look_up(self, style: str, depth: int = 0) -> tuple[str, int | None, tuple[str, int] | None]:
        """(name, outline level from 1, numbering) of a style, also as inherited."""
        element = self._styles.get(style)
        if element is None or depth > 20:
            return "", None, None
        name = value(element, "w:name") or ""
        _, level, number = self._look_up(value(element, "w:basedOn") or "", depth + 1)
        properties = element.find(qn("w:pPr"))
        heading = _HEADING.match(name)
        own = int(heading[1]) if heading else 1 if name.lower() == "title" else _outline_level(properties)
        return name, own or level, _number(properties, number) or number

    # Blocks.

    def _blocks(self, parent: Any) -> None:
        for each in parent:
            match _local(each):
                case "p":
                    self._paragraph(each)
                case "tbl":
                    self._end_list()
                    self._table(each)
                case "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo" | "smartTag":
                    self._blocks(each)

    def _paragraph(self, element: Any) -> None:
        text = self._text(element)
        name, level, label, depth = self._shape(element, text)
        if _CONTENTS.match(name):
            return
        if level is not None and level < _BODY_TEXT and text:
            self._end_list()
            self._out.heading(level, text if label == "-" else f"{label} {text}")
        elif label and text:
            self._listed = True
            indented = text.replace("\n", "\n" + "  " * (depth + 1))
            self._out.write(f"{'  ' * depth}{label} {indented}")
        elif text:
            self._end_list()
            self._out.paragraph(text)
        for box in element.iter(qn("w:txbxContent")):
            if not any(_local(above) in ("Fallback", "txbxContent") for above in box.iterancestors()):
                self._end_list()
                self._blocks(box)

    def _shape(self, element: Any, text: str) -> tuple[str, int | None, str, int]:
        """(style's name, outline level, label, depth of its list); counts the label."""
        properties = element.find(qn("w:pPr"))
        name, level, number = self._style(value(properties, "w:pStyle") or "")
        number = _number(properties, number) or number
        label = self._numbering.label(*number) if text and number and number[0] != "0" else ""
        return name, _outline_level(properties) or level, label, number[1] if number else 0

    def _end_list(self) -> None:
        if self._listed:
            self._listed = False
            self._out.write("\n")

    def _table(self, element: Any) -> None:
        rows = list(_inside(element, "tr"))
        cells = [list(_inside(row, "tc")) for row in rows]
        if max(map(len, cells), default=0) == 1:  # a frame around text, not a table
            for row in cells:
                for each in row:
                    self._blocks(each)
        elif rows:
            self._out.paragraph(grid.table([self._row(row) for row in cells]))

    def _row(self, cells: list[Any]) -> list[str]:
        texts: list[str] = []
        for each in cells:
            properties = each.find(qn("w:tcPr"))
            merged = properties.find(qn("w:vMerge")) if properties is not None else None
            continued = merged is not None and merged.get(qn("w:val")) != "restart"
            texts.append("" if continued else self._cell(each))
            texts += [""] * (min(integer(value(properties, "w:gridSpan"), 1), 64) - 1)
        return texts

    def _cell(self, element: Any) -> str:
        lines = []
        for each in element.iter(qn("w:p")):
            text = self._text(each)
            lines.append(f"{self._shape(each, text)[2]} {text}".strip())
        return "\n".join(filter(None, lines))

    # Text within a paragraph.

    def _text(self, element: Any) -> str:
        return "".join(self._pieces(element)).strip()

    def _line(self, element: Any) -> str:
        return line("".join(self._pieces(element)))

    def _pieces(self, parent: Any) -> Iterator[str]:
        for each in parent:
            kind = _local(each)
            if kind in _LEFT_OUT or (kind == "r" and _is_hidden(each)):
                continue
            if kind == "t":
                yield each.text or ""
            elif kind in _CHARACTERS:
                yield _CHARACTERS[kind]
            elif kind == "sym":
                yield _SYMBOLS.get((each.get(qn("w:char")) or "").upper(), "□")
            elif kind in ("footnoteReference", "endnoteReference"):
                yield self._note(kind.removesuffix("Reference") + "s", each.get(qn("w:id")))
            elif kind in ("blip", "imagedata"):
                yield self._image(each.get(qn("r:embed")) or each.get(qn("r:id")))
            else:
                yield from self._pieces(each)

    def _image(self, relation: str | None) -> str:
        found = self._part.rels.get(relation)
        return self._out.image(found.target_part.partname.lstrip("/")) if found and not found.is_external else ""

    def _note(self, kind: str, number: str | None) -> str:
        self._notes.append(self._notes_of(kind).get(number, ""))
        return f"[^{len(self._notes)}]"

    def _read_notes(self, kind: str) -> dict[str | None, str]:
        return {each.get(qn("w:id")): self._line(each) for root in self._beside(kind) for each in root}


def _local(element: etree._Element) -> str:
    """An element's name without its namespace; empty for what is no element."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _inside(parent: Any, name: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, also those in content controls and insertions."""
    for each in parent:
        if _local(each) == name:
            yield each
        elif _local(each) in ("sdt", "sdtContent", "customXml", "ins"):
            yield from _inside(each, name)


def _is_hidden(run: Any) -> bool:
    found = run.find(f"{qn('w:rPr')}/{qn('w:vanish')}")
    return found is not None and found.get(qn("w:val")) not in ("0", "false", "off")


def _outline_level(properties: Any) -> int | None:
    """From 1; _BODY_TEXT for what is explicitly no heading."""
    text = value(properties, "w:outlineLvl")
    return integer(text, _BODY_TEXT - 1) + 1 if text is not None else None


def _number(properties: Any, inherited: tuple[str, int] | None) -> tuple[str, int] | None:
    """(list, level from 0); a paragraph may name the level alone."""
    numbering = properties.find(qn("w:numPr")) if properties is not None else None
    if numbering is None:
        return None
    number = value(numbering, "w:numId") or (inherited[0] if inherited else "0")
    return number, min(integer(value(numbering, "w:ilvl")), 8)
