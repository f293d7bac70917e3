"""From a model's slides to those of a presentation: what goes onto which, at which size, so that nothing overflows.

Pure. Lengths are points, widths of text are estimates. Text and tables step down in size; what does not fit at the
smallest goes on on a following slide. Does not know the file format.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from . import arguments as read
from .lines import break_lines
from .made import ToolInputError
from .markdown import Runs, bold, parse_inline, plain
from .plots import Plot, read_plot
from .widths import em_width, share

# Left, top, width and height of what stands on a slide of 960 × 540.
Box = tuple[float, float, float, float]
TITLE: Box = (44, 24, 872, 74)
BODY: Box = (44, 116, 872, 374)
LEFT: Box = (44, 116, 424, 374)
RIGHT: Box = (492, 116, 424, 374)

LINE_HEIGHT = 1.3  # of the font size
PARAGRAPH_GAP = 6.0
GRID_GAP = 8.0  # between a text and the table below it
INDENT = 24.0
# What boxes and table cells keep free inside, left and right together, above and below.
_INSET = (14.4, 7.2)
_TITLE_SIZES = (32, 28, 24, 20)
# The last is the smallest that is tried for one slide; what needs more slides takes the last but one.
_TEXT_SIZES = (24, 22, 20, 18, 16)
_TABLE_SIZES = (16, 14, 12, 11)
_LEVELS = 3
_TEXT_LIMIT = 50_000
# Longer bullets are split, so that each fits even half a slide.
_BULLET_LENGTH = 200
_PART = re.compile(r".{1,200}$|.{1,199}[。！？；，.!?;, ]|.{1,200}")
_BREAK = re.compile(r"(?i)\n|<br\s*/?>")
_CELL_LINES = 6
_TABLE_COLUMNS, _TABLE_ROWS = 12, 300
_CHART_POINTS = 200


@dataclass(frozen=True, slots=True)
class Bullet:
    """A paragraph; a heading is one without its mark."""

    runs: Runs
    level: int = 0
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs that fit their box at this size; `height` is what they take of it."""

    bullets: tuple[Bullet, ...]
    size: int
    height: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of a table that fit together at this size, the header first."""

    rows: tuple[tuple[Runs, ...], ...]
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide as it will be: at most two texts, or a text with a table below or a chart beside it.

    One with nothing but a title opens a section.
    """

    title: str
    texts: tuple[Text, ...] = ()
    grid: Grid | None = None
    plot: Plot | None = None
    notes: str = ""


def plan_slides(fields: Mapping[str, Any], where: str) -> list[Slide]:
    """The slides that one entry becomes, at least one.

    Raises:
        ToolInputError: a table or chart that cannot be shown, or more text than a presentation bears.
    """
    title = read_line(fields.get("title"), f"{where}.title")
    notes = read.text(fields.get("notes"), f"{where}.notes", "")[:_TEXT_LIMIT]
    bullets = _bullets(fields.get("bullets"), f"{where}.bullets")
    sides = [_side(fields, side, where) for side in ("left", "right")]
    grids = fit_table(_table(fields.get("table"), f"{where}.table"), BODY)
    plot = _plot(fields.get("chart"), f"{where}.chart")

    # What goes together: bullets and a chart beside them, a few bullets and a small table below.
    texts = fit_text(bullets, LEFT if plot else BODY) if bullets else []
    slides = [Slide("", (text,)) for text in texts]
    if plot and slides:
        slides[0] = replace(slides[0], plot=plot)
    elif plot:
        slides.append(Slide("", plot=plot))
    elif len(texts) == len(grids) == 1 and texts[0].height + GRID_GAP + sum(grids[0].heights) < BODY[3]:
        slides = [replace(slides[0], grid=grids.pop())]
    if any(sides):
        columns = [fit_text(side, LEFT) for side in sides]
        size = min(column[0].size for column, side in zip(columns, sides, strict=True) if side)
        for pair in zip_longest(*columns, fillvalue=Text((), size, 0)):
            slides.append(Slide("", tuple(replace(text, size=size) for text in pair)))
    slides += (Slide("", grid=grid) for grid in grids)
    first, *more = slides or [Slide("")]
    return [replace(first, title=title, notes=notes), *(replace(slide, title=_continued(title)) for slide in more)]


def read_line(value: Any, where: str) -> str:
    return " ".join(_BREAK.sub(" ", read.text(value, where, "")).split())[:500]


def fit_title(title: str, width: float, lines: int) -> tuple[str, int]:
    """The title and its size; one that does not fit so many lines at the smallest is cut with an ellipsis."""
    size = next((size for size in _TITLE_SIZES if _lines(title, width, size) <= lines), _TITLE_SIZES[-1])
    return _clip(title, width, size, lines), size


def fit_text(bullets: Sequence[Bullet], box: Box) -> list[Text]:
    """The bullets in texts that each fit the box, at least one."""
    for size in (*_TEXT_SIZES, _TEXT_SIZES[-2]):
        heights = [_height(bullet, size, box[2] - _INSET[0]) for bullet in bullets]
        if sum(heights) <= box[3] - _INSET[1]:
            break
    return [
        Text(tuple(bullets[at] for at in page), size, sum(heights[at] for at in page) + _INSET[1])
        for page in _fill(heights, box[3] - _INSET[1])
    ]


def fit_table(table: Sequence[Sequence[str]], box: Box) -> list[Grid]:
    """The table on as many slides as it needs, each with the header. Cells of more than a few lines are cut."""
    if not table:
        return []
    for size in (*_TABLE_SIZES, _TABLE_SIZES[-2]):
        naturals = [max(map(em_width, column)) * size + _INSET[0] + 4 for column in zip(*table, strict=True)]
        widths = share(naturals, box[2])
        rooms = [width - _INSET[0] for width in widths]
        rows = [[_clip(*cell, size, _CELL_LINES) for cell in zip(row, rooms, strict=True)] for row in table]
        lines = [max(_lines(*cell, size) for cell in zip(row, rooms, strict=True)) for row in rows]
        heights = [count * size * LINE_HEIGHT + 8 for count in lines]
        if sum(heights) <= box[3]:
            break
    runs = [tuple(map(parse_inline, row)) for row in rows]
    pages = [[0, *(at + 1 for at in page)] for page in _fill(heights[1:], box[3] - heights[0])]
    return [
        Grid(tuple(runs[at] for at in page), tuple(widths), tuple(heights[at] for at in page), size) for page in pages
    ]


def bullet_size(size: int, level: int) -> int:
    return max(size - 2 * level, 12)


def _height(bullet: Bullet, size: int, width: float) -> float:
    own = bullet_size(size, bullet.level)
    return _lines(plain(bullet.runs), width - INDENT * (bullet.level + 1), own) * own * LINE_HEIGHT + PARAGRAPH_GAP


def _lines(text: str, width: float, size: int) -> int:
    return len(break_lines(text, [em_width(character) * size for character in text], width))


def _clip(text: str, width: float, size: int, lines: int) -> str:
    while _lines(text, width, size) > lines:
        text = text[: len(text) * 9 // 10].rstrip("…") + "…"
    return text


def _fill(heights: Sequence[float], room: float) -> list[list[int]]:
    """The indices of the heights in pages of so much room, at least one; all about equally full."""
    count = len(_pages(heights, room))
    return _pages(heights, min(room, sum(heights) / count + max(heights, default=0)))


def _pages(heights: Sequence[float], room: float) -> list[list[int]]:
    pages: list[list[int]] = [[]]
    used = 0.0
    for index, height in enumerate(heights):
        if pages[-1] and used + height > room:
            pages.append([])
            used = 0.0
        pages[-1].append(index)
        used += height
    return pages


def _continued(title: str) -> str:
    return f"{title}（续）" if any(character > "\u2e80" for character in title) else f"{title} (continued)".lstrip()


def _side(fields: Mapping[str, Any], side: str, where: str) -> list[Bullet]:
    """One of two columns; its title is its first paragraph."""
    title = read_line(fields.get(f"{side}_title"), f"{where}.{side}_title")[:80]
    heading = [Bullet(bold(parse_inline(title)), is_heading=True)] if title else []
    return heading + _bullets(fields.get(side), f"{where}.{side}")


def _bullets(value: Any, where: str, level: int = 0) -> list[Bullet]:
    """Bullets from lines, or from objects with text and children as some models send them."""
    if level > 20:
        raise ToolInputError(f"{where} is nested too deeply; send one string a bullet")
    is_line = isinstance(value, str) and not value.lstrip().startswith(("[", "{"))
    bullets: list[Bullet] = []
    for index, entry in enumerate([value] if is_line else read.array(value, where)):
        spot = f"{where}[{index}]"
        match entry:
            case Mapping():
                text = read.pick(entry, "text", "title", "content", "bullet")
                bullets += _bullets([text] if isinstance(text, str) else text, spot, level)
                bullets += _bullets(read.pick(entry, "children", "sub_bullets", "bullets", "items"), spot, level + 1)
            case list() | tuple():
                bullets += _bullets(entry, spot, level + 1)
            case _:
                lines = _BREAK.split(read.unescape_lines(read.text(entry, spot, "")))
                bullets += (bullet for line in lines for bullet in _split(line, level))
    if sum(len(run.text) for bullet in bullets for run in bullet.runs) > _TEXT_LIMIT:
        raise ToolInputError(f"{where} has more than {_TEXT_LIMIT} characters; make a document instead")
    return bullets


def _split(line: str, level: int) -> list[Bullet]:
    """A line as a bullet, a very long one as several: two spaces make a level, the mark of a list is dropped."""
    line = line.replace("\t", "  ").replace("\u3000", "  ")
    level = min(level + (len(line) - len(line.lstrip())) // 2, _LEVELS - 1)
    line = re.sub(r"^([-*•+] |·)+", "", line.strip()).strip()
    parts = [line] if len(line) <= _BULLET_LENGTH else _PART.findall(plain(parse_inline(line)))
    return [Bullet(parse_inline(part.strip()), level) for part in parts if part.strip()]


def _table(value: Any, where: str) -> list[list[str]]:
    """Rows of cells, the header first: from columns and rows, or from rows alone. [] for no table."""
    if not value:
        return []
    if isinstance(value, list | tuple) and isinstance(value[0], list | tuple):
        value = {"rows": value}
    fields = read.mapping(value, where)
    header = read.array(read.pick(fields, "columns", "header", "headers"), f"{where}.columns")
    titles = [read.pick(cell, "title", "name") if isinstance(cell, Mapping) else cell for cell in header]
    rows = read.array(read.pick(fields, "rows", "data"), f"{where}.rows")
    rows = [[row.get(title) for title in titles] if isinstance(row, Mapping) else row for row in rows]
    table = [
        [read_line(cell, f"{where}.rows") for cell in read.array(row, f"{where}.rows")]
        for row in ([titles] if titles else []) + rows
    ]
    if not table or not table[0]:
        raise ToolInputError(f'{where} has no columns; send {{"columns": […], "rows": [[…], …]}}')
    columns = len(table[0])
    if columns > _TABLE_COLUMNS or len(table) > _TABLE_ROWS:
        raise ToolInputError(
            f"{where} has {columns} columns and {len(table) - 1} rows; {_TABLE_COLUMNS} columns and {_TABLE_ROWS - 1} "
            "rows are the most: use create_spreadsheet"
        )
    for index, row in enumerate(table):
        if len(row) > columns:
            raise ToolInputError(
                f"{where}.rows[{index - 1}] has {len(row)} cells for {columns} columns; send one a column"
            )
        row += [""] * (columns - len(row))
    return table


def _plot(value: Any, where: str) -> Plot | None:
    if not value:
        return None
    plot = read_plot(read.mapping(value, where), f"{where}.")
    if plot.kind == "histogram":
        raise ToolInputError(f"{where}.type histogram is for create_chart; count the values and send type bar")
    if any(len(series.values) > _CHART_POINTS for series in plot.series):
        raise ToolInputError(f"{where}.series has more than {_CHART_POINTS} values, the most that a slide shows")
    return plot
