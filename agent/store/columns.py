"""Python values as column values: moments, text and JSON.

A moment is stored as ISO 8601 in UTC with milliseconds and a Z (`2026-11-23T08:05:09.120Z`): it sorts as text, and
Datasette, SQLite's date functions and people read it.
"""

import json
from datetime import UTC, datetime
from typing import Any


def stamp(at: datetime) -> str:
    """The column value of an aware moment. A naive one is a mistake of the caller and raises ValueError."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; pass an aware datetime")
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def moment(text: str) -> datetime:
    """The aware datetime (UTC) of a stored stamp."""
    return datetime.fromisoformat(text)


def storable(text: str) -> str:
    """Text that SQLite takes: UTF-8 has no lone surrogates, but JSON escapes and models' chunks may hold them.

    Two halves that stand together become their character, a half alone becomes U+FFFD.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def to_json(value: Any) -> str:
    """Compact JSON with readable Chinese."""
    return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def from_json(text: str) -> Any:
    return json.loads(text)
