"""What a column of a model's JSON means.

Pure. A column has a format; its cells become numbers, dates, booleans or text by it. Without a format the cells decide
together, and what could be a name rather than an amount (007, a phone number, an 18-digit ID) stays text.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from . import arguments as read

Value = None | bool | int | float | date | datetime | str

FORMATS = ("auto", "text", "integer", "number", "money", "usd", "percent", "date", "datetime", "boolean")
# Other words for them.
_WORDS = {
    "": "auto", "general": "auto", "any": "auto", "mixed": "auto",
    "string": "text", "str": "text", "id": "text", "@": "text", "文本": "text",
    "int": "integer", "count": "integer", "整数": "integer",
    "float": "number", "decimal": "number", "numeric": "number", "数字": "number",
    "currency": "money", "cny": "money", "rmb": "money", "yuan": "money", "人民币": "money", "金额": "money",
    "dollar": "usd", "美元": "usd",
    "percentage": "percent", "百分比": "percent", "日期": "date", "timestamp": "datetime", "bool": "boolean",
}  # fmt: skip
# Codes of Excel's own, by what gives them away. The first that is found counts.
_CODES = (
    ("%", "percent"), ("￥", "money"), ("¥", "money"), ("$", "usd"), ("hh", "datetime"), ("yy", "date"),
    ("0.0", "number"), ("0", "integer"),
)  # fmt: skip
NUMERIC = ("general", "integer", "number", "money", "usd", "percent")

# Excel's own limit of digits; a number of more loses some.
_DIGITS = 15
# A text of more digits than this is a phone, card or order number, not an amount, unless the column says so.
_AMOUNT_DIGITS = 10
# Excel's largest number is 1.8e308; this leaves room for sums.
_LARGEST = 1e300

_DATE = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T\s]+(\d{1,2})[:时点](\d{1,2})分?(?:[:](\d{1,2})(?:\.\d+)?秒?)?"
    r"\s*(?:Z|[+-]\d{2}:?\d{2})?)?"
)
# Excel takes 1900 for a leap year; dates before its 1 March are off by a day.
_FIRST_DATE = date(1900, 3, 1)


@dataclass(frozen=True, slots=True)
class Column:
    """Cells that were read alike. `odd` counts cells that did not fit the declared format and stay text.

    `format` is of `FORMATS`, but for "auto": a column without format is "general" when it has numbers only, "mixed"
    when its cells are of several kinds.
    """

    format: str
    values: tuple[Value, ...]
    odd: int = 0

    @property
    def numbers(self) -> list[int | float]:
        return [value for value in self.values if isinstance(value, int | float) and not isinstance(value, bool)]


def read_format(wanted: str) -> str | None:
    """Which of `FORMATS` a word or one of Excel's codes ("#,##0.00") means; None when it means none."""
    word = wanted.strip().lower()
    if word in FORMATS:
        return word
    if word in _WORDS:
        return _WORDS[word]
    return next((chosen for sign, chosen in _CODES if sign in word), None)


def read_column(cells: Sequence[Any], wanted: str) -> Column:
    """The values of one column; `wanted` is one of `FORMATS`."""
    chosen = _guess(cells) if wanted == "auto" else wanted
    values = tuple(None if _is_empty(cell) else _value(cell, chosen) for cell in cells)
    is_loose = wanted in ("auto", "text")
    return Column(chosen, values, 0 if is_loose else sum(isinstance(value, str) for value in values))


def shown(value: Value, chosen: str) -> str:
    """A value as text, the way a column of that format shows it, for widths and CSV files."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}" if value.second else f"{value:%Y-%m-%d %H:%M}"
        case date():
            return f"{value:%Y-%m-%d}"
        case str():
            return value
    if chosen == "percent":
        return f"{read.format_number(float(f'{value * 100:.12g}'))}%"
    return read.format_number(value)


def cell_text(cell: Any) -> str:
    """A cell as it was sent, as text."""
    # A list in a cell is a model's slip; better seen than lost.
    return read.text(str(cell) if isinstance(cell, dict | list | tuple) else cell, "cell", "")


def read_date(value: Any) -> date | datetime | None:
    """The date, with its time when there is one. A zone is dropped: the clock is what people see."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", value).strip())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) if part else 0 for part in found.groups())
    try:
        if date(year, month, day) < _FIRST_DATE:
            return None
        if found[4] is None:
            return date(year, month, day)
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - no zone is meant
    except ValueError:
        return None


def _guess(cells: Sequence[Any]) -> str:
    filled = [cell for cell in cells if not _is_empty(cell)]
    if not filled:
        return "text"
    if all(isinstance(cell, bool) for cell in filled):
        return "boolean"
    if read_date(filled[0]):  # the first spares the others, mostly
        dates = [read_date(cell) for cell in filled]
        if all(dates):
            return "datetime" if any(isinstance(value, datetime) for value in dates) else "date"
    if not all(_is_amount(cell) for cell in filled):
        return "mixed"
    texts = [cell.strip() for cell in filled if isinstance(cell, str)]
    if len(texts) == len(filled):
        if all(text.endswith(("%", "％")) for text in texts):
            return "percent"
        if all(text.lstrip("-(（").startswith(("￥", "¥")) for text in texts):
            return "money"
    # No thousands here: 2026 may be a year.
    return "general"


def _value(cell: Any, chosen: str) -> Value:
    made: Value
    match chosen:
        case "text":
            made = None
        case "mixed":
            made = cell if isinstance(cell, bool) or _is_plain_number(cell) else None
        case "boolean":
            made = read.flag(cell)
        case "date" | "datetime":
            made = read_date(cell)
            if isinstance(made, datetime) and chosen == "date" and not (made.hour or made.minute or made.second):
                made = made.date()
        case _:
            made = read.number(cell)
            if made is not None and not _is_exact(made):
                made = None
    return cell_text(cell) if made is None else made


def _is_empty(cell: Any) -> bool:
    if isinstance(cell, float):
        return cell != cell  # NaN is how some encoders write null
    return cell is None or (isinstance(cell, str) and not read.clean(cell).strip())


def _is_amount(cell: Any) -> bool:
    """Whether a cell of a column without format is a number rather than a name made of digits."""
    if not isinstance(cell, str):
        return _is_plain_number(cell)
    if read.number(cell) is None:
        return False
    digits = re.search(r"\d+", cell.replace(",", ""))
    whole = digits[0] if digits else ""
    return len(whole) <= _AMOUNT_DIGITS and not re.match(r"0\d", whole)


def _is_plain_number(cell: Any) -> bool:
    return (
        not isinstance(cell, bool)
        and isinstance(cell, int | float)
        and read.number(cell) is not None
        and _is_exact(cell)
    )


def _is_exact(number: int | float) -> bool:
    """Whether Excel can hold it as it is."""
    return abs(number) < (_LARGEST if isinstance(number, float) else 10**_DIGITS)
