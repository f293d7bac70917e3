"""A file that a tool made for a person: its name, bytes and limits, and the errors that go back to the model.

Knows WeCom's limits for files (protocol §14) and what a file name may hold. Does not know any format.
"""

import re
import unicodedata
from dataclasses import dataclass, field

# Of a file of kind "file", in bytes (protocol §14).
SIZE_LIMIT = 20 * 1024 * 1024
SIZE_LEAST = 5
# Of the name in UTF-8. WeCom takes 256 (protocol §14); the rest is room for a version that storage may add.
NAME_BYTES = 200

MIME_TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "pdf": "application/pdf",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    "csv": "text/csv",
    "png": "image/png",
    "jpg": "image/jpeg",
}

# Endings that a model gives a file and that the true ending replaces.
_ENDINGS = {*MIME_TYPES, "doc", "xls", "ppt", "htm", "markdown", "text", "tsv", "jpeg", "webp", "svg"}
# Names that Windows keeps for devices, whatever their ending.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


class ToolInputError(Exception):
    """The arguments cannot be carried out. The message goes to the model: what is wrong, and what to send instead."""


class BuildFailed(Exception):
    """A builder failed through no fault of the arguments. The message tells no text of theirs."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished file. `summary` is a line or two for the model: how much there is, what was cut or changed."""

    name: str
    mime: str
    data: bytes = field(repr=False)
    summary: str


def finish(stem: str, ending: str, data: bytes, summary: str) -> Made:
    """The file, when it fits WeCom. `stem` is from `file_stem`, `ending` a key of `MIME_TYPES`.

    Raises:
        ToolInputError: the file is larger than 20 MB.
    """
    if len(data) > SIZE_LIMIT:
        raise ToolInputError(
            f"the {ending} file has {len(data) / 1_048_576:.1f} MB and WeCom takes {SIZE_LIMIT // 1_048_576} MB: "
            "send less content, or several smaller files"
        )
    return Made(f"{stem}.{ending}", MIME_TYPES[ending], data, summary)


def file_stem(name: str, fallback: str) -> str:
    """What stays of a file name that a model gave, without ending: no folders, nothing that a file system refuses,
    and short enough that any ending of `MIME_TYPES` fits `NAME_BYTES`. `fallback` when nothing stays."""
    return _sane(_without_ending(name)) or _sane(fallback) or "file"


def name_ending(name: str) -> str:
    """The ending of a file name, lower case and without its dot; "" when it has none that we know."""
    _, dot, ending = name.strip().rpartition(".")
    return ending.lower() if dot and ending.lower() in _ENDINGS else ""


def _without_ending(name: str) -> str:
    name = name.strip()
    while name_ending(name):
        name = name.rpartition(".")[0].strip()
    return name


def _sane(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    # Category C holds controls, direction marks that disguise an ending, and lone surrogates.
    name = "".join(" " if character in "\t\r\n" else character for character in name)
    name = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r'[<>:"|?*]+', "_", name)
    name = re.sub(r"\s+", " ", name).strip(" .")
    if _DEVICES.fullmatch(name):
        name = f"_{name}"
    room = NAME_BYTES - max(map(len, MIME_TYPES)) - 1
    return name.encode()[:room].decode(errors="ignore").strip(" .")
