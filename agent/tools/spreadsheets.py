"""The tool `create_spreadsheet`: rows in, an XLSX workbook or a CSV file out; and changes of a workbook made before.

Knows the arguments of the tool. What they mean is in `sheets`, the files are made in `workbook` and `delimited`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import arguments as read
from .cells import FORMATS, cell_text
from .made import Made, ToolInputError, file_stem, finish, name_ending
from .schema import Schema, a_list, a_text, an_object
from .sheets import (
    KINDS,
    TOTALS,
    Fields,
    Sheet,
    find_column,
    fit_row,
    raw_rows,
    read_charts,
    read_columns,
    read_fields,
    read_sheet,
    sheet_names,
)

NAME = "create_spreadsheet"
DESCRIPTION = (
    "Make an Excel workbook (xlsx) or a CSV file from rows and send it to the user. Several sheets, number formats, "
    "totals as formulas and native charts are possible. Text that begins with = stays text: for sums use total. To "
    "change a workbook made earlier in this chat, name it in based_on and send only what changes; the rest stays."
)
_CELL: Schema = {"type": ["string", "number", "boolean", "null"]}
_ROW = a_list(_CELL)
_COLUMN = an_object(
    ["title"],
    title=a_text(),
    format=a_text('money is ￥; percent: write 0.153 or "15.3%"; text for IDs and phone numbers', FORMATS),
    total=a_text("Adds a row with this formula below the column", TOTALS),
)
_CHART = an_object(
    ["type", "values"],
    type=a_text(choices=KINDS),
    title=a_text(),
    labels=a_text("Title of the column for the axis"),
    values=a_list(a_text(), "Titles of the number columns"),
)
_CHANGE = an_object(
    ["row", "column", "value"],
    row=a_text("Text in the first column of the row, or Excel's row number (the header is row 1)"),
    column=a_text("Title of the column"),
    value=_CELL,
)
_SHEET = an_object(
    ["name"],
    name=a_text('With based_on: name or number ("2") of the sheet to change; a new name adds a sheet'),
    columns=a_list(_COLUMN, "All columns. With based_on: values stay with their titles; rows need not be sent again"),
    rows=a_list(_ROW, "All rows: one array a row, one value a column, without the header"),
    charts=a_list(_CHART, "All charts of the sheet"),
    new_name=a_text("Only with based_on: renames the sheet"),
    cells=a_list(_CHANGE, "Only with based_on: single values to change"),
    append_rows=a_list(_ROW, "Only with based_on: rows to add at the end"),
    remove_rows=a_list(a_text(), "Only with based_on: rows to remove, each as in cells.row"),
)
PARAMETERS = an_object(
    ["filename", "sheets"],
    filename=a_text("File name in the user's language: 销售汇总.xlsx, or .csv for CSV"),
    based_on=a_text("File name of an earlier workbook of this chat that is to be changed"),
    sheets=a_list(_SHEET, "A new workbook: every sheet with name, columns and rows. With based_on: only what changes"),
    remove_sheets=a_list(a_text(), "Only with based_on: names or numbers of sheets to remove"),
)

# Of all sheets together; 20,000 rows of ten columns take about 3 s.
CELL_LIMIT = 200_000
SHEET_LIMIT = 30
_ENDINGS = {"csv": "csv", "tsv": "csv", "xlsx": "xlsx", "xls": "xlsx", "excel": "xlsx"}


def build(arguments: Mapping[str, Any]) -> Made:
    """Makes the workbook. Arguments with `based_on` go through `revise` first.

    Raises:
        ToolInputError: no sheet, rows that do not fit their columns, charts of columns that are not there, too much.
    """
    arguments = read.unwrap(arguments)
    ending = _ending(arguments)
    fields = _all_fields(arguments)
    if ending == "csv" and len(fields) > 1:
        raise ToolInputError(f"a CSV file has one sheet and {len(fields)} were sent: use xlsx, or one call a sheet")
    notes: list[str] = []
    sheets = [read_sheet(entry, notes) for entry in fields]
    if ending == "csv":
        from .delimited import build_csv

        data = build_csv(sheets[0])
        if sheets[0].charts:
            notes.append("A CSV file has no charts: they were left out.")
        texts = (value for column in sheets[0].columns for value in column.values if isinstance(value, str))
        if any(re.fullmatch(r"0\d+|\d{12,}", text) for text in texts):
            notes.append("Excel drops leading zeros and rounds long numbers when it opens CSV; xlsx keeps them.")
    else:
        from .workbook import build_workbook

        data = build_workbook(sheets)
    stem = file_stem(_filename(arguments), sheets[0].name if len(sheets) == 1 else "表格")
    return finish(stem, ending, data, " ".join([_describe(sheets, ending), *notes]))


def revise(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that make the changed workbook: `old` made the earlier one, `new` holds only what changes.

    Sheets are found by name or by their number in the old workbook. Pure; the result is what the next change goes by.

    Raises:
        ToolInputError: `new` changes a sheet, row or column that is not there.
    """
    old, new = read.unwrap(old), read.unwrap(new)
    sheets = _named(_all_fields(old))
    count = len(sheets)
    removed = set()
    for index, name in enumerate(read.texts(read.pick(new, "remove_sheets"), "remove_sheets")):
        found = _find_sheet(name, sheets[:count])
        if found is None:
            raise ToolInputError(f"remove_sheets[{index}] is {name[:60]!r}; the workbook has {_listing(sheets)}")
        removed.add(found)
    for index, entry in enumerate(read.array(_given_sheets(new), "sheets")):
        where = f"sheets[{index}]"
        entry = read.mapping(entry, where)
        name = read.text(read.pick(entry, "name", "title", "sheet_name"), f"{where}.name", "").strip()
        found = _find_sheet(name, sheets[:count]) if name else 0 if count == 1 else None
        if found is not None:
            sheets[found] = _revise_sheet(sheets[found], entry, where)
        elif name and read.pick(entry, "rows", "data", "values") is not None:
            sheets.append(read_fields(entry, where))
        else:
            raise ToolInputError(
                f"{where}.name is {name[:60]!r}; the workbook has {_listing(sheets)}. "
                "Send one of these names, or name, columns and rows of a new sheet"
            )
    sheets = _named([sheet for index, sheet in enumerate(sheets) if index not in removed])
    filename = _filename(new) or _filename(old)
    return {
        "filename": filename,
        "format": _ending({"format": _ending(old), **new, "filename": filename}),
        "sheets": sheets,
    }


def _filename(arguments: Mapping[str, Any]) -> str:
    return read.text(read.pick(arguments, "filename", "file_name"), "filename", "")


def _ending(arguments: Mapping[str, Any]) -> str:
    by_name = _ENDINGS.get(name_ending(_filename(arguments)))
    return by_name or read.choice(read.pick(arguments, "format"), "format", _ENDINGS, "xlsx")


def _given_sheets(arguments: Mapping[str, Any]) -> Any:
    given = read.pick(arguments, "sheets", "sheet", "worksheets")
    if given is None and read.pick(arguments, "rows", "data") is not None:
        return [arguments]  # one sheet, its fields one level too high
    return given


def _all_fields(arguments: Mapping[str, Any]) -> list[Fields]:
    found = read.array(_given_sheets(arguments), "sheets")
    if not found:
        raise ToolInputError("sheets is empty; send at least one sheet with name, columns and rows")
    if len(found) > SHEET_LIMIT:
        raise ToolInputError(f"{len(found)} sheets were sent and {SHEET_LIMIT} are the most")
    fields = [
        read_fields(read.mapping(entry, f"sheets[{index}]"), f"sheets[{index}]") for index, entry in enumerate(found)
    ]
    cells = sum(len(sheet["columns"]) * (len(sheet["rows"]) + 1) for sheet in fields)
    if cells > CELL_LIMIT:
        raise ToolInputError(f"the sheets have {cells} cells and {CELL_LIMIT} are the most: make several workbooks")
    return fields


def _named(sheets: Sequence[Fields]) -> list[Fields]:
    """The sheets with the names that they have in the file."""
    names = sheet_names([sheet["name"] for sheet in sheets])
    return [sheet | {"name": name} for sheet, name in zip(sheets, names, strict=True)]


def _find_sheet(name: str, sheets: Sequence[Fields]) -> int | None:
    wanted = sheet_names([name])[0].casefold()
    for index, sheet in enumerate(sheets):
        if sheet["name"].casefold() == wanted:
            return index
    return int(wanted) - 1 if re.fullmatch(r"\d{1,3}", wanted) and 1 <= int(wanted) <= len(sheets) else None


def _listing(sheets: Sequence[Fields]) -> str:
    return ", ".join(f"{number} {sheet['name']!r}" for number, sheet in enumerate(sheets, start=1))


def _revise_sheet(sheet: Fields, entry: Mapping[str, Any], where: str) -> Fields:
    """The sheet with what `entry` gives. Empty columns and rows mean no change: some models send every field."""
    sheet = dict(sheet)
    columns = read.pick(entry, "columns", "headers", "header")
    if columns:
        sheet = _with_columns(sheet, read_columns(columns, f"{where}.columns", sheet["columns"]))
    titles = [column["title"] for column in sheet["columns"]]
    rows = read.pick(entry, "rows", "data", "values")
    if rows:
        sheet["rows"] = read_fields({"columns": sheet["columns"], "rows": rows}, where)["rows"]
    table = list(sheet["rows"])
    for index, change in enumerate(read.array(read.pick(entry, "cells"), f"{where}.cells")):
        spot = f"{where}.cells[{index}]"
        change = read.mapping(change, spot)
        row = _find_row(read.text(change.get("row"), f"{spot}.row"), f"{spot}.row", table)
        column = find_column(read.text(change.get("column"), f"{spot}.column"), f"{spot}.column", titles)
        table[row] = [*table[row][:column], change.get("value"), *table[row][column + 1 :]]
    names = read.texts(read.pick(entry, "remove_rows"), f"{where}.remove_rows")
    gone = {_find_row(name, f"{where}.remove_rows[{index}]", table) for index, name in enumerate(names)}
    table = [row for index, row in enumerate(table) if index not in gone]
    more = raw_rows(read.pick(entry, "append_rows"), f"{where}.append_rows")
    table += (fit_row(row, titles, f"{where}.append_rows[{index}]") for index, row in enumerate(more))
    charts = read.pick(entry, "charts", "chart")
    if charts is not None:
        sheet["charts"] = read_charts(charts, f"{where}.charts")
    name = read.text(read.pick(entry, "new_name"), f"{where}.new_name", "").strip()
    return {**sheet, "rows": table, "name": name or sheet["name"]}


def _with_columns(sheet: Fields, columns: list[Fields]) -> Fields:
    """The sheet with other columns: values and charts go along with their titles.

    As many columns as before, one of them with a new title in the place of one that is gone: that is a renaming.
    """
    old = [column["title"] for column in sheet["columns"]]
    new = [column["title"] for column in columns]
    sources: list[int | None] = []
    for title in new:
        sources.append(next((index for index, was in enumerate(old) if was == title and index not in sources), None))
    if len(old) == len(new):
        free = set(range(len(old))) - set(sources)
        sources = [index if source is None and index in free else source for index, source in enumerate(sources)]
    renamed = {old[source]: title for source, title in zip(sources, new, strict=True) if source is not None}
    rows = [[None if source is None else row[source] for source in sources] for row in sheet["rows"]]
    charts = []
    for chart in sheet["charts"]:
        names = [old[find_column(name, "charts.values", old)] for name in chart["values"]]
        labels = chart["labels"] and old[find_column(chart["labels"], "charts.labels", old)]
        values = [renamed[name] for name in names if name in renamed]
        if values or not names:
            charts.append({**chart, "labels": renamed.get(labels), "values": values})
    return {**sheet, "columns": columns, "rows": rows, "charts": charts}


def _find_row(name: str, where: str, rows: Sequence[Sequence[Any]]) -> int:
    """The row whose first cell this is, or of that number in Excel."""
    wanted = name.strip()
    found = [index for index, row in enumerate(rows) if cell_text(row[0]).strip() == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f'"#{index + 2}"' for index in found[:20])
        raise ToolInputError(f"{where} is {wanted[:60]!r}, with which {len(found)} rows begin; send one of {places}")
    number = re.fullmatch(r"#?(\d{1,7})", wanted)
    if number and 2 <= int(number[1]) <= len(rows) + 1:
        return int(number[1]) - 2
    examples = ", ".join(repr(cell_text(row[0])[:20]) for row in rows[:10])
    raise ToolInputError(
        f"{where} is {wanted[:60]!r}; send the text in the first column of a row ({examples}, …), "
        f"or Excel's row number, 2 to {len(rows) + 1}"
    )


def _describe(sheets: Sequence[Sheet], ending: str) -> str:
    parts = [
        f"{number} {name!r} ({sheet.row_count} rows; columns {', '.join(sheet.titles[:12])}"
        + (f" and {len(sheet.titles) - 12} more" if len(sheet.titles) > 12 else "")
        + (f"; charts: {len(sheet.charts)}" if sheet.charts and ending == "xlsx" else "")
        + ("; totals" if sheet.has_totals else "")
        + ")"
        for number, (sheet, name) in enumerate(
            zip(sheets, sheet_names([sheet.name for sheet in sheets]), strict=True), start=1
        )
    ]
    return f"{'Excel workbook' if ending == 'xlsx' else 'CSV file'}: {', '.join(parts)}."
