"""What a chart shows, as a model describes it: labels and series, read once for PNG and slides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import arguments as read
from .made import ToolInputError

KINDS = {
    "line": "line", "折线": "line", "折线图": "line", "area": "line",
    "bar": "bar", "column": "bar", "柱状图": "bar", "vertical_bar": "bar", "bar_chart": "bar",
    "horizontal": "horizontal", "horizontal_bar": "horizontal", "barh": "horizontal", "条形图": "horizontal",
    "stacked": "stacked", "stacked_bar": "stacked", "stacked_column": "stacked", "堆叠": "stacked",
    "堆叠柱状图": "stacked",
    "pie": "pie", "饼图": "pie", "doughnut": "pie", "donut": "pie",
    "scatter": "scatter", "xy": "scatter", "散点图": "scatter",
    "histogram": "histogram", "hist": "histogram", "直方图": "histogram",
}  # fmt: skip
POINT_LIMIT = 20_000
SERIES_LIMIT = 20
LABEL_LIMIT = 2000

Number = int | float


@dataclass(frozen=True, slots=True)
class Series:
    """`values` has None where there is a gap; `xs` is as long and is empty but for scatter."""

    name: str
    values: tuple[Number | None, ...]
    xs: tuple[Number | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """`kind` is of the right side of `KINDS`. Every series has one value a label, but for scatter and histogram."""

    kind: str
    title: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""


def read_plot(arguments: Mapping[str, Any], where: str = "") -> Plot:
    """The chart of these arguments. `where` is put before the names in errors, e.g. "slides[2].chart.".

    Raises:
        ToolInputError: an unknown type, no numbers, or labels and values that do not go together.
    """
    kind = read.choice(read.pick(arguments, "type", "kind", "chart_type"), f"{where}type", KINDS, "bar")
    labels, series = _data(arguments, kind, where)
    if not series or not any(value is not None for line in series for value in line.values):
        raise ToolInputError(f'{where}series has no numbers; send [{{"name": "…", "values": [1, 2, 3]}}]')
    if len(series) > SERIES_LIMIT or sum(len(line.values) for line in series) > POINT_LIMIT:
        raise ToolInputError(f"{where}series is too much: {SERIES_LIMIT} series and {POINT_LIMIT} points are the most")
    labels = [] if kind in ("scatter", "histogram") else _checked_labels(labels, series, where)
    if kind == "pie":
        series = series[:1]
        if any(value is not None and value < 0 for value in series[0].values) or not any(series[0].values):
            raise ToolInputError(f"{where}series of a pie needs values of 0 and more, not all 0; use type bar")
    words = {
        name: read.text(read.pick(arguments, *names), f"{where}{name}", "")
        for name, names in (
            ("title", ("title", "name")),
            ("x_label", ("x_label", "xlabel", "x_title", "x_axis")),
            ("y_label", ("y_label", "ylabel", "y_title", "y_axis")),
        )
    }
    return Plot(kind, words["title"], tuple(labels), tuple(series), words["x_label"], words["y_label"])


def _data(arguments: Mapping[str, Any], kind: str, where: str) -> tuple[list[str], list[Series]]:
    data = read.pick(arguments, "data")
    if isinstance(data, str | Mapping) and "series" not in arguments:
        fields = read.mapping(data, f"{where}data")
        if {"series", "values", "labels", "datasets"} & fields.keys():
            return _data({**arguments, **fields, "data": None}, kind, where)
        # {"一月": 3, "二月": 5}
        return list(fields), [Series("", tuple(_numbers(list(fields.values()), f"{where}data")))]
    labels = read.texts(read.pick(arguments, "labels", "categories", "x"), f"{where}labels")
    given = read.pick(arguments, "series", "datasets", "values", "y", "data")
    if given is None:
        return labels, []
    found = read.array(given, f"{where}series")
    if len(found) == 1 and isinstance(found[0], Mapping) and not _VALUES & found[0].keys():
        # {"收入": [1, 2], "成本": [3, 4]}
        found = [{"name": name, "values": values} for name, values in found[0].items()]
    if not any(isinstance(entry, Mapping | list | tuple) for entry in found) or _is_pairs(found, kind):
        found = [{"values": found}]
    if kind == "scatter":
        xs = read.pick(arguments, "x", "labels")
        return labels, [_points(entry, xs, f"{where}series[{index}]") for index, entry in enumerate(found)]
    return labels, [_series(entry, f"{where}series[{index}]") for index, entry in enumerate(found)]


_VALUES = {"values", "data", "y", "x", "points"}


def _is_pairs(found: list[Any], kind: str) -> bool:
    return kind == "scatter" and all(isinstance(entry, list | tuple) and len(entry) == 2 for entry in found)


def _series(value: Any, where: str) -> Series:
    entry = {"values": value} if isinstance(value, list | tuple) else read.mapping(value, where)
    name = read.text(read.pick(entry, "name", "label", "title"), f"{where}.name", "")
    values = read.array(read.pick(entry, "values", "data", "y"), f"{where}.values")
    return Series(name, tuple(_numbers(values, f"{where}.values")))


def _points(value: Any, xs: Any, where: str) -> Series:
    """A series of a scatter chart: pairs, or an array each of x and y."""
    entry = {"values": value} if isinstance(value, list | tuple) else read.mapping(value, where)
    name = read.text(read.pick(entry, "name", "label", "title"), f"{where}.name", "")
    ys = read.array(read.pick(entry, "values", "points", "y", "data"), f"{where}.values")
    if ys and all(isinstance(point, Mapping) for point in ys):
        ys = [[read.pick(point, "x"), read.pick(point, "y")] for point in ys]
    if ys and all(isinstance(point, list | tuple) and len(point) == 2 for point in ys):
        pairs = list(ys)
    else:
        across = read.array(read.pick(entry, "x", "xs") or xs, f"{where}.x")
        if len(across) != len(ys):
            raise ToolInputError(
                f"{where} has {len(across)} x and {len(ys)} y values; send values as [[x, y], …] for a scatter chart"
            )
        pairs = list(zip(across, ys, strict=True))
    x_values = _numbers([pair[0] for pair in pairs], f"{where}.x")
    y_values = _numbers([pair[1] for pair in pairs], f"{where}.values")
    kept = [(x, y) for x, y in zip(x_values, y_values, strict=True) if x is not None and y is not None]
    return Series(name, tuple(y for _, y in kept), tuple(x for x, _ in kept))


def _numbers(values: list[Any], where: str) -> list[Number | None]:
    numbers: list[Number | None] = []
    for index, value in enumerate(values):
        number = read.number(value)
        if number is None and value not in (None, "", "-", "—", "N/A", "null"):
            raise ToolInputError(f"{where}[{index}] is {value!r}; send a number, or null for a gap")
        # Beyond this, charts come out empty or not at all.
        numbers.append(number if number is None or abs(number) < 1e300 else None)
    return numbers


def _checked_labels(labels: list[str], series: list[Series], where: str) -> list[str]:
    longest = max(len(line.values) for line in series)
    labels = labels or [str(number) for number in range(1, longest + 1)]
    if len(labels) > LABEL_LIMIT:
        raise ToolInputError(f"{where}labels has {len(labels)} entries and {LABEL_LIMIT} are the most")
    for index, line in enumerate(series):
        if len(line.values) != len(labels):
            raise ToolInputError(
                f"{where}series[{index}] has {len(line.values)} values for {len(labels)} labels; send one value a label"
            )
    return labels
