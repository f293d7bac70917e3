"""The text of a file while it is being written down: clean characters, known positions, an end at the limit. Pure but
for the clock that is passed in.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from agent.files.extract import Entry, Extract, Kind, Part

# Never meant to be seen: controls, lone surrogates, non-characters, the byte-order mark and zero-width space, bidi
# overrides and the invisible "tag" letters in which text for a model can be hidden from people.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"\n{4,}")

TITLE_CHARACTERS = 80
OUTLINE_ENTRIES = 500


class Full(Exception):
    """The manuscript takes no more: a limit of characters or of time is reached. What was written stays."""


class Manuscript:
    """Takes text down until `limit` characters, or until `spent()` says that the time is over."""

    def __init__(self, limit: int, spent: Callable[[], bool] = lambda: False) -> None:
        self._pieces: list[str] = []
        self._limit = limit
        self.spent = spent
        self.size = 0
        self.truncated = False
        self.parts: list[Part] = []
        self.outline: list[Entry] = []
        self.images: list[str] = []

    @property
    def room(self) -> int:
        return self._limit - self.size

    def write(self, text: str) -> None:
        """Adds lines (a line end is added where none is). Raises Full when the limit is reached."""
        text = clean(text)
        if not text.endswith("\n"):
            text += "\n"
        if len(text) > self.room:
            self.truncated = True
            self._add(text[: max(self.room, 0)])
            raise Full
        self._add(text)
        if self.spent():
            self.truncated = True
            raise Full

    def paragraph(self, text: str) -> None:
        """A block with an empty line behind it."""
        if text.strip():
            self.write(text.rstrip() + "\n\n")

    def heading(self, level: int, title: str) -> None:
        """A Markdown heading that the outline shows; `level` from 1."""
        title = line(title)
        if title:
            self.enter(title, level)
            self.paragraph(f"{'#' * min(level, 6)} {title}")

    def part(self, anchor: str, title: str | None = None, level: int = 1) -> None:
        """Begins a part with its anchor in square brackets; `title` is its line in the outline."""
        anchor = line(anchor)
        self.parts.append(Part(anchor, self.size))
        if title is not None:
            self.enter(f"{anchor}: {line(title)}" if title else anchor, level)
        self.write(f"[{anchor}]")

    def enter(self, title: str, level: int) -> None:
        """A line of the outline for what comes next."""
        title = line(title)
        if title and len(self.outline) < OUTLINE_ENTRIES:
            shown = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1] + "…"
            self.outline.append(Entry(shown, level, self.size))

    def image(self, member: str, description: str = "") -> str:
        """The mark of an embedded picture; the same picture keeps its number."""
        if member not in self.images:
            self.images.append(member)
        number = self.images.index(member) + 1
        description = line(description)
        return f"[image {number}: {description}]" if description else f"[image {number}]"

    def extract(self, kind: Kind, facts: Mapping[str, Any], **more: Any) -> Extract:
        """Everything written so far."""
        text = "".join(self._pieces)
        known = {name: value for name, value in facts.items() if value not in (None, "", [])}
        known.setdefault("characters", len(text))
        if self.images:
            known["images"] = len(self.images)
        return Extract(
            kind,
            text,
            known,
            parts=tuple(self.parts),
            outline=tuple(self.outline),
            images=tuple(self.images),
            truncated=self.truncated,
            **more,
        )

    def _add(self, text: str) -> None:
        self._pieces.append(text)
        self.size += len(text)


def clean(text: str) -> str:
    """Text with plain line ends, without characters that nobody is meant to see and without many empty lines."""
    return _BLANKS.sub("\n\n\n", _UNSEEN.sub("", _LINE_END.sub("\n", text)))


def line(text: str) -> str:
    """Text on one line."""
    return " ".join(clean(text).split())


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    text = clean(text).strip()
    if "|" in text:
        text = text.replace("|", "\\|")
    return text.replace("\n", "<br>") if "\n" in text else text
