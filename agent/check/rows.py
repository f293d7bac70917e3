"""A row of the table that `check` prints."""

from dataclasses import dataclass
from typing import Literal

# "-": not looked at.
Mark = Literal["ok", "warn", "fail", "-"]


@dataclass(frozen=True, slots=True)
class Row:
    """What was looked at, how it is, what was found, what to do about it."""

    what: str
    mark: Mark
    finding: str
    remedy: str = ""


def split(what: str, mark: Mark, sentence: str) -> Row:
    """A row of a sentence of the form "what is wrong; what to do"."""
    finding, _, remedy = sentence.partition("; ")
    return Row(what, mark, finding, remedy)
