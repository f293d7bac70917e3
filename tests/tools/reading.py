"""What a reader gets out of a made file, by other libraries than made it where there are any."""

import io
import re

import docx
import pypdfium2


def pdf_pages(data: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(data)
    try:
        return [page.get_textpage().get_text_bounded().replace("\r\n", "\n") for page in document]
    finally:
        document.close()


def word_lines(data: bytes) -> list[str]:
    """The paragraphs and table rows of the body, in their order."""
    lines: list[str] = []
    for block in docx.Document(io.BytesIO(data)).iter_inner_content():
        if isinstance(block, docx.table.Table):
            lines += [" | ".join(cell.text for cell in row.cells) for row in block.rows]
        else:
            lines.append("".join(part.text for part in block.iter_inner_content()))
    return lines


def squeezed(text: str) -> str:
    """Without white space: line ends of a page say nothing about the text."""
    return re.sub(r"\s+", "", text)
