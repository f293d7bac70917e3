"""The `.env` file: text in; values, and every line that cannot be read, out.

Nothing in a value is expanded, so that a `$` in a secret stays a `$`. Knows nothing of what a name means.
"""

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"(?:export\s+)?(?P<name>[^\s=]+)\s*=\s*(?P<value>.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class EnvFile:
    """What a file says. `values` and `lines` (where each name stands) by name; `problems` begin with "line N:"."""

    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def parse(text: str) -> EnvFile:
    """A line is empty, a comment (`#`), or `NAME=value` with an optional `export` before it.

    A value may stand in single quotes (taken as it is), in double quotes (backslash escapes a quote, a backslash, and
    n, r and t), or bare, where ` #` begins a comment. A value ends with its line. A name with two different values is
    a problem, because one of them would be lost unseen.
    """
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None or not _NAME.fullmatch(match["name"]):
            # The line may hold a secret, so only what stands before the first separator is repeated.
            start = re.split(r"[\s=:＝：]", stripped.removeprefix("export "), maxsplit=1)[0][:40]
            problems.append(f"line {number}: {start!r}... is not NAME=value; one setting a line, comments after #")
            continue
        name = match["name"]
        value = _unquote(match["value"])
        if value is None:
            problems.append(f"line {number}: the value of {name} opens with a quote that the line does not close")
        elif value and values.get(name, value) not in ("", value):
            problems.append(f"line {number}: {name} has another value on line {lines[name]}; remove one of them")
        elif value or name not in values:
            values[name], lines[name] = value, number
    return EnvFile(values, lines, tuple(problems))


def _unquote(value: str) -> str | None:
    quote = value[:1]
    if quote not in ("'", '"') or not quote:
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    body = r"([^']*)'" if quote == "'" else r'((?:[^"\\]|\\.)*)"'
    match = re.fullmatch(quote + body + r"\s*(?:#.*)?", value)
    if match is None:
        return None
    if quote == "'":
        return match[1]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), match[1])
