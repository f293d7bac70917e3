"""The tool `create_chart`: numbers in, a PNG with Chinese labels out. Needs the extra `charts` (matplotlib).

Knows the arguments and matplotlib. What they mean is read by `plots`. matplotlib is imported when a chart is drawn; its
settings and fonts are the process's, so one chart is drawn at a time.
"""

import atexit
import functools
import importlib.util
import io
import math
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from . import arguments as read
from . import fonts
from .lines import break_lines
from .made import Made, ToolInputError, file_stem, finish
from .plots import Number, Plot, Series, read_plot
from .widths import columns

NAME = "create_chart"
DESCRIPTION = (
    "Draw a chart as a PNG picture and send it to the user: line, area, bar, horizontal bar, stacked bar, pie, scatter "
    "or histogram. For a chart that can be edited, put it into create_spreadsheet or create_slides."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filename": {"type": "string", "description": "File name in the user's language, e.g. 月度销售.png"},
        "type": {
            "type": "string",
            "enum": ["line", "area", "bar", "horizontal_bar", "stacked_bar", "pie", "scatter", "histogram"],
        },
        "title": {"type": "string"},
        "labels": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Categories, one a value; not for scatter and histogram",
        },
        "series": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "values": {
                        "type": "array",
                        "items": {},
                        "description": "Numbers, null for a gap; [x, y] pairs for scatter",
                    },
                },
                "required": ["values"],
            },
        },
        "x_label": {"type": "string"},
        "y_label": {"type": "string", "description": "What the numbers are, with their unit"},
    },
    "required": ["type", "series"],
    "additionalProperties": False,
}

_AREA = {"area", "area_chart", "面积图", "面积"}
_COLORS = ("#2463c5", "#f08a24", "#2a9d6f", "#8e5bd0", "#d64550", "#19a3b8", "#b5952b", "#6b7a90", "#d66bb0", "#5aa02c")
_TEXT, _MUTED, _GRID = "#1f2328", "#57606a", "#e3e7ec"
# Inches at 150 dots: 1350 × 780 dots, sharp on a phone and far below WeCom's limits.
_SIZE, _DPI = (9.0, 5.2), 150
_TALLEST = 16.0
# Values stand at this many bars and fewer, markers on lines of this many points.
_LABELLED, _MARKED = 24, 30
# More bars, or slices, are no picture any more.
_BARS, _SLICES = 600, 12
_TICKS = 24
# Columns of text, a Chinese character being two.
_TITLE_WIDTH, _LABEL_WIDTH = 64, 24
# A chart has no room for larger numbers, and the arithmetic of axes none beyond.
_LARGEST = 1e15

_drawing = threading.Lock()


def available() -> bool:
    """Whether charts can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def build(arguments: Mapping[str, Any]) -> Made:
    """Draws the chart.

    Raises:
        ToolInputError: no numbers, labels that do not go with them, or more than a picture can show.
    """
    arguments = read.unwrap(arguments)
    kind = read.pick(arguments, "type", "kind", "chart_type")
    is_area = isinstance(kind, str) and kind.strip().lower() in _AREA
    plot = read_plot({**arguments, "type": "line"} if is_area else arguments)
    _check(plot)
    name = read.text(read.pick(arguments, "filename", "file_name"), "filename", "")
    with _drawing:
        letters = _letters()
        lost: list[str] = []

        def drawn(text: str) -> str:
            ready, missing = fonts.drawable(text, letters.__contains__)
            lost.append(missing)
            return ready

        data = _draw(_ready(plot, drawn), is_area=is_area)
    points = sum(len(series.values) for series in plot.series)
    note = fonts.lost_note("".join(lost), "use other words")
    summary = (
        f"PNG chart, type {'area' if is_area else plot.kind}, series: {len(plot.series)}, values: {points}. {note}"
    )
    return finish(file_stem(name, plot.title or "图表"), "png", data, summary.strip())


def _check(plot: Plot) -> None:
    numbers = [value for series in plot.series for value in (*series.values, *series.xs) if value is not None]
    if any(abs(value) > _LARGEST for value in numbers):
        raise ToolInputError(f"a value is beyond {_LARGEST:g}: send the numbers in a larger unit, such as 亿")
    bars = sum(len(series.values) for series in plot.series)
    if plot.kind in ("bar", "horizontal", "stacked") and bars > _BARS:
        raise ToolInputError(f"{bars} bars cannot be read: use type line, or fewer, summed up values")


def _ready(plot: Plot, drawn: Callable[[str], str]) -> Plot:
    """The plot with only what the fonts draw in its words, cut to what there is room for."""
    is_many = len(plot.series) > 1
    return replace(
        plot,
        title=_fold(drawn(plot.title), _TITLE_WIDTH, 3),
        labels=tuple(_fold(drawn(label), _LABEL_WIDTH, 1) for label in plot.labels),
        # matplotlib hides names that begin with an underscore.
        series=tuple(
            replace(
                line, name=_fold(drawn(line.name), _LABEL_WIDTH, 1).lstrip("_ ") or (str(number) if is_many else "")
            )
            for number, line in enumerate(plot.series, start=1)
        ),
        x_label=_fold(drawn(plot.x_label), _TITLE_WIDTH, 1),
        y_label=_fold(drawn(plot.y_label), _TITLE_WIDTH // 2, 1),
    )


def _fold(text: str, width: int, most: int) -> str:
    """At most `most` lines of `width` columns; what is cut ends with an ellipsis."""
    text = " ".join(text.split())
    ranges = break_lines(text, [float(columns(character)) for character in text], width)
    lines = [text[start:stop] for start, stop in ranges]
    return "\n".join(lines[:most]) + ("…" if len(lines) > most else "")


@functools.cache
def _letters() -> frozenset[str]:
    """Loads the packaged fonts into matplotlib; the characters that they and its own font draw.

    matplotlib reads fonts from files only, so they lie unpacked in a folder of the process's own while it runs.
    """
    from matplotlib import font_manager

    folder = Path(tempfile.mkdtemp(prefix="wecom-agent-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    letters: set[int] = set(font_manager.get_font(font_manager.findfont(_FALLBACK)).get_charmap())
    for font in (fonts.CHINESE, fonts.EMOJI):
        path = folder / font.file.removesuffix(".gz")
        path.write_bytes(font.load())
        font_manager.fontManager.addfont(path)
        letters |= font_manager.get_font(path).get_charmap().keys()
    return frozenset(map(chr, letters))


_FALLBACK = "DejaVu Sans"  # comes with matplotlib
_FAMILIES = [fonts.CHINESE.family, _FALLBACK, fonts.EMOJI.family]


def _style() -> Any:
    return {
        "font.family": _FAMILIES, "font.size": 11, "text.parse_math": False, "axes.unicode_minus": False,
        "text.color": _TEXT, "axes.labelcolor": _MUTED, "xtick.color": _MUTED, "ytick.color": _MUTED,
        "axes.edgecolor": _MUTED, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "grid.color": _GRID, "xtick.labelcolor": _TEXT, "ytick.labelcolor": _TEXT,
        "figure.constrained_layout.w_pad": 0.18, "figure.constrained_layout.h_pad": 0.18,
    }  # fmt: skip


def _draw(plot: Plot, *, is_area: bool) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    width, height = _SIZE
    if plot.kind == "horizontal":
        height = min(max(height, 1.6 + len(plot.labels) * max(0.3, 0.16 * len(plot.series))), _TALLEST)
    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        if plot.kind == "pie":
            _draw_pie(axes, plot)
        else:
            _draw_axes(axes, plot, is_area=is_area)
        if plot.title:
            _embolden(axes.set_title(plot.title, fontsize=15, pad=14))
        for text in figure.findobj(Text):
            # Where the Chinese font has a glyph without outline, the fall-back goes first.
            if fonts.BLANK & set(text.get_text()):
                text.set_fontfamily([_FALLBACK, *_FAMILIES])
        output = io.BytesIO()
        figure.savefig(output, format="png", metadata={"Software": None})
    return output.getvalue()


def _embolden(text: Any) -> None:
    """The packaged fonts have no bold face: a thin outline makes one."""
    from matplotlib.patheffects import withStroke

    text.set_path_effects([withStroke(linewidth=0.8, foreground=_TEXT)])


def _draw_axes(axes: Any, plot: Plot, *, is_area: bool) -> None:
    match plot.kind:
        case "line":
            _draw_lines(axes, plot, is_area=is_area)
        case "bar" | "horizontal":
            _draw_bars(axes, plot, is_flat=plot.kind == "horizontal")
        case "stacked":
            _draw_stacks(axes, plot)
        case "scatter":
            for series, color in _colored(plot):
                axes.scatter(series.xs, series.values, s=36, color=color, alpha=0.75, linewidths=0, label=series.name)
        case _:
            values = [[value for value in series.values if value is not None] for series in plot.series]
            bins = min(max(5, math.ceil(math.sqrt(max(map(len, values))))), 40)
            colors = [color for _, color in _colored(plot)]
            axes.hist(values, bins=bins, color=colors, label=[series.name for series in plot.series], rwidth=0.92)
    is_flat = plot.kind == "horizontal"
    if plot.kind in ("bar", "horizontal", "stacked"):
        (axes.axvline if is_flat else axes.axhline)(0, color=_MUTED, linewidth=0.8)
        axes.spines["left" if is_flat else "bottom"].set_visible(False)
    axes.grid(axis="both" if plot.kind == "scatter" else "x" if is_flat else "y")
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        if not (plot.labels and axis is (axes.yaxis if is_flat else axes.xaxis)):
            axis.set_major_formatter(lambda value, _: _written(value))
    name = plot.series[0].name if len(plot.series) == 1 else ""
    numbers, groups = plot.y_label or (name if plot.kind != "histogram" else ""), plot.x_label
    axes.set_xlabel(numbers if is_flat else groups or (name if plot.kind == "histogram" else ""), labelpad=8)
    axes.set_ylabel(groups if is_flat else numbers, labelpad=8)
    if len(plot.series) > 1:
        axes.figure.legend(
            loc="outside lower center", ncols=min(len(plot.series), 5), frameon=False, handlelength=1.4, fontsize=10.5
        )


def _draw_lines(axes: Any, plot: Plot, *, is_area: bool) -> None:
    places = range(len(plot.labels))
    for series, color in _colored(plot):
        values = [math.nan if value is None else value for value in series.values]
        # A point between two gaps has no line to be seen by.
        marker = "o" if len(values) <= _MARKED or any(math.isnan(value) for value in values) else None
        axes.plot(places, values, color=color, linewidth=2.2, marker=marker, markersize=5, label=series.name)
        if is_area:
            axes.fill_between(places, values, color=color, alpha=0.18, linewidth=0)
    if is_area and all(value is None or value >= 0 for series in plot.series for value in series.values):
        axes.set_ylim(bottom=0)
    _name_groups(axes, plot.labels)


def _draw_bars(axes: Any, plot: Plot, *, is_flat: bool) -> None:
    thickness = 0.78 / len(plot.series)
    is_labelled = sum(len(series.values) for series in plot.series) <= _LABELLED
    for index, (series, color) in enumerate(_colored(plot)):
        shift = (index - (len(plot.series) - 1) / 2) * thickness
        places = [place + shift for place in range(len(plot.labels))]
        lengths = [value or 0 for value in series.values]
        draw = axes.barh if is_flat else axes.bar
        bars = draw(places, lengths, thickness * 0.92, color=color, label=series.name)
        if is_labelled:
            words = ["" if value is None else _written(value) for value in series.values]
            axes.bar_label(bars, words, padding=3, fontsize=10, color=_TEXT)
    if is_labelled:
        axes.margins(**{"x" if is_flat else "y": 0.12})
    if is_flat:
        axes.invert_yaxis()  # the first label on top, as one reads
    _name_groups(axes, plot.labels, is_flat=is_flat)


def _draw_stacks(axes: Any, plot: Plot) -> None:
    above, below = [0.0] * len(plot.labels), [0.0] * len(plot.labels)
    is_labelled = sum(len(series.values) for series in plot.series) <= _LABELLED
    for series, color in _colored(plot):
        values = [float(value or 0) for value in series.values]
        bottoms = [below[i] if value < 0 else above[i] for i, value in enumerate(values)]
        bars = axes.bar(range(len(values)), values, 0.66, bottom=bottoms, color=color, label=series.name)
        if is_labelled:
            words = [_written(value) if value else "" for value in values]
            axes.bar_label(bars, words, label_type="center", fontsize=10, color="white")
        for i, value in enumerate(values):
            side = below if value < 0 else above
            side[i] += value
    _name_groups(axes, plot.labels)


def _draw_pie(axes: Any, plot: Plot) -> None:
    pairs = [(label, value) for label, value in zip(plot.labels, plot.series[0].values, strict=True) if value]
    if len(pairs) > _SLICES:
        pairs.sort(key=lambda pair: -pair[1])
        rest = sum(value for _, value in pairs[_SLICES - 1 :])
        is_english = "".join(plot.labels).isascii()
        pairs = [*pairs[: _SLICES - 1], ("Other" if is_english else "其他", rest)]
    total = sum(value for _, value in pairs)
    colors = [color for _, color in zip(pairs, _shades(), strict=False)]
    wedges, *_ = axes.pie(
        [value / total for _, value in pairs], colors=colors, startangle=90, counterclock=False, radius=1.1,
        wedgeprops={"edgecolor": "white", "linewidth": 1.5},
    )  # fmt: skip
    words = [f"{label}  {_written(value)}（{value / total:.1%}）" for label, value in pairs]
    if "".join(plot.labels).isascii():
        words = [word.replace("（", " (").replace("）", ")") for word in words]
    axes.legend(wedges, words, loc="center left", bbox_to_anchor=(1.06, 0.5), frameon=False, fontsize=11)
    axes.set_aspect("equal")


def _name_groups(axes: Any, labels: Sequence[str], *, is_flat: bool = False) -> None:
    """Writes the labels along their axis: all while there is room, else turned, else every n-th."""
    most = 60 if is_flat else _TICKS
    step = math.ceil(len(labels) / most)
    shown = list(range(0, len(labels), step))
    words = [labels[index] for index in shown]
    if is_flat:
        axes.set_yticks(shown, words)
        return
    # About 110 columns of text fit side by side.
    is_tight = sum(columns(word) + 2 for word in words) > 110 or max(map(columns, words)) > 110 / len(words)
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if is_tight else {}
    axes.set_xticks(shown, words, **turned)


def _colored(plot: Plot) -> Iterator[tuple[Series, str]]:
    return zip(plot.series, _shades(), strict=False)


def _shades() -> Iterator[str]:
    """The colours, then the same ones paler."""
    from matplotlib.colors import to_hex, to_rgb

    yield from _COLORS
    for color in cycle(_COLORS):
        red, green, blue = (0.45 + 0.55 * part for part in to_rgb(color))
        yield to_hex((red, green, blue))


def _written(value: Number) -> str:
    """A number as one reads it: 12,345 · 3.14 · 0.00123."""
    size = abs(value)
    if size >= 1e12 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if float(value).is_integer() or size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if size >= 1 else f"{value:.3g}"
