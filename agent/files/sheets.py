"""Workbooks by openpyxl (.xlsx, .xlsm) and xlrd (.xls) as Markdown tables, values as they are displayed. For the child.

Sheets are streamed: of a huge one the first rows are read. Charts, pictures and comments are not.
"""

import contextlib
import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import openpyxl
import xlrd

from agent.files import archive, grid
from agent.files.extract import Extract, Limits, Unreadable
from agent.files.grid import Cells, Grid
from agent.files.kinds import Sort
from agent.files.manuscript import Full, Manuscript, line

# `[$¥-804]` shows its sign; colours, conditions, paddings and quotation marks show nothing.
_SIGN = re.compile(r"\[\$([^\]-]*)[^\]]*\]")
_SILENT = re.compile(r'\[[^\]]*\]|[_*].|\\|"')
_NUMBER = re.compile(r"([^0#?.,%]*)([0#?,]+)(?:\.([0#?]+))?(%?)([^0#?,.%E/]*)")
_SHEET = "xl/worksheets/sheet"
_LOOKS = re.compile(rb"<(?:\w+:)?(fills|borders|dxfs|cellStyles|cellStyleXfs)\b.*?</(?:\w+:)?\1>", re.DOTALL)
# A formula whose result nobody has calculated yet, as libraries write them.
_NOT_CALCULATED = re.compile(rb"</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></|</(?:\w+:)?c>)")


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    hidden: bool
    height: int
    width: int
    rows: Iterator[tuple[int, Cells]]


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """A workbook; facts: sheets with their rows and columns."""
    sheets = _xls(file, limits) if sort.kind == "xls" else _xlsx(file, limits)
    facts: dict[str, Any] = {"sheets": []}
    with contextlib.suppress(Full):
        for index, sheet in enumerate(sheets):
            found = _gathered(sheet, limits, out)
            facts["sheets"].append(
                {"name": sheet.name, "rows": found.height, "columns": found.width, "hidden": sheet.hidden}
            )
            grid.write(found, out, columns=limits.columns, room=out.room // (len(sheets) - index))
    return out.extract(sort.kind, facts)


def _gathered(sheet: _Sheet, limits: Limits, out: Manuscript) -> Grid:
    """As many rows as there is room and time for."""
    found = Grid(f"sheet {sheet.name}", remarks=["hidden sheet"] if sheet.hidden else [])
    if sheet.height > limits.rows:
        found.height = sheet.height
    if sheet.width > limits.columns:
        found.remarks.append(f"columns {grid.letters(limits.columns + 1)}-{grid.letters(sheet.width)} are left out")
        out.truncated = True
    size = 0
    for number, cells in sheet.rows:
        if number > limits.rows:
            if sheet.height > limits.rows:
                break
            found.remarks.append(f"the rows after {limits.rows} are left out")
            out.truncated = True
            break
        if cells:
            found.rows.append((number, cells))
            size += sum(map(len, cells.values()))
        if size > out.room or out.spent():
            found.height = max(sheet.height, number + 1)
            break
    found.height = max(found.height, found.rows[-1][0] if found.rows else 0)
    return found


def _xlsx(file: BinaryIO, limits: Limits) -> list[_Sheet]:
    package = archive.check(file, limits)
    calculated = not any(_is_not_calculated(package, name) for name in package.namelist() if _SHEET in name)
    try:
        book = _load(file, data_only=True)
    except (TypeError, ValueError, IndexError):
        file = _without_looks(package)
        book = _load(file, data_only=True)
    formulas = None if calculated else _load(file)
    return [
        _Sheet(
            name=line(each.title),
            hidden=each.sheet_state != "visible",
            height=each.max_row or 0,
            width=each.max_column or 0,
            rows=_xlsx_rows(each, formulas[each.title] if formulas else None, limits),
        )
        for each in book.worksheets
    ]


def _xlsx_rows(sheet: Any, formulas: Any, limits: Limits) -> Iterator[tuple[int, Cells]]:
    # Some programs do not write how many rows there are, or write it wrong: one more tells whether there are too many.
    area = {"min_row": 1, "max_row": limits.rows + 1, "min_col": 1, "max_col": limits.columns}
    others = formulas.iter_rows(**area) if formulas is not None else None
    for number, row in enumerate(sheet.iter_rows(**area), 1):
        other = next(others, None) if others is not None else None
        cells = {}
        for column, each in enumerate(row, 1):
            value = each.value
            if value is None and other is not None and other[column - 1].data_type == "f":
                value = other[column - 1].value
                value = getattr(value, "text", value)  # of an array formula
            if value is not None and (text := shown(value, each.number_format if each.value is not None else "")):
                cells[column] = text
        yield number, cells


def _load(file: BinaryIO, data_only: bool = False) -> Any:
    return openpyxl.load_workbook(file, read_only=True, data_only=data_only, keep_links=False)


def _without_looks(package: zipfile.ZipFile) -> BinaryIO:
    """The workbook without colours and borders: exporters write some that Excel takes and the library does not."""
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as plain:
        for name in package.namelist():
            data = package.read(name)
            plain.writestr(name, _LOOKS.sub(b"", data) if name == "xl/styles.xml" else data)
    return copy


def _is_not_calculated(package: zipfile.ZipFile, name: str) -> bool:
    with package.open(name) as part:
        before = b""
        while piece := part.read(2**20):
            if _NOT_CALCULATED.search(before + piece):
                return True
            before = piece[-100:]
    return False


def _xls(file: BinaryIO, limits: Limits) -> list[_Sheet]:
    try:
        book = xlrd.open_workbook(file_contents=file.read(), formatting_info=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        locked = "encrypted" in str(error).lower()
        raise Unreadable("encrypted" if locked else "broken", type(error).__name__, "XLS") from None
    return [
        _Sheet(line(each.name), each.visibility != 0, each.nrows, each.ncols, _xls_rows(book, each, limits))
        for each in book.sheets()
    ]


def _xls_rows(book: Any, sheet: Any, limits: Limits) -> Iterator[tuple[int, Cells]]:
    for row in range(min(sheet.nrows, limits.rows)):
        cells = {}
        for column, each in enumerate(sheet.row(row)[: limits.columns], 1):
            if text := shown(_xls_value(book, each), _xls_format(book, each)):
                cells[column] = text
        yield row + 1, cells


def _xls_value(book: Any, cell: Any) -> Any:
    match cell.ctype:
        case xlrd.XL_CELL_DATE:
            try:
                moment = xlrd.xldate_as_datetime(cell.value, book.datemode)
            except (ValueError, OverflowError):
                return cell.value
            return moment.time() if cell.value < 1 else moment
        case xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        case xlrd.XL_CELL_ERROR:
            return xlrd.error_text_from_code.get(cell.value, "#ERROR")
    return cell.value


def _xls_format(book: Any, cell: Any) -> str:
    return str(book.format_map[book.xf_list[cell.xf_index].format_key].format_str)


def shown(value: Any, format: str) -> str:
    """A cell's value as the usual number formats show it: thousands, percent, currency; dates as ISO."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return _number(value, format)
        case dt.datetime():
            return value.isoformat(" ", "seconds").removesuffix(" 00:00:00")
        case dt.time():
            return value.isoformat("seconds")
    return str(value)


def _number(value: float, format: str) -> str:
    code = _SILENT.sub("", _SIGN.sub(r"\1", (format or "General").split(";")[0]))
    found = _NUMBER.fullmatch(code)
    if found is None or found[2].endswith(","):
        text = f"{value:.15g}"
        return str(value) if isinstance(value, int) else f"{value:.0f}" if "e+" in text else text
    before, whole, decimals, percent, behind = found.groups(default="")
    text = f"{abs(value) * (100 if percent else 1):{',' if ',' in whole else ''}.{len(decimals)}f}"
    for _ in decimals[decimals.rfind("0") + 1 :]:  # digits that show only if they say something
        text = text.removesuffix("0").removesuffix(".")
    if not whole.strip("0"):  # leading zeros of codes
        digits, point, rest = text.partition(".")
        text = digits.zfill(len(whole)) + point + rest
    return f"{'-' if value < 0 else ''}{before}{text}{percent}{behind}".strip()
