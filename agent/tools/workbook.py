"""XLSX from sheets: typed cells, formats, totals as formulas, native charts. Deterministic.

Knows Excel. A text is always written as a text cell, so nothing that begins like a formula ever becomes one; the only
formulas are the totals, and they carry their value for viewers that do not calculate.
"""

import io
from collections.abc import Sequence
from datetime import date
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from .cells import NUMERIC, Column, shown
from .package import settle
from .sheets import TEXT_LIMIT, Chart, Sheet, cut, sheet_names
from .widths import columns as text_columns

FONT = "微软雅黑"
NAVY = "#1F3A5F"
PALETTE = ("#2563EB", "#F59E0B", "#10B981", "#EF4444", "#8B5CF6", "#0EA5E9", "#84A98C", "#64748B")
# Characters, as Excel counts a column's width.
_WIDTH_LEAST, _WIDTH_MOST = 8, 60
# Points.
_LINE_HEIGHT, _ROW_HEIGHT_MOST = 16.5, 400.0
# Charts stand beside tables up to this width, below wider ones; sizes in pixels, a row has 22.
_BESIDE_WIDTH = 110
_CHART_SIZE = (640, 360)
_CHART_ROWS = 18
_MONEY = '"{0}"#,##0.00;[Red]-"{0}"#,##0.00'
_FORMATS = {
    "number": "#,##0.00",
    "money": _MONEY.format("￥"),
    "usd": _MONEY.format("$"),
    "date": "yyyy-mm-dd",
    "datetime": "yyyy-mm-dd hh:mm",
}
_FUNCTIONS = {"sum": "SUM", "average": "AVERAGE", "count": "COUNTA", "max": "MAX", "min": "MIN"}
_LABELS = {"sum": ("合计", "Total"), "average": ("平均", "Average"), "count": ("计数", "Count"),
           "max": ("最大值", "Maximum"), "min": ("最小值", "Minimum")}  # fmt: skip


def build_workbook(sheets: Sequence[Sheet]) -> bytes:
    """The file."""
    output = io.BytesIO()
    look = {"font_name": FONT, "font_size": 10, "valign": "vcenter"}
    workbook = xlsxwriter.Workbook(output, {"in_memory": True, "default_format_properties": look})
    writer = _Writer(workbook)
    for sheet, name in zip(sheets, sheet_names([sheet.name for sheet in sheets]), strict=True):
        writer.write(sheet, name)
    workbook.close()
    return settle(output.getvalue())


def total_of(column: Column, total: str) -> int | float:
    """What the formula of this column's total comes to; it has numbers, unless they are counted."""
    numbers = column.numbers
    match total:
        case "count":
            return sum(value is not None for value in column.values)
        case "average":
            return sum(numbers) / len(numbers)
        case "max":
            return max(numbers)
        case "min":
            return min(numbers)
    return sum(numbers)


def total_label(sheet: Sheet) -> str:
    """The word in the row of totals, in the language of the titles."""
    kinds = set(sheet.totals) - {"none"}
    is_chinese = any(character > "\u2e80" for title in sheet.titles for character in title)
    return _LABELS[kinds.pop() if len(kinds) == 1 else "sum"][0 if is_chinese else 1]


class _Writer:
    def __init__(self, workbook: Any) -> None:
        self._workbook = workbook
        self._formats: dict[tuple[tuple[str, object], ...], Any] = {}

    def write(self, sheet: Sheet, name: str) -> None:
        page = self._workbook.add_worksheet(name)
        header = self._format(bold=True, font_color="#FFFFFF", bg_color=NAVY, text_wrap=True, align="center")
        widths = [_column_width(*pair) for pair in zip(sheet.titles, sheet.columns, strict=True)]
        for index, column in enumerate(sheet.columns):
            page.write_string(0, index, sheet.titles[index], header)
            page.set_column(index, index, widths[index])
            self._write_column(page, index, column)
        page.set_default_row(_LINE_HEIGHT)
        page.set_row(0, _LINE_HEIGHT * _line_count(sheet.titles, widths) + 4)
        for row, cells in enumerate(zip(*(column.values for column in sheet.columns), strict=True), start=1):
            lines = _line_count(cells, widths)
            if lines > 1:  # viewers other than Excel do not find the height out
                page.set_row(row, min(lines * _LINE_HEIGHT, _ROW_HEIGHT_MOST))
        page.freeze_panes(1, 0)
        if sheet.row_count:
            page.autofilter(0, 0, sheet.row_count, len(sheet.titles) - 1)
        if sheet.has_totals:
            self._write_totals(page, sheet)
        page.set_landscape()
        page.set_paper(9)  # A4
        page.fit_to_pages(1, 0)
        page.repeat_rows(0)
        page.set_footer("&C&P / &N")
        is_beside = sum(widths) <= _BESIDE_WIDTH
        for index, chart in enumerate(sheet.charts):
            top = (1 if is_beside else sheet.row_count + 3) + index * _CHART_ROWS
            page.insert_chart(top, len(widths) + 1 if is_beside else 0, self._chart(sheet, name, chart))

    def _format(self, **properties: object) -> Any:
        """One format a look: Excel allows 64,000 in a file."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._workbook.add_format(dict(key))
        return self._formats[key]

    def _write_column(self, page: Any, index: int, column: Column) -> None:
        wraps = any(isinstance(value, str) and _is_long(value) for value in column.values)
        lines = {"bottom": 1, "bottom_color": "#E3E7ED"}
        number = self._format(**lines, num_format=number_format(column))
        day = self._format(**lines, num_format=number_format(column), align="center")
        text = self._format(**lines, text_wrap=wraps)
        # Says to Excel that the text stays text when someone edits the cell.
        quoted = self._format(**lines, text_wrap=wraps, quote_prefix=True)
        for row, value in enumerate(column.values, start=1):
            match value:
                case None:
                    page.write_blank(row, index, None, number)
                case bool():
                    page.write_boolean(row, index, value, text)
                case int() | float():
                    page.write_number(row, index, value, number)
                case date():
                    page.write_datetime(row, index, value, day)
                case str():
                    page.write_string(row, index, cut(value, TEXT_LIMIT), quoted if value[0] in "=+-@'" else text)

    def _write_totals(self, page: Any, sheet: Sheet) -> None:
        row = sheet.row_count + 1
        label = total_label(sheet)
        for index, (column, total) in enumerate(zip(sheet.columns, sheet.totals, strict=True)):
            look = self._format(
                bold=True, bg_color="#E8EEF7", top=1, top_color=NAVY, num_format=_total_format(column, total)
            )
            if total == "none":
                page.write_string(row, index, label, look)
                label = ""
                continue
            name = xl_col_to_name(index)
            formula = f"={_FUNCTIONS[total]}({name}2:{name}{row})"
            page.write_formula(row, index, formula, look, total_of(column, total))

    def _chart(self, sheet: Sheet, name: str, chart: Chart) -> Any:
        kind = {"type": "column", "subtype": "stacked"} if chart.kind == "stacked" else {"type": chart.kind}
        made = self._workbook.add_chart(kind)
        rows = sheet.row_count
        font = {"name": FONT, "size": 9}
        for color, index in zip(PALETTE * len(chart.values), chart.values, strict=False):
            series: dict[str, Any] = {"name": [name, 0, index], "values": [name, 1, index, rows, index]}
            dot = {"type": "circle", "size": 6, "fill": {"color": color}, "border": {"color": color}}
            if chart.labels is not None:
                series["categories"] = [name, 1, chart.labels, rows, chart.labels]
            if chart.kind == "pie":
                series["data_labels"] = {"percentage": True, "category": rows <= 8, "font": font}
                series["points"] = [{"fill": {"color": color}} for color in (PALETTE * rows)[:rows]]
            elif chart.kind == "line":
                series |= {"line": {"width": 2.25, "color": color}, "marker": dot}
            elif chart.kind == "scatter":
                series["marker"] = dot
            else:
                series |= {"fill": {"color": color}, "gap": 80}
            made.add_series(series)
        made.set_title({"name": chart.title, "name_font": font | {"size": 13}} if chart.title else {"none": True})
        if chart.kind != "pie":
            self._set_axes(made, sheet, chart, {"num_font": font, "name_font": font})
        has_legend = len(chart.values) > 1 or chart.kind == "pie"
        made.set_legend({"position": "bottom", "font": font} if has_legend else {"none": True})
        made.set_size({"width": _CHART_SIZE[0], "height": _CHART_SIZE[1]})
        return made

    def _set_axes(self, made: Any, sheet: Sheet, chart: Chart, fonts: dict[str, Any]) -> None:
        across = fonts | {"name": "" if chart.labels is None else sheet.titles[chart.labels], "label_position": "low"}
        up = fonts | {
            "name": sheet.titles[chart.values[0]] if len(chart.values) == 1 else "",
            "major_gridlines": {"visible": True, "line": {"color": "#E3E7ED"}},
            "num_format": _axis_format(sheet.columns[chart.values[0]]),
        }
        if chart.kind == "bar":
            # Excel draws the first bar at the bottom; turned round, the axis with the numbers would be on top.
            made.set_y_axis(across | {"reverse": True, "major_gridlines": {"visible": False}})
            made.set_x_axis(up | {"label_position": "high"})
        else:
            if chart.kind == "scatter" and chart.labels is not None:
                across["num_format"] = _axis_format(sheet.columns[chart.labels])
            made.set_x_axis(across)
            made.set_y_axis(up)


def number_format(column: Column) -> str:
    """Excel's format of a column; "General" where the value shows best as it is."""
    numbers = column.numbers
    match column.format:
        case "percent":
            return next((code for code, digits in (("0%", 2), ("0.0%", 3)) if _fits(numbers, digits)), "0.00%")
        case "integer" if not _fits(numbers, 0):
            return "#,##0.00"
        case "integer":
            return "0" if numbers and all(1900 <= value <= 2100 for value in numbers) else "#,##0"  # years
        case "datetime" if any(getattr(value, "second", 0) for value in column.values):
            return "yyyy-mm-dd hh:mm:ss"
    return _FORMATS.get(column.format, "General")


def _total_format(column: Column, total: str) -> str:
    if total == "count":
        return "#,##0"
    return "#,##0.00" if total == "average" and column.format in ("integer", "general") else number_format(column)


def _axis_format(column: Column) -> str:
    if column.format == "percent":
        return "0%"
    return "#,##0" if any(abs(value) >= 10_000 for value in column.numbers) else "General"


def _fits(numbers: Sequence[int | float], digits: int) -> bool:
    """Whether no number has more digits behind the point."""
    return all(abs(value * 10**digits - round(value * 10**digits)) < 1e-6 for value in numbers)


def _column_width(title: str, column: Column) -> int:
    """Characters that the column needs, Chinese ones counted twice."""
    texts = (shown(value[:500] if isinstance(value, str) else value, column.format) for value in column.values)
    longest = max((max(map(text_columns, text.split("\n"))) for text in texts), default=0)
    if column.format in NUMERIC:
        # Separators, decimals and the currency; and a total has more digits than its parts.
        longest += longest // 4 + (4 if column.format in ("money", "usd", "number") else 2)
    # The title has the filter's button beside it.
    return min(max(longest + 2, text_columns(title) + 4, _WIDTH_LEAST), _WIDTH_MOST)


def _line_count(cells: Sequence[object], widths: Sequence[int]) -> int:
    return max(
        sum(max(1, -(-text_columns(line) // (width - 2))) for line in cell[:2000].split("\n"))
        if isinstance(cell, str) and _is_long(cell)
        else 1
        for cell, width in zip(cells, widths, strict=True)
    )


def _is_long(text: str) -> bool:
    return "\n" in text or (len(text) * 2 > _WIDTH_MOST - 2 and text_columns(text[:200]) > _WIDTH_MOST - 2)
