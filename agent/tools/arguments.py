"""Reading what a model sent: lenient where the meaning is clear, a sentence that it can act on where it is not.

Small models send lists as JSON strings, numbers as text, one object where a list of objects is asked. `where` in every
function names the value in the error message, e.g. "sheets[0].rows".
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from .made import ToolInputError

# What XML 1.0 cannot hold, which is what the Office formats are made of.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# Three levels of quoting were seen; a string in a string in a string is enough.
_QUOTED = 3

_YES = {"true", "yes", "y", "1", "是", "对", "真", "√", "✓", "✔"}
_NO = {"false", "no", "n", "0", "否", "不", "假", "×", "✗", "✘"}

_NUMBER = re.compile(
    r"""(?P<sign>[-+])? \s* (?P<currency>[¥￥$€£])? \s* (?P<inner>[-+])? \s*
        (?P<digits>\d{1,3}(?:,\d{3})+|\d+|(?=\.\d)) (?P<fraction>\.\d+)? (?P<exponent>[eE][-+]?\d{1,3})?
        \s* (?P<unit>%|万|亿|元|万元|亿元)?""",
    re.VERBOSE,
)
_UNITS = {"": 1, "元": 1, "万": 10_000, "万元": 10_000, "亿": 100_000_000, "亿元": 100_000_000}


def clean(text: str) -> str:
    """The text without what no format can hold: control characters, lone surrogates. Line ends become "\\n"."""
    return _UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def pick(arguments: Mapping[str, Any], *names: str) -> Any:
    """The first of these values that is there and not null."""
    for name in names:
        value = arguments.get(name)
        if value is not None:
            return value
    return None


def unwrap(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments themselves, when the model put them one level too deep."""
    if len(arguments) == 1:
        (name, value), *_ = arguments.items()
        if name in ("arguments", "parameters", "params", "input"):
            return mapping(value, name)
    return arguments


def text(value: Any, where: str, default: str | None = None) -> str:
    """A text. Numbers become text, a list of texts becomes lines; null is `default`."""
    match value:
        case None if default is not None:
            return default
        case str():
            return clean(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return format_number(value)
        case list() | tuple() if all(isinstance(line, str) for line in value):
            return clean("\n".join(value))
    raise ToolInputError(f"{where} is {_kind(value)}; send a string")


def array(value: Any, where: str) -> list[Any]:
    """A list. One object becomes a list of it, a JSON string what it holds, null the empty list."""
    value = _unquote(value)
    match value:
        case None:
            return []
        case list() | tuple():
            return list(value)
        case Mapping():
            # {"0": …, "1": …} is how a list looks after some encoders.
            indices = [str(index) for index in range(len(value))]
            return [value[index] for index in indices] if value and value.keys() == set(indices) else [value]
        case str() if not value.strip():
            return []
    raise ToolInputError(f"{where} is {_kind(value)}; send a JSON array")


def texts(value: Any, where: str) -> list[str]:
    """A list of texts; a text of several lines becomes one a line."""
    value = _unquote(value)
    if isinstance(value, str):
        value = [line for line in value.splitlines() if line.strip()]
    elif not isinstance(value, list | tuple | Mapping) and value is not None:
        value = [value]
    return [text(entry, f"{where}[{index}]", "") for index, entry in enumerate(array(value, where))]


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """An object; a JSON string becomes what it holds, a list of one object that object."""
    value = _unquote(value)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, Mapping):
        raise ToolInputError(f"{where} is {_kind(value)}; send a JSON object")
    return {str(key): entry for key, entry in value.items()}


def choice(value: Any, where: str, allowed: Mapping[str, str], default: str) -> str:
    """One of the words on the right of `allowed`, by any of the words on its left; null is `default`."""
    if value is None or value == "":
        return default
    word = text(value, where).strip().lower().lstrip(".")
    if word not in allowed:
        raise ToolInputError(f"{where} is {word[:40]!r}; send one of {', '.join(dict.fromkeys(allowed.values()))}")
    return allowed[word]


def flag(value: Any) -> bool | None:
    """True or False, also as a word; None when it is neither."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    return True if word in _YES else False if word in _NO else None


def number(value: Any) -> int | float | None:
    """The number in a value; None when there is none.

    Takes "1,234.5", "￥1,200", "15%" (0.15), "(300)" and "-300", "1.2万" (12000) and full-width digits. Finite only.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if _is_finite(value) else None
    if not isinstance(value, str) or len(value) > 64:
        return None
    written = unicodedata.normalize("NFKC", value).strip().replace("−", "-")
    is_negative = written.startswith("(") and written.endswith(")")
    found = _NUMBER.fullmatch(written[1:-1].strip() if is_negative else written)
    if found is None or (found["sign"] and found["inner"]):
        return None
    digits = (found["digits"] or "0").replace(",", "")
    result: int | float
    if found["fraction"] or found["exponent"]:
        result = float(f"{digits}{found['fraction'] or ''}{found['exponent'] or ''}")
    else:
        result = int(digits)
    unit = found["unit"] or ""
    if unit == "%":
        result = _tidy(result / 100)
    elif _UNITS[unit] != 1:
        result = _tidy(result * _UNITS[unit])
    if is_negative or "-" in (found["sign"], found["inner"]):
        result = -result
    return result if _is_finite(result) else None


def format_number(value: int | float) -> str:
    """A number as a person writes it: 3 for 3.0, no exponent where the digits fit."""
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return f"{value:.15g}"
    return str(value) if value.bit_length() < 4096 else "∞"


def unescape_lines(value: str) -> str:
    """The text with real line ends, when a model has escaped them twice: many "\\n" and not one line end."""
    if "\n" not in value and value.count("\\n") > 1:
        return value.replace("\\r\\n", "\n").replace("\\n", "\n").replace("\\t", "\t")
    return value


def _unquote(value: Any) -> Any:
    for _ in range(_QUOTED):
        if not isinstance(value, str) or not value.lstrip().startswith(("[", "{", '"')):
            break
        try:
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError):
            break
    return value


def _tidy(value: int | float) -> int | float:
    """Without the dust of binary fractions: 1.2 * 10000 is 12000."""
    value = float(f"{value:.15g}")
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond any float
        return False


def _kind(value: Any) -> str:
    match value:
        case None:
            return "missing"
        case str():
            return f"the string {value[:40]!r}"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "an array"
        case Mapping():
            return f"an object with the keys {', '.join(map(str, list(value)[:6])) or '(none)'}"
    return f"of type {type(value).__name__}"
