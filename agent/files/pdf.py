"""PDF by pypdfium2: the text page by page, the bookmarks as the outline, pages as pictures. For the child."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pypdfium2

from agent.files import images
from agent.files.extract import Extract, Limits, Picture, Unreadable
from agent.files.kinds import Sort
from agent.files.manuscript import OUTLINE_ENTRIES, Full, Manuscript
from agent.files.outline import guess

PAGES = 20
_PAGE_OBJECT_IMAGE = 3
# A page with less text than this on a picture, or with next to no text but something drawn, is a picture.
_FEW = 100
_NEXT_TO_NONE = 16
_MEANINGLESS = re.compile("[\ufffd\ue000-\uf8ff]")  # what fonts without a mapping to Unicode give


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """A PDF; facts: pages, title."""
    with contextlib.closing(_open(file)) as document:
        bookmarks = _bookmarks(document)
        scanned = []
        with contextlib.suppress(Full):
            for number, page in _pages(document):
                text = _text(page)
                out.part(f"page {number}")
                for title, level in bookmarks.get(number, ()):
                    out.enter(title, level)
                if _is_picture(page, text):
                    scanned.append(number)
                out.paragraph(text)
        facts = {"pages": len(document), "title": document.get_metadata_value("Title")}
        extract = out.extract("pdf", facts, scanned_pages=tuple(scanned))
    return extract if extract.outline else guess(extract)


def pages(file: BinaryIO, numbers: Sequence[int]) -> list[Picture]:
    """These pages, rendered; at most PAGES of them. Chinese in fonts that the file does not carry stays blank: behind
    the fence there are no others (such pages have text, and need no picture)."""
    with contextlib.closing(_open(file)) as document:
        document.init_forms()
        return [_rendered(document, number) for number in numbers[:PAGES]]


def _open(file: BinaryIO) -> Any:
    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        locked = error.err_code in (pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY)
        raise Unreadable("encrypted" if locked else "broken", f"PDFium error {error.err_code}", "PDF") from None


def _pages(document: Any) -> Iterator[tuple[int, Any]]:
    """Each page with its number; those that are damaged are left out. What a form was filled in with becomes text."""
    has_form = bool(document.get_formtype())
    if has_form:
        document.init_forms()
    for index in range(len(document)):
        with contextlib.suppress(pypdfium2.PdfiumError):
            if has_form:
                with contextlib.closing(document[index]) as page:
                    page.flatten()
            with contextlib.closing(document[index]) as page:
                yield index + 1, page


def _text(page: Any) -> str:
    with contextlib.closing(page.get_textpage()) as text:
        return str(text.get_text_bounded())


def _is_picture(page: Any, text: str) -> bool:
    meaning = len("".join(_MEANINGLESS.sub("", text).split()))
    if meaning * 2 < len("".join(text.split())):
        return True
    if meaning < _NEXT_TO_NONE:
        return next(page.get_objects(max_depth=1), None) is not None
    if meaning >= _FEW:
        return False
    area = page.get_width() * page.get_height()
    for each in page.get_objects(filter=[_PAGE_OBJECT_IMAGE], max_depth=3):
        left, bottom, right, top = each.get_bounds()
        if (right - left) * (top - bottom) > area / 2:
            return True
    return False


def _bookmarks(document: Any) -> dict[int, list[tuple[str, int]]]:
    """(title, level from 1) by page number."""
    found: dict[int, list[tuple[str, int]]] = {}
    for count, each in enumerate(document.get_toc(max_depth=6)):
        if count >= OUTLINE_ENTRIES:
            break
        target = each.get_dest()
        index = target.get_index() if target is not None else None
        if index is not None:
            found.setdefault(index + 1, []).append((each.get_title(), each.level + 1))
    return found


def _rendered(document: Any, number: int) -> Picture:
    if not 1 <= number <= len(document):
        raise Unreadable("missing", f"page {number} of {len(document)}", "PDF")
    with contextlib.closing(document[number - 1]) as page:
        bitmap = page.render(scale=images.LONG_SIDE / max(*page.get_size(), 1))
        return images.encode(bitmap.to_pil())
