"""PPTX from planned slides: placeholders for titles and bullets, native tables and charts, Chinese theme fonts.

Knows PresentationML by way of python-pptx and its default template, which is turned to 16:9 and given our look.
Deterministic.
"""

import copy
import io
from collections.abc import Sequence
from typing import Any

from lxml import etree
from pptx import Presentation
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.dml.color import RGBColor
from pptx.enum import chart as enums
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.oxml.ns import qn
from pptx.util import Pt

from . import arguments as read
from . import planning
from .markdown import Runs, is_openable, plain
from .package import settle
from .planning import BODY, LEFT, RIGHT, TITLE, Box, Grid, Slide, Text, bullet_size, fit_title
from .plots import Plot

FONT = "微软雅黑"
NAVY, WHITE, PALE, INK, LINE = "0F2D52", "FFFFFF", "C9D6E8", "262F3D", "E3E7ED"
ACCENTS = ("2563EB", "F59E0B", "10B981", "EF4444", "8B5CF6", "0EA5E9")
_NUMBER: Box = (816, 500, 100, 24)

# Those of the template's layouts that are used, as they are numbered in it; and where their placeholders go.
_USED = (0, 1, 2, 3, 5)
_TITLE_SLIDE, _CONTENT, _SECTION, _TWO, _TITLE_ONLY = range(len(_USED))
_LAYOUTS: dict[int, dict[int, Box]] = {
    _TITLE_SLIDE: {0: (90, 150, 780, 140), 1: (90, 304, 780, 80)},
    _CONTENT: {0: TITLE, 1: BODY, 12: _NUMBER},
    _SECTION: {0: (90, 190, 780, 140)},
    _TWO: {0: TITLE, 1: LEFT, 2: RIGHT, 12: _NUMBER},
    _TITLE_ONLY: {0: TITLE, 12: _NUMBER},
}
_CHARTS = {
    "line": enums.XL_CHART_TYPE.LINE_MARKERS,
    "bar": enums.XL_CHART_TYPE.COLUMN_CLUSTERED,
    "horizontal": enums.XL_CHART_TYPE.BAR_CLUSTERED,
    "stacked": enums.XL_CHART_TYPE.COLUMN_STACKED,
    "pie": enums.XL_CHART_TYPE.PIE,
    "scatter": enums.XL_CHART_TYPE.XY_SCATTER,
}


def build_deck(title: str, subtitle: str, slides: Sequence[Slide]) -> bytes:
    """The file: a title slide when there is a title, then the slides."""
    presentation = Presentation()
    _set_size(presentation)
    _set_theme(presentation)
    _set_layouts(presentation)
    properties = presentation.core_properties
    properties.title, properties.author, properties.last_modified_by, properties.comments = title[:255], "", "", ""
    if title:
        slide = _add(presentation, _TITLE_SLIDE, title, WHITE, 8)
        if subtitle:
            _write_line(slide.placeholders[1], subtitle[:200], 18, PALE)
            _unmark(slide.placeholders[1].text_frame.paragraphs[0])
        else:
            _remove(slide.placeholders[1])
    for planned in slides:
        _add_slide(presentation, planned)
    output = io.BytesIO()
    presentation.save(output)
    return settle(output.getvalue())


def _add_slide(presentation: Any, planned: Slide) -> None:
    if not (planned.texts or planned.grid or planned.plot):
        slide = _add(presentation, _SECTION, planned.title, WHITE, 4)
    else:
        is_double = len(planned.texts) == 2 or (planned.texts and planned.plot)
        layout = _TWO if is_double else _CONTENT if planned.texts else _TITLE_ONLY
        slide = _add(presentation, layout, planned.title, NAVY)
        # python-pptx does not take the number over from the layout.
        number = next(shape for shape in slide.slide_layout.placeholders if shape.placeholder_format.idx == 12)
        element = copy.deepcopy(number._element)
        element.nvSpPr.cNvPr.set("id", str(max(shape.shape_id for shape in slide.shapes) + 1))
        slide.shapes._spTree.append(element)
    for index, text in enumerate(planned.texts):
        if text.bullets:
            _write_text(slide.placeholders[1 + index], text)
        else:
            _remove(slide.placeholders[1 + index])
    if planned.grid:
        left, top, width, _ = BODY
        if planned.texts:
            _place(slide.placeholders[1], (left, top, width, planned.texts[0].height))
            top += planned.texts[0].height + planning.GRID_GAP
        _add_grid(slide, planned.grid, (left, top, width, sum(planned.grid.heights)))
    if planned.plot:
        if planned.texts:
            _remove(slide.placeholders[2])
        _add_plot(slide, planned.plot, RIGHT if planned.texts else BODY)
    if planned.notes:
        slide.notes_slide.notes_text_frame.text = planned.notes


def _add(presentation: Any, layout: int, title: str, color: str, larger: int = 0) -> Any:
    """A slide of this layout with its title; on a slide of nothing else that is larger and may take three lines."""
    slide = presentation.slides.add_slide(presentation.slide_layouts[layout])
    text, size = fit_title(title, _LAYOUTS[layout][0][2] - 60, 3 if larger else 2)
    _write_line(slide.shapes.title, text, size + larger, color, is_bold=True)
    return slide


def _write_line(shape: Any, text: str, size: int, color: str, *, is_bold: bool = False) -> None:
    run = shape.text_frame.paragraphs[0].add_run()
    run.text = text
    run.font.size, run.font.bold, run.font.color.rgb = Pt(size), is_bold, _color(color)


def _write_text(shape: Any, text: Text) -> None:
    frame = shape.text_frame
    for index, bullet in enumerate(text.bullets):
        paragraph = frame.paragraphs[0] if index == 0 else frame.add_paragraph()
        paragraph.level = bullet.level
        size = bullet_size(text.size, bullet.level)
        paragraph.space_after = Pt(planning.PARAGRAPH_GAP)
        paragraph.line_spacing = Pt(
            size * planning.LINE_HEIGHT
        )  # exact, or each font would have lines of its own height
        if bullet.is_heading:
            _unmark(paragraph)
        _write_runs(paragraph, bullet.runs, size, NAVY if bullet.is_heading else INK)


def _unmark(paragraph: Any) -> None:
    """Makes a bullet a plain paragraph."""
    properties = paragraph._p.get_or_add_pPr()
    properties.set("marL", "0")
    properties.set("indent", "0")
    etree.SubElement(properties, qn("a:buNone"))


def _write_runs(paragraph: Any, runs: Runs, size: int, color: str = "") -> None:
    for run in runs:
        made = paragraph.add_run()
        made.text = run.text
        made.font.size, made.font.bold, made.font.italic = Pt(size), run.bold or None, run.italic or None
        if run.code:
            made.font.name = "Consolas"
        if is_openable(run.url):
            made.hyperlink.address = run.url
        elif color:
            made.font.color.rgb = _color(color)


def _add_grid(slide: Any, grid: Grid, box: Box) -> None:
    left, top, width, height = map(Pt, box)
    table = slide.shapes.add_table(len(grid.rows), len(grid.widths), left, top, width, height).table
    body = [[plain(cell) for cell in row] for row in grid.rows[1:]]
    is_numeric = [
        any(column) and all(read.number(cell) is not None for cell in column if cell)
        for column in zip(*body, strict=True)
    ]
    for column, points in zip(table.columns, grid.widths, strict=True):
        column.width = Pt(points)
    for row, cells, points in zip(table.rows, grid.rows, grid.heights, strict=True):
        row.height = Pt(points)
        for index, (cell, runs) in enumerate(zip(row.cells, cells, strict=True)):
            cell.vertical_anchor = MSO_ANCHOR.MIDDLE
            cell.margin_top = cell.margin_bottom = Pt(3)
            paragraph = cell.text_frame.paragraphs[0]
            paragraph.alignment = PP_ALIGN.RIGHT if body and is_numeric[index] else PP_ALIGN.LEFT
            paragraph.line_spacing = Pt(grid.size * planning.LINE_HEIGHT)
            _write_runs(paragraph, runs, grid.size)


def _add_plot(slide: Any, plot: Plot, box: Box) -> None:
    data: Any = XyChartData() if plot.kind == "scatter" else CategoryChartData()  # type: ignore[no-untyped-call]
    if plot.kind != "scatter":
        data.categories = [_inert(label) for label in plot.labels]
    for index, series in enumerate(plot.series):
        name = _inert(series.name or plot.title or f"系列{index + 1}")
        if plot.kind == "scatter":
            points = data.add_series(name)
            for point in zip(series.xs, series.values, strict=True):
                points.add_data_point(*point)
        else:
            data.add_series(name, series.values)
    chart = slide.shapes.add_chart(_CHARTS[plot.kind], *map(Pt, box), data).chart
    chart.font.size, chart.font.color.rgb = Pt(14), _color(INK)
    chart.has_title = bool(plot.title)
    if plot.title:
        _write_line(chart.chart_title, plot.title, 16, NAVY, is_bold=True)
    chart.has_legend = len(plot.series) > 1 or plot.kind == "pie"
    if chart.has_legend:
        chart.legend.position, chart.legend.include_in_layout = enums.XL_LEGEND_POSITION.BOTTOM, False
    drawn = chart.plots[0]
    if plot.kind == "pie":
        drawn.has_data_labels = True
        labels = drawn.data_labels
        labels.show_percentage, labels.show_value, labels.position = True, False, enums.XL_LABEL_POSITION.OUTSIDE_END
        labels.number_format, labels.number_format_is_linked = "0.0%", False
        return
    if plot.kind in ("bar", "horizontal", "stacked"):
        drawn.gap_width = 80
    elif plot.kind == "scatter":
        for index, dots in enumerate(drawn.series):
            dots.marker.style, dots.marker.size = enums.XL_MARKER_STYLE.CIRCLE, 9
            dots.marker.format.fill.solid()
            dots.marker.format.fill.fore_color.rgb = _color(ACCENTS[index % len(ACCENTS)])
    if any(abs(value) >= 10_000 for series in plot.series for value in series.values if value is not None):
        chart.value_axis.tick_labels.number_format = "#,##0"
        chart.value_axis.tick_labels.number_format_is_linked = False
    chart.value_axis.major_gridlines.format.line.color.rgb = _color(LINE)
    chart.category_axis.tick_label_position = enums.XL_TICK_LABEL_POSITION.LOW  # below bars of negative values, too
    if plot.kind == "horizontal":
        chart.category_axis.reverse_order = True  # or the first bar is at the bottom
        chart.value_axis.tick_label_position = enums.XL_TICK_LABEL_POSITION.HIGH
    for axis, label in ((chart.category_axis, plot.x_label), (chart.value_axis, plot.y_label)):
        if label:
            axis.has_title = True
            axis.axis_title.text_frame.text = label


def _inert(label: str) -> str:
    """The label so that it is no formula in the workbook that python-pptx puts behind the chart."""
    return f" {label[:100]}" if label.startswith(("=", "{=")) else label[:100]


def _set_size(presentation: Any) -> None:
    """16:9, without what the template remembers of 4:3: a picture of its first slide, settings of a printer."""
    presentation.slide_width, presentation.slide_height = Pt(960), Pt(540)
    presentation.element.sldSz.attrib.pop("type", None)
    for relations in (presentation.part.package._rels, presentation.part.rels):
        for name, relation in list(relations.items()):
            if relation.reltype.endswith(("/thumbnail", "/printerSettings")):
                relations.pop(name)


def _set_theme(presentation: Any) -> None:
    """Chinese fonts and our colours, for everything that names none of its own, charts among it."""
    part = presentation.slide_master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
    theme = etree.fromstring(part.blob)
    for font in theme.iterfind(f".//{qn('a:fontScheme')}/*/*"):
        if font.tag in (qn("a:latin"), qn("a:ea")):
            font.set("typeface", FONT)
    for index, color in enumerate(ACCENTS, start=1):
        for accent in theme.iter(qn(f"a:accent{index}")):
            accent[:] = [etree.Element(qn("a:srgbClr"), val=color)]
    part._blob = etree.tostring(theme, xml_declaration=True, encoding="UTF-8", standalone=True)


def _set_layouts(presentation: Any) -> None:
    """The template's placeholders are for 4:3, some centred or in capitals; here they get our boxes and indents."""
    master = presentation.slide_master
    for shape in master.placeholders:
        shape.left, shape.width = shape.left * 4 // 3, shape.width * 4 // 3
    for name in ("p:titleStyle", "p:bodyStyle"):
        for level, properties in enumerate(master._element.find(f".//{qn(name)}")):
            properties.set("algn", "l")
            for space in properties.findall(qn("a:spcBef")):
                space[0].set("val", "0")
            if name == "p:bodyStyle":
                properties.set("marL", str(Pt(planning.INDENT * (level + 1))))
                properties.set("indent", str(-Pt(planning.INDENT)))
    for index, layout in enumerate(list(presentation.slide_layouts)):
        if index not in _USED:
            presentation.slide_layouts.remove(layout)
    for index, layout in enumerate(presentation.slide_layouts):
        for shape in list(layout.placeholders):
            box = _LAYOUTS[index].get(shape.placeholder_format.idx)
            if box is None:
                _remove(shape)
                continue
            _place(shape, box)
            if shape.placeholder_format.idx < 10:
                for style in shape._element.iter(qn("a:lstStyle")):
                    style[:] = []
        if index in (_TITLE_SLIDE, _SECTION):
            layout.background.fill.solid()
            layout.background.fill.fore_color.rgb = _color(NAVY)
            layout.placeholders[0].text_frame.vertical_anchor = (
                MSO_ANCHOR.BOTTOM if index == _TITLE_SLIDE else MSO_ANCHOR.MIDDLE
            )


def _place(shape: Any, box: Box) -> None:
    shape.left, shape.top, shape.width, shape.height = map(Pt, box)


def _remove(shape: Any) -> None:
    shape._element.getparent().remove(shape._element)


def _color(rgb: str) -> Any:
    return RGBColor.from_string(rgb)  # type: ignore[no-untyped-call]
