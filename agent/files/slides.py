"""Presentations (.pptx, .pptm, .ppsx) by python-pptx as Markdown, a part for each slide. For the child.

What stands on a slide comes in the order of its places, from the top down: files keep it in the order of its making.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.oxml import parse_xml
from pptx.package import Package

from agent.files import archive, grid
from agent.files.extract import Extract, Limits
from agent.files.kinds import Sort
from agent.files.manuscript import Full, Manuscript, line

# Placeholders that repeat on every slide and say nothing of it.
_FURNITURE = (PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER)
# Places closer than this (in EMU, an eighth of an inch) count as one row.
_ROW = 114_300
_POINTS = 200
_TEXTS = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """A presentation; facts: slides, title."""
    archive.check(file, limits)
    package = Package.open(file)
    slides = package.main_document_part.presentation.slides
    with contextlib.suppress(Full):
        for number, slide in enumerate(slides, 1):
            _write(slide, number, out)
    return out.extract("pptx", {"slides": len(slides), "title": line(package.core_properties.title or "")})


def _write(slide: Any, number: int, out: Manuscript) -> None:
    hidden = " (hidden in the show)" if slide.element.get("show") in ("0", "false") else ""
    title = slide.shapes.title
    heading = line(title.text_frame.text) if title is not None else ""
    out.part(f"slide {number}", heading + hidden)
    if heading:
        out.paragraph(f"## {heading}{hidden}")
    for shape in _shapes(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _shape(shape, slide, out)
    for relation in slide.part.rels.values():
        if relation.reltype.endswith("/diagramData") and not relation.is_external:  # SmartArt
            texts = (line(each.text or "") for each in parse_xml(relation.target_part.blob).iter(_TEXTS))
            out.paragraph("\n".join(f"- {text}" for text in texts if text))
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if notes is not None and notes.text.strip():
        out.paragraph(f"Speaker notes: {notes.text}")


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:
    """The shapes in the order of their places, those of a group where the group stands."""
    for each in sorted(shapes, key=lambda shape: ((shape.top or 0) // _ROW, shape.left or 0)):
        if each.is_placeholder and each.placeholder_format.type in _FURNITURE:
            continue
        if hasattr(each, "shapes") and depth < 20:
            yield from _shapes(each.shapes, depth + 1)
        else:
            yield each


def _shape(shape: Any, slide: Any, out: Manuscript) -> None:
    if shape.has_text_frame:
        listed = shape.is_placeholder
        lines = (
            f"{'  ' * each.level}{'- ' if listed or each.level else ''}{line(each.text)}"
            for each in shape.text_frame.paragraphs
            if each.text.strip()
        )
        out.paragraph("\n".join(lines))
    if getattr(shape, "has_table", False):
        out.paragraph(grid.table([[each.text for each in row.cells] for row in shape.table.rows]))
    if getattr(shape, "has_chart", False):
        out.paragraph(_chart(shape.chart))
    embedded = shape.element.xpath(".//a:blip/@r:embed")
    for relation in filter(None, map(slide.part.rels.get, embedded)):
        if not relation.is_external:
            out.paragraph(out.image(relation.target_part.partname.lstrip("/"), shape.name))


def _chart(chart: Any) -> str:
    title = line(chart.chart_title.text_frame.text) if chart.has_title and chart.chart_title.has_text_frame else ""
    texts = [f"[chart: {title}]" if title else "[chart]"]
    for plot in chart.plots:
        series = list(plot.series)
        columns = [list(each.values)[:_POINTS] for each in series]
        labels = [str(each) for each in plot.categories] or [str(at) for at in range(1, max(map(len, columns)) + 1)]
        rows = [["", *(each.name for each in series)]]
        for at, label in enumerate(labels[:_POINTS]):
            values = (column[at] if at < len(column) else None for column in columns)
            rows.append([label, *("" if each is None else f"{each:.12g}" for each in values)])
        texts.append(grid.table(rows))
    return "\n".join(texts)
