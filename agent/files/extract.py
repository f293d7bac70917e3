"""What reading a file gives, as plain values, and their form on the way out of the child process. Pure.

An extract's text is Markdown. Its parts (pages, sheets, slides) begin with an anchor line such as `[page 3]`, and
`parts` says where: an anchor is found by that position, never by searching the text, which may contain look-alikes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

# fmt: off
Kind = Literal[
    "pdf", "docx", "xlsx", "pptx", "doc", "xls", "ppt", "csv", "tsv", "text", "markdown", "html", "json", "code",
    "image", "archive", "audio", "video", "unknown",
]
# fmt: on

Code = Literal["encrypted", "broken", "too_large", "bomb", "timeout", "unsupported", "empty", "old_format", "missing"]


class Unreadable(Exception):
    """A file that cannot be read. `code` chooses the sentence for the person who sent it; `detail` is for the log and
    holds nothing of the file's content.

    encrypted    needs a password (or is under rights management)
    broken       damaged, or not what its first bytes promise
    too_large    over a limit of `Limits`, or its reading needed more memory than allowed
    bomb         made to unpack into something enormous
    timeout      not read within the time allowed
    unsupported  a kind that cannot be looked into (`detail` and `format` say which)
    empty        no bytes at all, or a page without an element
    old_format   a predecessor of today's formats that cannot be read (`format` says which)
    missing      the file, page, place or embedded picture that was asked for does not exist
    """

    def __init__(self, code: Code, detail: str = "", format: str = "") -> None:
        super().__init__(code, detail, format)
        self.code: Code = code
        self.detail = detail
        self.format = format

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.code, self.format, self.detail)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost. The defaults hold a person's patience and a small server's memory in mind."""

    file_bytes: int = 100 * 2**20  # what WeCom delivers at most (protocol §6.1)
    unpacked_bytes: int = 400 * 2**20  # declared by a ZIP's entries together
    part_bytes: int = 50 * 2**20  # of one XML part that is held as a tree (about ten times as much memory)
    ratio: int = 100  # unpacked over packed; honest office files stay under 40
    memory_bytes: int = 2**30
    cpu_seconds: int = 20
    seconds: float = 60.0  # by the clock: the machine may be busy
    characters: int = 4_000_000  # about a sheet of 50,000 rows with six columns
    rows: int = 100_000  # of one sheet
    columns: int = 100
    pixels: int = 100_000_000  # of one image, before it is shrunk


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the outline: a heading, a page, a sheet, a slide. `start` is its place in the text, in characters."""

    title: str
    level: int
    start: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the text that has an anchor; it ends where the next one starts."""

    anchor: str
    start: int


@dataclass(frozen=True, slots=True)
class Extract:
    """What a file says. `facts` are JSON values, present where they apply:

    pages, slides, characters, rows, columns, images, width, height, seconds: int    encoding, title, format: str
    sheets: [{"name", "rows", "columns", "hidden"}]

    `truncated`: a limit cut the text. `scanned_pages`: numbers of PDF pages that are pictures (their text, if any, is
    not the page's). `images`: what `Reader.picture` calls the pictures `[image 1]`, `[image 2]`... of the text.
    """

    kind: Kind
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    outline: tuple[Entry, ...] = ()
    images: tuple[str, ...] = ()
    scanned_pages: tuple[int, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture for a model: `mime` is image/jpeg or image/png; no metadata is left."""

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Image:
    """An image that someone sent, shrunk. More than one part when it was so long that shrinking would have made it
    unreadable: then they follow each other from the top down (or from the left), overlapping a little.

    `width` and `height` are the original's as displayed; `frames` counts those of an animation or the pages of a TIFF,
    of which the first is shown.
    """

    parts: tuple[Picture, ...]
    width: int
    height: int
    format: str
    frames: int = 1


def to_json(extract: Extract) -> dict[str, Any]:
    """The extract as JSON values, for the pipe and for a cache."""
    return asdict(extract)


def from_json(value: Mapping[str, Any]) -> Extract:
    """The extract that `to_json` took apart. Raises KeyError, TypeError or AttributeError for anything else."""
    plain = Extract(**{name: value[name] for name in ("kind", "text", "facts", "truncated")})
    return replace(
        plain,
        parts=tuple(Part(**each) for each in value["parts"]),
        outline=tuple(Entry(**each) for each in value["outline"]),
        images=tuple(value["images"]),
        scanned_pages=tuple(value["scanned_pages"]),
    )
