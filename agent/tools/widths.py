"""How wide text is where no font is at hand, and how columns share a page.

Office files name fonts that only the reader's computer has, so widths there are estimates: of 微软雅黑, on the wide
side.
"""

import unicodedata
from collections.abc import Sequence


def em_width(text: str) -> float:
    """Roughly how wide a text is in the fonts of an office program, in multiples of the font size."""
    return sum(map(_em, text))


def columns(text: str) -> int:
    """How many columns of a terminal or a spreadsheet the text takes: two a Chinese character, one any other."""
    return sum(_cells(character) for character in text)


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "“”‘’…—·":  # ambiguous in Unicode, wide in Chinese fonts
        return 1.0
    if character in "ijl.,:;|!'`()[]{}ftrI -":
        return 0.36
    return 0.92 if character in "mwMW@%—" else 0.68 if character.isupper() else 0.57


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" or character in "“”…—" else 1


def share(naturals: Sequence[float], room: float) -> list[float]:
    """Widths of columns that together fill `room`: narrow columns get what they want, wide ones share the rest."""
    total = sum(naturals)
    if total <= room:
        return [natural * room / total for natural in naturals]
    fixed: dict[int, float] = {}
    while True:
        open_columns = [index for index in range(len(naturals)) if index not in fixed]
        fair = (room - sum(fixed.values())) / len(open_columns)
        modest = {index: naturals[index] for index in open_columns if naturals[index] <= fair}
        if not modest:
            break
        fixed |= modest
    # The square root gives a column of long texts more than one of middling texts, but not everything.
    weights = {index: naturals[index] ** 0.5 for index in open_columns}
    rest = room - sum(fixed.values())
    return [
        fixed[index] if index in fixed else rest * weights[index] / sum(weights.values())
        for index in range(len(naturals))
    ]
