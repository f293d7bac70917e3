import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from agent.files import pdf
from agent.files.extract import Extract, Unreadable
from agent.files.kinds import Sort
from agent.files.reader import Reader
from tests.files.conftest import here


def made() -> bytes:
    """Text in Chinese, a scanned page, a stamped scan, an empty page, a page with a small picture."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    scan = ImageReader(Image.effect_noise((200, 280), 90))
    data = io.BytesIO()
    page = canvas.Canvas(data)
    page.setTitle("采购合同")
    page.setFont("STSong-Light", 12)
    page.bookmarkPage("one")
    page.addOutlineEntry("第一部分", "one", 0)
    for line in range(10):
        page.drawString(72, 700 - 20 * line, f"甲方应当在第{line}日内支付违约金。")
    page.showPage()
    page.drawImage(scan, 0, 0, 595, 842)
    page.showPage()
    page.drawImage(scan, 0, 0, 595, 842)
    page.drawString(72, 20, "Scanned by a certain scanner, page 3 of 5")
    page.showPage()
    page.showPage()
    page.drawImage(scan, 0, 0, 60, 80)
    page.bookmarkPage("two")
    page.addOutlineEntry("Details", "two", 1)
    page.drawString(72, 400, "A page of text with a small picture of a seal.")
    page.showPage()
    page.save()
    return data.getvalue()


@pytest.fixture(scope="module")
def extract() -> Extract:
    return here(pdf, made(), Sort("pdf", "PDF"))


def test_text_pages_and_outline(extract: Extract) -> None:
    assert extract.facts["pages"] == 5
    assert extract.facts["title"] == "采购合同"
    assert extract.text.startswith("[page 1]\n甲方应当在第0日内支付违约金。\n甲方应当在第1日内")
    assert [part.anchor for part in extract.parts] == [f"page {number}" for number in range(1, 6)]
    assert [(entry.title, entry.level) for entry in extract.outline] == [("第一部分", 1), ("Details", 2)]
    assert extract.parts[4].start < extract.outline[1].start < len(extract.text)


def test_scanned_pages_are_told_from_pages_with_text(extract: Extract) -> None:
    assert extract.scanned_pages == (2, 3)


@pytest.mark.usefixtures("unprivileged")
async def test_pages_as_pictures(reader: Reader, write: Callable[[str, bytes], Path]) -> None:
    path = write("a", made())
    first, second = await reader.pages(path, [2, 1])
    assert (first.height, second.height) == (1568, 1568)
    with Image.open(io.BytesIO(second.data)) as image:
        assert image.size == (second.width, second.height)
    for nowhere in ([6], [0]):
        with pytest.raises(Unreadable, match="missing"):
            await reader.pages(path, nowhere)


async def test_only_pdfs_have_pages(reader: Reader, write: Callable[[str, bytes], Path]) -> None:
    with pytest.raises(Unreadable, match="unsupported"):
        await reader.pages(write("a.txt", b"text"), [1])


def test_what_a_form_was_filled_in_with() -> None:
    data = io.BytesIO()
    page = canvas.Canvas(data)
    page.drawString(72, 700, "Name of the applicant:")
    page.acroForm.textfield(value="Zhang San", x=220, y=690, width=200, height=20)
    page.save()
    assert here(pdf, data.getvalue(), Sort("pdf", "PDF")).text == "[page 1]\nName of the applicant:\nZhang San\n\n"


def test_drawn_text_is_a_picture() -> None:
    data = io.BytesIO()
    page = canvas.Canvas(data)
    for at in range(50):
        page.circle(100 + at, 100, 3)
    page.save()
    assert here(pdf, data.getvalue(), Sort("pdf", "PDF")).scanned_pages == (1,)


def test_an_enormous_page_is_drawn_in_bounds() -> None:
    data = io.BytesIO()
    page = canvas.Canvas(data, pagesize=(14_000, 200))
    page.drawString(72, 100, "wide")
    page.save()
    (picture,) = pdf.pages(io.BytesIO(data.getvalue()), [1])
    assert (picture.width, picture.height) == (1568, 23)
