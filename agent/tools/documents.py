"""The tool `create_document`: Markdown in, a DOCX, PDF, HTML, Markdown or text file out.

Knows the arguments. The formats are in `word`, `pdf`, `page` and `plain`, and are imported when they are needed.
"""

import re
from collections.abc import Mapping
from typing import Any

from . import arguments as read
from .made import Made, ToolInputError, file_stem, finish, name_ending

NAME = "create_document"
DESCRIPTION = (
    "Make a document file from Markdown and send it to the user: Word (docx), PDF, HTML, Markdown or plain text. "
    "Use it when the user asks for a file, report, contract, letter or notes to download. "
    "For data tables use create_spreadsheet, for presentations create_slides."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filename": {"type": "string", "description": "File name in the user's language, e.g. 会议纪要.docx"},
        "format": {"type": "string", "enum": ["docx", "pdf", "html", "md", "txt"]},
        "title": {"type": "string", "description": "Title on top of the document; do not repeat it in content"},
        "content": {
            "type": "string",
            "description": "The whole text in Markdown: # headings, lists, | tables |, ``` code, > quotes, **bold**. "
            "No HTML. Images are not loaded.",
        },
    },
    "required": ["filename", "format", "content"],
    "additionalProperties": False,
}

_FORMATS = {
    "docx": "docx", "doc": "docx", "word": "docx", "pdf": "pdf", "html": "html", "htm": "html", "md": "md",
    "markdown": "md", "txt": "txt", "text": "txt", "plain": "txt",
}  # fmt: skip
_TITLE_LIMIT = 200


def build(arguments: Mapping[str, Any]) -> Made:
    """Makes the document.

    Raises:
        ToolInputError: no content, an unknown format, or more than a document may hold.
    """
    arguments = read.unwrap(arguments)
    name = read.text(read.pick(arguments, "filename", "file_name", "name"), "filename", "")
    ending = _format(arguments, name)
    title = " ".join(read.text(read.pick(arguments, "title"), "title", "").split())[:_TITLE_LIMIT]
    content = _content(read.text(read.pick(arguments, "content", "markdown", "text", "body"), "content", ""))
    if not content.strip():
        raise ToolInputError("content is empty; send the whole document as Markdown in content")
    content, title = _without_repeated_title(content, title)
    stem = file_stem(name, title or _first_line(content) or "文档")
    data, summary = _write(ending, content, title)
    return finish(stem, ending, data, summary)


def _format(arguments: Mapping[str, Any], name: str) -> str:
    wanted = read.pick(arguments, "format", "type", "file_type")
    ending = name_ending(name)
    default = _FORMATS.get(ending, "")
    if wanted is None and ending and not default:
        raise ToolInputError(f"create_document makes docx, pdf, html, md and txt, not {ending}")
    chosen = read.choice(wanted, "format", _FORMATS, default or "docx")
    # "text" next to 报告.docx is a small model's word for a document.
    return default if default and wanted in ("text", "plain") else chosen


def _content(text: str) -> str:
    text = read.unescape_lines(text)
    # The whole answer in one fence, as chat models are used to send it.
    if fenced := re.fullmatch(r"\s*(`{3,}|~{3,})(?:markdown|md)[ \t]*\n(.*?)\n?\1\s*", text, flags=re.DOTALL):
        return fenced[2]
    return text


def _without_repeated_title(content: str, title: str) -> tuple[str, str]:
    """The content without its first heading when that says the title again; the title then comes from there if none
    was sent and the document has one heading of the first level only."""
    line, _, rest = content.lstrip("\n").partition("\n")
    if not line.startswith("# ") or not rest.strip():
        return content, title
    heading = re.sub(r"[*_`]", "", line[2:].strip().rstrip("#")).strip()
    has_others = any(line.startswith("# ") for line in rest.split("\n"))
    if not heading or (title and heading != title) or (not title and has_others):
        return content, title
    return rest, heading[:_TITLE_LIMIT]


def _first_line(content: str) -> str:
    line = next((line for line in content.splitlines() if line.strip()), "")
    return re.sub(r"^[#>\s*+-]+|[*_`|]", "", line).strip()[:40]


def _write(ending: str, content: str, title: str) -> tuple[bytes, str]:
    from .markdown import parse

    blocks = parse(content)
    match ending:
        case "pdf":
            from .fonts import lost_note
            from .pdf import build_pdf

            data, report = build_pdf(blocks, title)
            note = lost_note(report.lost, "a docx shows them")
            return data, f"PDF, {report.pages} page{'s' if report.pages != 1 else ''}, A4. {note}".strip()
        case "docx":
            from .word import build_word

            return build_word(blocks, title), f"Word document, {_outline(blocks)}."
        case "html":
            from .page import build_page

            return build_page(blocks, title), f"HTML page, {_outline(blocks)}."
        case "md":
            from .plain import build_markdown

            return build_markdown(content, title), f"Markdown file, {_outline(blocks)}."
        case _:
            from .plain import build_text

            return build_text(blocks, title), f"Text file, {_outline(blocks)}."


def _outline(blocks: Any) -> str:
    from .markdown import Heading, tables

    headings = sum(isinstance(block, Heading) for block in blocks)
    found = sum(1 for _ in tables(blocks))
    return f"headings: {headings}, tables: {found}, blocks in all: {len(blocks)}"
