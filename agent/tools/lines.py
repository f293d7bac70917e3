"""Where lines of Chinese and mixed text may break.

Pure: characters and widths in, ranges out. Follows the usual rules: no line begins with a closing mark or ends with an
opening one, words stay whole while they fit, an address breaks behind its separators.
"""

import unicodedata
from collections.abc import Sequence

# Never at the start of a line.
CLOSING = frozenset("!),.:;?]}%°·»”’…—‥、。〃々〉》」』】〕〗〙〛〞！＂％＇），．：；？］｀｜｝～￠ー—–‰℃")
# Never at the end of a line.
OPENING = frozenset("([{«“‘〈《「『【〔〖〘〚〝（［｛＄￥￡$£¥#@§")
# Inside a word without spaces, a break may come behind these.
_SEPARATORS = frozenset("/\\?&=-_.,;:|+~")
# Shorter words are not broken behind separators: "and/or", "2026-11-23", "v1.2".
_LONG_WORD = 24


def break_lines(text: str, widths: Sequence[float], room: float) -> list[tuple[int, int]]:
    """The lines of `text` as ranges, without the spaces and line ends that they break at.

    `widths` has the width of each character; `room` is the width of a line. A character wider than `room` gets a line
    of its own.
    """
    lines: list[tuple[int, int]] = []
    begin = 0
    for end in [*(index for index, character in enumerate(text) if character == "\n"), len(text)]:
        lines.extend(_break_paragraph(text, widths, room, begin, end))
        begin = end + 1
    return lines


def _break_paragraph(text: str, widths: Sequence[float], room: float, begin: int, end: int) -> list[tuple[int, int]]:
    lines: list[tuple[int, int]] = []
    start, used = begin, 0.0
    last = begin  # the latest place where this line may end
    position = begin
    while position < end:
        if position > start and _may_break(text, start, position, end):
            last = position
        used += widths[position]
        # Half a thousandth: sums of floats do not decide whether a line is full.
        if used > room * 1.0005 and position > start and not text[position].isspace():
            stop = last if last > start else position
            lines.append((start, _without_space(text, start, stop)))
            start = stop
            while start < end and text[start] == " ":
                start += 1
            position, last, used = start, start, 0.0
            continue
        position += 1
    lines.append((start, _without_space(text, start, end)))
    return lines


def _without_space(text: str, start: int, stop: int) -> int:
    while stop > start and text[stop - 1] == " ":
        stop -= 1
    return stop


def _may_break(text: str, start: int, position: int, end: int) -> bool:
    """Whether a line may end before `position`."""
    before, after = text[position - 1], text[position]
    if after == " " or after in CLOSING or before in OPENING:
        return False
    if before == " " or _is_wide(before) or _is_wide(after) or (before in CLOSING and after in OPENING):
        return True
    if before in _SEPARATORS and after not in _SEPARATORS:
        return _word_length(text, start, position, end) >= _LONG_WORD
    return False


def _word_length(text: str, start: int, position: int, end: int) -> int:
    left = position
    while left > start and position - left < _LONG_WORD and not (text[left - 1] == " " or _is_wide(text[left - 1])):
        left -= 1
    right = position
    while right < end and right - position < _LONG_WORD and not (text[right] == " " or _is_wide(text[right])):
        right += 1
    return right - left


def _is_wide(character: str) -> bool:
    return character > "\u1100" and unicodedata.east_asian_width(character) in "WF"


def chop_lines(text: str, widths: Sequence[float], room: float) -> list[tuple[int, int]]:
    """The same for code: every space stays, and a line that is too long is cut wherever it is full."""
    lines: list[tuple[int, int]] = []
    start, used = 0, 0.0
    for position, character in enumerate(text):
        if character == "\n":
            lines.append((start, position))
            start, used = position + 1, 0.0
            continue
        used += widths[position]
        if used > room * 1.0005 and position > start:
            lines.append((start, position))
            start, used = position, widths[position]
    lines.append((start, len(text)))
    return lines
