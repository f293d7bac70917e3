"""The sheets of a workbook as a model describes them.

Pure, in two steps: `read_fields` turns what was sent into a few fields of fixed shape, which can be stored and revised;
`read_sheet` gives them their meaning. Knows no file format.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import arguments as read
from .cells import FORMATS, NUMERIC, Column, read_column, read_format
from .made import ToolInputError

COLUMN_LIMIT = 256
CHART_LIMIT = 12
# Excel's, in UTF-16 code units.
TEXT_LIMIT = 32_767
_NAME_LIMIT = 31

TOTALS = ("none", "sum", "average", "count", "max", "min")
_TOTALS = {total: total for total in TOTALS} | {
    "total": "sum", "合计": "sum", "求和": "sum", "true": "sum", "yes": "sum",
    "avg": "average", "mean": "average", "平均": "average", "平均值": "average",
    "计数": "count", "最大值": "max", "最小值": "min", "false": "none", "no": "none", "null": "none",
}  # fmt: skip
# As Excel calls them: bars lie, columns stand.
KINDS = ("line", "column", "stacked", "bar", "pie", "scatter")
_KINDS = {kind: kind for kind in KINDS} | {
    "折线图": "line", "柱状图": "column", "堆叠柱状图": "stacked", "stacked_column": "stacked", "条形图": "bar",
    "horizontal": "bar", "饼图": "pie", "doughnut": "pie", "散点图": "scatter", "xy": "scatter", "area": "line",
}  # fmt: skip

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """A native chart; the columns are indices, `labels` is None to count the rows."""

    kind: str
    title: str
    labels: int | None
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """`totals` has the function of each column's total, one of `TOTALS`. All columns are equally long."""

    name: str
    titles: tuple[str, ...]
    columns: tuple[Column, ...]
    totals: tuple[str, ...]
    charts: tuple[Chart, ...]

    @property
    def row_count(self) -> int:
        return len(self.columns[0].values)

    @property
    def has_totals(self) -> bool:
        return self.row_count > 0 and any(total != "none" for total in self.totals)


def read_fields(entry: Mapping[str, Any], where: str) -> Fields:
    """A sheet as {"name", "columns": [{"title", "format", "total"}], "rows": [[…]], "charts": […]}, one cell a column.

    Raises:
        ToolInputError: no columns, too many, or rows that do not fit them.
    """
    name = read.text(read.pick(entry, "name", "title", "sheet_name"), f"{where}.name", "").strip() or "Sheet"
    rows = raw_rows(read.pick(entry, "rows", "data", "values"), f"{where}.rows")
    columns = read_columns(read.pick(entry, "columns", "headers", "header"), f"{where}.columns")
    columns = columns or _implied_columns(rows, f"{where}.columns")
    if len(columns) > COLUMN_LIMIT:
        raise ToolInputError(f"{where} has {len(columns)} columns and {COLUMN_LIMIT} are the most")
    titles = [column["title"] for column in columns]
    table = [fit_row(row, titles, f"{where}.rows[{index}]") for index, row in enumerate(rows)]
    while table and [str(cell).strip() for cell in table[0]] == titles:
        del table[0]  # the header once more
    charts = read_charts(read.pick(entry, "charts", "chart"), f"{where}.charts")
    return {"name": name, "columns": columns, "rows": table, "charts": charts}


def read_sheet(fields: Fields, notes: list[str]) -> Sheet:
    """The sheet of these fields, which are from `read_fields`. `notes` gets what the model should know.

    Raises:
        ToolInputError: a chart of columns that are not there or have no numbers.
    """
    titles = tuple(column["title"] for column in fields["columns"])
    columns = tuple(
        read_column([row[index] for row in fields["rows"]], column["format"])
        for index, column in enumerate(fields["columns"])
    )
    spot = f"sheet {fields['name']!r}, column"
    totals = []
    for title, column, total in zip(titles, columns, (column["total"] for column in fields["columns"]), strict=True):
        notes += (f"In {spot} {title!r} {note}" for note in _oddities(column))
        if total not in ("none", "count") and not column.numbers:
            notes.append(f"In {spot} {title!r} there are no numbers, so no {total}.")
            total = "none"
        totals.append(total)
    charts = tuple(
        _chart(chart, f"sheet {fields['name']!r}, charts[{index}]", titles, columns)
        for index, chart in enumerate(fields["charts"])
    )
    return Sheet(fields["name"], titles, columns, tuple(totals), charts)


def raw_rows(value: Any, where: str) -> list[list[Any] | Mapping[str, Any]]:
    """Rows, each a list of cells or an object that names its columns."""
    rows: list[list[Any] | Mapping[str, Any]] = []
    for index, row in enumerate(read.array(value, where)):
        if isinstance(row, str) and row.lstrip().startswith("{"):
            row = read.mapping(row, f"{where}[{index}]")
        if isinstance(row, Mapping):
            cells = read.pick(row, "cells", "values")
            rows.append(list(cells) if isinstance(cells, list) and len(row) == 1 else row)
        elif isinstance(row, list | tuple) or (isinstance(row, str) and row.lstrip().startswith("[")):
            rows.append(read.array(row, f"{where}[{index}]"))
        else:
            rows.append([row])
    return rows


def fit_row(row: list[Any] | Mapping[str, Any], titles: Sequence[str], where: str) -> list[Any]:
    """A row with one cell a column: short rows are filled up, empty cells beyond the last column go."""
    if isinstance(row, Mapping):
        unknown = [str(key) for key in row if str(key) not in titles]
        if unknown:
            raise ToolInputError(
                f"{where} has the keys {unknown[:5]!r}, which are no column titles; the columns are {', '.join(titles)}"
            )
        return [row.get(title) for title in titles]
    if any(cell not in (None, "") for cell in row[len(titles) :]):
        raise ToolInputError(f"{where} has {len(row)} cells for {len(titles)} columns; send one value a column")
    return [*row[: len(titles)], *[None] * (len(titles) - len(row))]


def read_columns(value: Any, where: str, known: Sequence[Fields] = ()) -> list[Fields]:
    """Title, format and total of each column. What one does not say is as in the `known` column of its title, or of its
    place when there are as many."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        value = value.replace("，", ",").split(",")
    found = read.array(value, where)
    by_title = {column["title"]: column for column in known}
    columns = []
    for index, column in enumerate(found):
        spot = f"{where}[{index}]"
        fields = column if isinstance(column, Mapping) else {"title": column}
        title = read.text(read.pick(fields, "title", "name", "header", "label", "key"), f"{spot}.title", "")
        title = " ".join(title[:TEXT_LIMIT].split()) or f"列{index + 1}"
        before = by_title.get(title) or (known[index] if len(known) == len(found) else {})
        wanted = read.pick(fields, "format", "type", "number_format")
        chosen = before.get("format", "auto") if wanted is None else read_format(str(wanted))
        if chosen is None:
            raise ToolInputError(f"{spot}.format is {str(wanted)[:40]!r}; send one of {', '.join(FORMATS)}")
        total = read.pick(fields, "total", "totals", "summary")
        total = read.choice(total, f"{spot}.total", _TOTALS, before.get("total", "none"))
        columns.append({"title": title, "format": chosen, "total": total})
    return columns


def read_charts(value: Any, where: str) -> list[Fields]:
    """Type, title, labels and values of each chart; the columns are titles."""
    given = read.array(value, where)
    if len(given) > CHART_LIMIT:
        raise ToolInputError(f"{where} has {len(given)} entries and {CHART_LIMIT} are the most")
    charts = []
    for index, chart in enumerate(given):
        spot = f"{where}[{index}]"
        entry = read.mapping(chart, spot)
        labels = read.pick(entry, "labels", "categories", "x", "category")
        charts.append(
            {
                "type": read.choice(read.pick(entry, "type", "kind", "chart_type"), f"{spot}.type", _KINDS, "column"),
                "title": read.text(read.pick(entry, "title", "name"), f"{spot}.title", ""),
                "labels": None if labels is None else read.text(labels, f"{spot}.labels"),
                "values": read.texts(read.pick(entry, "values", "series", "y", "columns"), f"{spot}.values"),
            }
        )
    return charts


def sheet_names(wanted: Sequence[str]) -> list[str]:
    """The names as Excel takes them: 31 characters, none of []:*?/\\, no two alike whatever their case."""
    names: list[str] = []
    taken = {"history"}  # Excel keeps this one for itself
    for name in wanted:
        base = re.sub(r"[\[\]:*?/\\\x00-\x1f]+", "_", name).strip(" '") or "Sheet"
        made, count = cut(base, _NAME_LIMIT).strip(" '"), 1
        while made.casefold() in taken:
            count += 1
            made = f"{cut(base, _NAME_LIMIT - 4)}_{count}"
        taken.add(made.casefold())
        names.append(made)
    return names


def cut(text: str, limit: int) -> str:
    """As much of the text as fits that many UTF-16 code units, which is how Excel counts."""
    return text.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", errors="ignore") if 2 * len(text) > limit else text


def find_column(name: str, where: str, titles: Sequence[str]) -> int:
    """The index of the column of this title."""
    wanted = " ".join(name.split()).casefold()
    for index, title in enumerate(titles):
        if title.casefold() == wanted:
            return index
    raise ToolInputError(f"{where} is {name[:60]!r}, which is no column title; the columns are {', '.join(titles)}")


def _implied_columns(rows: list[list[Any] | Mapping[str, Any]], where: str) -> list[Fields]:
    """Columns that nobody sent: the keys of the rows, or the first row when it is all text."""
    keys = dict.fromkeys(str(key) for row in rows if isinstance(row, Mapping) for key in row)
    if keys:
        return read_columns(list(keys), where)
    first = rows[0] if rows else []
    if first and isinstance(first, list) and all(isinstance(cell, str) and cell.strip() for cell in first):
        return read_columns(rows.pop(0), where)
    raise ToolInputError(f'{where} is missing; send one {{"title": …}} a column')


def _oddities(column: Column) -> list[str]:
    """What the model should know about cells that came out otherwise than it may think."""
    notes = []
    if column.odd:
        example = next(value for value in column.values if isinstance(value, str))
        notes.append(f"{column.odd} cells such as {example[:30]!r} do not read as {column.format} and stay text.")
    if column.format == "percent":
        high = next((value for value in column.numbers if abs(value) > 10), None)
        if high is not None:
            notes.append(f'{high} shows as {high * 100:g}%; if {high}% was meant, write {high / 100:g} or "{high}%".')
    if any(isinstance(value, str) and len(value) > TEXT_LIMIT for value in column.values):
        notes.append(f"texts were cut to Excel's {TEXT_LIMIT} characters.")
    return notes


def _chart(fields: Fields, where: str, titles: Sequence[str], columns: Sequence[Column]) -> Chart:
    labels = fields["labels"]
    axis = None if labels is None else find_column(labels, f"{where}.labels", titles)
    if axis is None and columns[0].format not in NUMERIC:
        axis = 0
    numbers = [find_column(name, f"{where}.values", titles) for name in fields["values"]]
    if not numbers:
        numbers = [index for index, column in enumerate(columns) if column.format in NUMERIC and index != axis]
    for index in numbers:
        if not columns[index].numbers:
            raise ToolInputError(f"{where}.values names {titles[index]!r}, which has no numbers")
    if not numbers:
        raise ToolInputError(f"{where}.values is empty; send the titles of the number columns to draw")
    kind = fields["type"]
    if kind == "scatter" and (axis is None or not columns[axis].numbers):
        raise ToolInputError(f"{where}.labels of a scatter chart is the title of the number column for the x axis")
    return Chart(kind, fields["title"], axis, tuple(numbers[:1] if kind == "pie" else numbers))
