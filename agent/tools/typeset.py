"""Text on PDF pages: faces, lines and their drawing, on a reportlab canvas.

Knows glyph widths, which face draws which character, made-up bold and slant, justification. Does not know Markdown's
blocks or pages. reportlab's own paragraphs (5.1, wordWrap="CJK") are not used: they begin lines with "，" and end them
with "（", hang other marks over the margin, which in a table is the next cell, cut words in two, do not justify
Chinese, and can only be bold or slanted in a font that comes with such faces, which the packaged ones do not.
"""

import functools
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from . import fonts
from .lines import break_lines, chop_lines
from .markdown import Align, Run, is_openable

TEXT, MONO, SYMBOLS, EMOJI = "agent-text", "agent-mono", "agent-symbols", "agent-emoji"
# The font file of each face and the face's place in it.
_FACES = {TEXT: (fonts.CHINESE, 0), MONO: (fonts.CHINESE, 1), SYMBOLS: (fonts.SYMBOLS, 0), EMOJI: (fonts.EMOJI, 0)}
LINK = "#0b57d0"
SLANT = math.tan(math.radians(12))
# Of the font size: the width of the line drawn around a letter to make it bold.
BOLD_STROKE = 0.03
# Of the font size: as far as this a line is spread to the full width, a gap; beyond it stays ragged.
SPREAD = 0.12
# In a monospaced face a Chinese character takes two columns of 0.6 of the font size.
MONO_EM = 1.2


@dataclass(frozen=True, slots=True)
class Style:
    """How a text looks; lengths in points."""

    size: float = 10.5
    leading: float = 17.0
    color: str = "#1f2328"
    bold: bool = False
    code: bool = False
    align: Align = "left"
    justify: bool = False
    before: float = 0.0
    after: float = 6.0


@functools.cache
def glyph_widths(name: str) -> dict[int, float]:
    """Width of each character that a face draws, in thousandths of the font size.

    The face is loaded at the first use, in 0.2 s, and for good, as reportlab keeps what was registered.
    """
    packed, index = _FACES[name]
    font = TTFont(name, io.BytesIO(packed.load()), subfontIndex=index, shapable=False)
    pdfmetrics.registerFont(font)
    drawn = font.face.charToGlyph.keys() - (map(ord, fonts.BLANK) if packed is fonts.CHINESE else ())
    return {code: font.face.charWidths.get(code, font.face.defaultWidth) for code in drawn}


class Faces:
    """Which face draws what, and what none did."""

    def __init__(self) -> None:
        self.lost = ""

    def ready(self, text: str) -> str:
        """The text with only what can be drawn in it; what could not is added to `lost`."""
        if text.isascii():
            return text.replace("\t", "    ")
        drawn, lost = fonts.drawable(text.replace("\t", "    "), self._is_drawn)
        self.lost += lost
        return drawn

    def face(self, character: str, code: bool) -> str:
        """The face that draws a character of a ready text."""
        wanted = MONO if code else TEXT
        if character.isascii():
            return wanted
        return next((name for name in (wanted, TEXT, SYMBOLS, EMOJI) if ord(character) in glyph_widths(name)), wanted)

    def _is_drawn(self, character: str) -> bool:
        return any(ord(character) in glyph_widths(name) for name in (TEXT, SYMBOLS, EMOJI))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line of one look and face, beginning at `x` points from the line's start."""

    text: str
    run: Run
    face: str
    x: float
    width: float
    spacing: float


@dataclass(frozen=True, slots=True)
class Line:
    pieces: tuple[Piece, ...]
    width: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines of one style, broken for one width."""

    lines: tuple[Line, ...]
    style: Style
    room: float

    @property
    def height(self) -> float:
        return len(self.lines) * self.style.leading

    def part(self, start: int, stop: int | None = None) -> "Layout":
        return replace(self, lines=self.lines[start:stop])

    def draw(self, canvas: Any, x: float, top: float) -> None:
        """Draws with the upper left corner at (x, top)."""
        style = self.style
        canvas.saveState()
        for index, line in enumerate(self.lines):
            # 0.84 of the size above the baseline and 0.24 below it, as the font's own metrics say; the rest is halved.
            baseline = top - index * style.leading - (style.leading - 1.08 * style.size) / 2 - 0.84 * style.size
            free = self.room - line.width
            shift = free if style.align == "right" else free / 2 if style.align == "center" else 0.0
            for piece in line.pieces:
                _draw(canvas, piece, style, x + max(shift, 0.0), baseline)
        canvas.restoreState()


def lay_out(faces: Faces, runs: Sequence[Run], style: Style, room: float) -> Layout:
    """Breaks the runs into lines of `room` points. At least one line comes out."""
    runs = [replace(run, text=faces.ready(run.text)) for run in runs]
    text = "".join(run.text for run in runs)
    looks = [run for run in runs for _ in run.text]
    names = [faces.face(character, run.code or style.code) for character, run in zip(text, looks, strict=True)]
    widths = [_width(faces, character, name, style.size) for character, name in zip(text, names, strict=True)]
    ranges = (chop_lines if style.code else break_lines)(text, widths, room)
    lines: list[Line] = []
    for start, stop in ranges:
        is_last = stop >= len(text) or "\n" in text[stop : stop + 2]
        width = sum(widths[start:stop])
        spread = _spread(text[start:stop], room - width, style) if style.justify and not is_last else 0.0
        pieces = tuple(_pieces(text, looks, names, widths, start, stop, spread, style.size))
        lines.append(Line(pieces, room if spread else width))
    return Layout(tuple(lines), style, room)


def natural_width(faces: Faces, runs: Sequence[Run], style: Style) -> float:
    """The width of the longest line when nothing is broken but at line ends."""
    longest = used = 0.0
    for run in runs:
        for character in faces.ready(run.text):
            if character == "\n":
                used = 0.0
                continue
            used += _width(faces, character, faces.face(character, run.code or style.code), style.size)
            longest = max(longest, used)
    return longest


def _spread(text: str, free: float, style: Style) -> float:
    """Points that each gap of a line takes of its `free` room, so that Chinese ends at the margin; 0 to leave it."""
    # Spaced letters look wrong, so a line that is mostly Latin stays ragged.
    if len(text) < 2 or sum(character > "\u2e80" for character in text) * 2 < len(text):
        return 0.0
    spread = free / (len(text) - 1)
    return spread if 0 < spread <= SPREAD * style.size else 0.0


def _width(faces: Faces, character: str, name: str, size: float) -> float:
    width = glyph_widths(name).get(ord(character), 0.0) * size / 1000
    if name == MONO and width > 0.9 * size:
        return MONO_EM * size
    # A mark that the font gives no width would be drawn onto its neighbour.
    return width


def _pieces(
    text: str,
    looks: Sequence[Run],
    names: Sequence[str],
    widths: Sequence[float],
    start: int,
    stop: int,
    spread: float,
    size: float,
) -> Iterator[Piece]:
    x = 0.0
    stretched = [name == MONO and widths[start + index] > 0.9 * size for index, name in enumerate(names[start:stop])]
    # Runs are told apart as objects: two links side by side are two.
    keys = [(id(looks[index]), names[index], stretched[index - start]) for index in range(start, stop)]
    for (_, name, is_stretched), group in groupby(range(start, stop), key=lambda index: keys[index - start]):
        indices = list(group)
        first, last = indices[0], indices[-1]
        width = sum(widths[first : last + 1]) + spread * len(indices)
        spacing = spread + ((MONO_EM - 1) * size if is_stretched else 0.0)
        yield Piece(text[first : last + 1], looks[first], name, x, width, spacing)
        x += width


def _draw(canvas: Any, piece: Piece, style: Style, x: float, y: float) -> None:
    run = piece.run
    x += piece.x
    is_link = is_openable(run.url)
    color = HexColor(LINK if is_link else style.color)
    if run.code and not style.code:
        canvas.setFillColor(HexColor("#eff1f3"))
        canvas.rect(x, y - 0.26 * style.size, piece.width, 1.16 * style.size, stroke=0, fill=1)
    canvas.setFillColor(color)
    canvas.setStrokeColor(color)
    text = canvas.beginText()
    if run.italic:
        text.setTextTransform(1, 0, SLANT, 1, x, y)
    else:
        text.setTextOrigin(x, y)
    text.setFont(piece.face, style.size)
    is_bold = (run.bold or style.bold) and piece.face != EMOJI
    if is_bold:
        canvas.setLineWidth(BOLD_STROKE * style.size)
    # Both outlive the text object in the page's state, and reportlab believes that each begins at 0.
    text.setTextRenderMode(2 if is_bold else 0)
    text.setCharSpace(piece.spacing)
    text.textOut(piece.text)
    text.setTextRenderMode(0)
    text.setCharSpace(0)
    canvas.drawText(text)
    canvas.setLineWidth(0.05 * style.size)
    if run.strike:
        canvas.line(x, y + 0.3 * style.size, x + piece.width, y + 0.3 * style.size)
    if is_link:
        canvas.line(x, y - 0.12 * style.size, x + piece.width, y - 0.12 * style.size)
        canvas.linkURL(run.url, (x, y - 0.24 * style.size, x + piece.width, y + 0.84 * style.size), relative=1)
