"""HTML by lxml: headings, paragraphs, lists, links and tables as Markdown. For the child; nothing is fetched."""

import contextlib
from typing import BinaryIO

from lxml import etree, html

from agent.files import grid
from agent.files.extract import Extract, Limits, Unreadable
from agent.files.grid import Grid
from agent.files.kinds import Sort
from agent.files.manuscript import Full, Manuscript, line
from agent.files.outline import guess
from agent.files.plain import text

_UNSEEN = frozenset({"script", "style", "noscript", "template", "head", "svg", "iframe", "object", "select"})
# fmt: off
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav", "p", "section",
    "summary", "tr", "td", "th", "tbody", "thead", "tfoot", "table",
))
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """A page; facts: title, encoding."""
    content, encoding, out.truncated = text(file, limits, declared=True)
    parser = html.HTMLParser(no_network=True, encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(content.encode("utf-8", "replace"), parser)
    except etree.ParserError:
        raise Unreadable("empty", "no elements", "HTML") from None
    page = _Page(limits, out)
    with contextlib.suppress(Full):
        page.block(root)
        page.flush()
    facts = {"title": line(root.findtext(".//title") or ""), "encoding": encoding}
    extract = out.extract("html", facts)
    return extract if extract.outline else guess(extract)


class _Page:
    """A walk over the elements; text gathers until a block ends."""

    def __init__(self, limits: Limits, out: Manuscript) -> None:
        self._limits = limits
        self._out = out
        self._text: list[str] = []
        self._tables = 0
        self._depth = 0  # of lists
        self._mark = ""

    def flush(self) -> None:
        """Writes what has gathered, as the item of a list if one has begun."""
        gathered = "\n".join(filter(None, map(line, "".join(self._text).split("\n"))))
        self._text.clear()
        if gathered and self._mark:
            self._out.write(f"{'  ' * (self._depth - 1)}{self._mark}{gathered}")
            self._mark = ""
        elif gathered:
            self._out.paragraph(gathered)

    def block(self, element: html.HtmlElement) -> None:
        """Writes an element and everything in it."""
        tag = element.tag if isinstance(element.tag, str) else "svg"
        if tag in _UNSEEN or "hidden" in element.attrib or "display:none" in element.get("style", "").replace(" ", ""):
            return
        if tag in _HEADINGS:
            self.flush()
            self._out.heading(_HEADINGS[tag], element.text_content())
        elif tag == "pre":
            self.flush()
            self._out.paragraph(f"```\n{element.text_content().strip()}\n```")
        elif tag == "table" and self._is_data(element):
            self.flush()
            self._table(element)
        elif tag in ("ul", "ol"):
            self.flush()
            self._depth += 1
            self._inside(element)
            self.flush()
            self._depth -= 1
            if not self._depth:
                self._out.write("\n")
        elif tag in _BLOCKS:
            self.flush()
            self._mark = "- " if tag == "li" else self._mark
            self._inside(element)
            self.flush()
        else:
            self._inline(tag, element)

    def _inline(self, tag: str, element: html.HtmlElement) -> None:
        before = len(self._text)
        self._inside(element)
        address = element.get("href", "") if tag == "a" else ""
        if tag == "br":
            self._text.append("\n")
        elif tag == "img" and element.get("alt"):
            self._text.append(f"[image: {element.get('alt')}]")
        elif address.startswith(("http://", "https://")) and (label := line("".join(self._text[before:]))):
            self._text[before:] = [f"[{label}]({address})"]

    def _inside(self, element: html.HtmlElement) -> None:
        self._text.append((element.text or "").replace("\n", " "))
        for each in element:
            self.block(each)
            self._text.append((each.tail or "").replace("\n", " "))

    def _is_data(self, table: html.HtmlElement) -> bool:
        """Tables with tables inside, or of a single column, only lay the page out."""
        return table.find(".//table") is None and any(len(row) > 1 for row in table.iter("tr"))

    def _table(self, table: html.HtmlElement) -> None:
        self._tables += 1
        found = Grid(f"table {self._tables}")
        for number, row in enumerate(table.iter("tr"), 1):
            if number > self._limits.rows:
                found.height = number
                break
            cells, column = {}, 1
            for each in row.iterchildren("td", "th"):
                if content := line(each.text_content()):
                    cells[column] = content
                span = each.get("colspan", "1")
                column += min(int(span), 100) if span.isdecimal() else 1
            if cells:
                found.rows.append((number, cells))
        if found.rows:
            grid.write(found, self._out, columns=self._limits.columns, room=self._out.room - 1000)
