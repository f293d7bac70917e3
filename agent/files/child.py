"""The child process: reads the file that is its descriptor 0 and answers on descriptor 1, once.

The answer is one line of JSON and then the bytes of the pictures, if any. The order (JSON in the arguments) says what
to do: `read`, `picture`, `pages` or `frames`. Everything that is needed is loaded before the fence closes; nothing of
the file but its first bytes and its container's directory is looked at before.
"""

import codecs
import importlib
import json
import os
import sys
import time
import warnings
from types import ModuleType
from typing import Any, BinaryIO

from agent.files import fence, kinds
from agent.files.extract import Image, Kind, Limits, Unreadable, to_json
from agent.files.manuscript import Manuscript

_READERS = {
    "pdf": "pdf",
    "docx": "word",
    "xlsx": "sheets",
    "xls": "sheets",
    "pptx": "slides",
    "html": "hypertext",
    "image": "images",
    "video": "video",
    **dict.fromkeys(("text", "markdown", "code", "json", "csv", "tsv"), "plain"),
}
_EXPECTED: dict[str, Kind] = {"picture": "image", "pages": "pdf", "frames": "video"}
# What decoding, pdfium, xlrd and expat ask for.
_ENCODINGS = """ascii latin-1 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 cp1252 gbk gb2312 gb18030 big5 cp950
    shift_jis mac-roman""".split()  # noqa: SIM905
_SPENT = 0.6
_OLD = ("doc", "ppt")
_ZIPPED = ("docx", "xlsx", "xlsm", "pptx")


def main(order: dict[str, Any]) -> None:
    """Carries the order out and answers, whatever happens."""
    limits = Limits(**order["limits"])
    fence.limit(limits.memory_bytes, limits.cpu_seconds)
    answer = os.dup(1)
    os.dup2(2, 1)  # nothing that a library prints gets into the answer
    warnings.simplefilter("ignore")
    blobs: list[bytes] = []
    sort = kinds.Sort("unknown")
    try:
        with open(0, "rb", closefd=False) as file:
            sort = _sort(file, order.get("ending", ""))
            value = _carry_out(order, sort, file, limits, blobs)
    except Unreadable as error:
        value = {"unreadable": [error.code, error.detail, error.format]}
    except MemoryError:
        value = {"unreadable": ["too_large", "not enough memory", sort.format]}
    except Exception as error:  # messages of libraries quote the file: the name of the error must do
        value = {"unreadable": ["broken", type(error).__name__, sort.format]}
    _write(answer, json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    for each in blobs:
        _write(answer, each)


def _sort(file: BinaryIO, ending: str) -> kinds.Sort:
    sort = kinds.tell(file.read(kinds.HEAD_BYTES), f".{ending}")
    file.seek(0)
    return kinds.look_inside(file, sort)


def _carry_out(
    order: dict[str, Any], sort: kinds.Sort, file: BinaryIO, limits: Limits, blobs: list[bytes]
) -> dict[str, Any]:
    do, inside = order["do"], order.get("inside", "")
    _expect(sort, None if inside else _EXPECTED.get(do), order.get("ending", ""))
    module = _load("images" if inside else _READERS[sort.kind], sort)
    fence.close_off()
    if do == "read":
        # What was read when most of the processor time is spent stands.
        out = Manuscript(limits.characters, lambda: time.process_time() > limits.cpu_seconds * _SPENT)
        return to_json(module.read(file, sort, limits, out))
    if do == "picture":
        image: Image = module.inside(file, inside, limits) if inside else module.picture(file, sort.format, limits)
        pictures, facts = image.parts, [image.width, image.height, image.format, image.frames]
    else:
        pictures = module.pages(file, order["numbers"]) if do == "pages" else module.frames(file, order["count"])
        facts = []
    blobs += [each.data for each in pictures]
    return {"pictures": [[len(each.data), each.mime, each.width, each.height] for each in pictures], "image": facts}


def _expect(sort: kinds.Sort, kind: Kind | None, ending: str) -> None:
    """Raises Unreadable for what nobody can read, and for another kind than the order is for."""
    if sort == kinds.ZIP and ending in _ZIPPED:
        raise Unreadable("broken", "no office file inside", ending.upper())
    if sort.encrypted:
        raise Unreadable("encrypted", "", sort.format)
    if sort.kind in _OLD:
        raise Unreadable("old_format", "", sort.format)
    if sort.kind not in _READERS or sort.format == "XLSB" or sort.kind != (kind or sort.kind):
        raise Unreadable("unsupported", sort.kind, sort.format)


def _load(name: str, sort: kinds.Sort) -> ModuleType:
    """The module that reads this sort, with everything that would be loaded on its way."""
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)
    try:
        module = importlib.import_module(f"agent.files.{name}")
    except ModuleNotFoundError as error:
        raise Unreadable("unsupported", f"{error.name} is not installed", sort.format) from None
    if "PIL.Image" in sys.modules:
        sys.modules["PIL.Image"].init()
    return module


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
