"""The child process: reads the file that is its descriptor 0 and answers on descriptor 1, once.

The answer is one line of JSON and then the bytes of the pictures, if any. The order (JSON in the arguments) says what
to do: `read`, `picture`, `pages` or `frames`. Everything that is needed is loaded before the fence closes; nothing of
the file but its first bytes and its container's directory is looked at before.
"""

import codecs
import importlib
import json
import os
import warnings
from types import ModuleType
from typing import Any, BinaryIO

from agent.files import decoding, fence, kinds
from agent.files.extract import Image, Kind, Limits, Picture, Unreadable, to_json
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
_PICTURES = ("image", "pdf", "video")
_OLD = ("doc", "ppt")


def main(order: dict[str, Any]) -> None:
    """Carries the order out and answers, whatever happens."""
    limits = Limits(**order["limits"])
    fence.limit(limits.memory_bytes, limits.cpu_seconds)
    answer = os.dup(1)
    os.dup2(2, 1)  # nothing that a library prints gets into the answer
    warnings.simplefilter("ignore")
    blobs: list[bytes] = []
    try:
        with open(0, "rb", closefd=False) as file:
            value = _carry_out(order, file, limits, blobs)
    except Unreadable as error:
        value = {"unreadable": [error.code, error.detail, error.format]}
    except MemoryError:
        value = {"unreadable": ["too_large", "not enough memory", ""]}
    except Exception as error:  # messages of libraries quote the file: the name of the error must do
        value = {"unreadable": ["broken", type(error).__name__, ""]}
    _write(answer, json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    for each in blobs:
        _write(answer, each)


def _carry_out(order: dict[str, Any], file: BinaryIO, limits: Limits, blobs: list[bytes]) -> dict[str, Any]:
    sort = kinds.tell(file.read(kinds.HEAD_BYTES), f".{order.get('ending', '')}")
    file.seek(0)
    sort = kinds.look_inside(file, sort)
    module = _load(sort)
    fence.close_off()
    match order["do"]:
        case "picture":
            _expect(sort, "image")
            return _image(module.picture(file, sort.format, limits), blobs)
        case "pages":
            _expect(sort, "pdf")
            return {"pictures": [_picture(each, blobs) for each in module.pages(file, order["numbers"])]}
        case "frames":
            _expect(sort, "video")
            return {"pictures": [_picture(each, blobs) for each in module.frames(file, order["count"])]}
        case _:
            return to_json(module.read(file, sort, limits, Manuscript(limits.characters)))


def _load(sort: kinds.Sort) -> ModuleType:
    """The module that reads this sort, with everything that it would load on its way."""
    if sort.encrypted:
        raise Unreadable("encrypted", "", sort.format)
    if sort.kind in _OLD:
        raise Unreadable("old_format", "", sort.format)
    if sort.kind not in _READERS or sort.format == "XLSB":
        raise Unreadable("unsupported", sort.kind, sort.format)
    for encoding in decoding.ENCODINGS:
        codecs.lookup(encoding)
    if sort.kind in _PICTURES:
        importlib.import_module("PIL.Image").init()
    return importlib.import_module(f"agent.files.{_READERS[sort.kind]}")


def _expect(sort: kinds.Sort, kind: Kind) -> None:
    if sort.kind != kind:
        raise Unreadable("unsupported", f"not {kind} but {sort.kind}", sort.format)


def _image(image: Image, blobs: list[bytes]) -> dict[str, Any]:
    return {
        "pictures": [_picture(each, blobs) for each in image.parts],
        "image": [image.width, image.height, image.format, image.frames],
    }


def _picture(picture: Picture, blobs: list[bytes]) -> list[Any]:
    blobs.append(picture.data)
    return [len(picture.data), picture.mime, picture.width, picture.height]


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
