"""WeCom's Markdown dialect: what a model writes, made fit to be shown (protocol §9.6, §15). Pure.

- Pictures by URL become plain links: one that the reader's client fetches could carry data out. Only what every reader
  of Markdown takes for code is left as it is; at each beginning of the text, too, as it is shown while it grows.
- HTML, which is not rendered, goes or becomes Markdown; a tag that stands alone in a sentence is text and stays.
- A table gets the blank lines around it without which it is not rendered, or goes on over what follows.
- A Markdown example in a fence that itself holds fences gets a longer one; tilde fences become the common ones.
- A raw tag of WeCom's own think block, which could fold away what follows it, is defused everywhere.

What is shown of a text's whole lines hardly ever changes when more comes: the line relies on that when it rolls over.
"""

import re
from dataclasses import dataclass

_THINK_TAG = re.compile(r"<(?=\s*/?\s*think\b)", re.IGNORECASE)
_FENCE = re.compile(r"([ \t>]*)(`{3,}|~{3,})(.*)$")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_SEPARATOR = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:[^`]|(?!\1(?!`))`+)*?(?<!`)\1(?!`)")
# A fence for what stood between tildes: longer than what is likely to stand in it.
_INSTEAD_OF_TILDES = "````"


@dataclass(slots=True)
class _Fence:
    lead: str
    mark: str
    shown: str
    at: int
    nests: bool
    depth: int = 0


def shown(text: str, *, growing: bool = False) -> str:
    """`text` as it may stand in a bubble; `growing` while more may come, and the last characters may be missing."""
    if "<" in text:
        text = _THINK_TAG.sub("＜", text)
    if not any(mark in text for mark in ("<", "![", "|", "```", "~~~")):
        return text
    out: list[str] = []
    prose: list[str] = []
    fence: _Fence | None = None
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if fence is not None and ">" in fence.lead and not line.lstrip().startswith(">"):
            fence = None  # the quotation has ended, and with it the fence in it
        mark = _FENCE.match(line)
        if mark is not None and mark[2][0] == "`" and "`" in mark[3]:
            mark = None
        if fence is not None:
            line, closed = _in_fence(fence, line, mark, out)
            out.append(line)
            fence = None if closed else fence
        elif mark is not None:
            out += _paragraph(prose, last=False)
            prose = []
            fence = _opened(mark, len(out))
            info = mark[3] if mark[2][0] == "`" else mark[3].replace("`", "")
            out.append(f"{fence.lead}{fence.shown}{info.replace('![', '[')}")
        else:
            prose.append(line)
            if not line.strip() or number == len(lines) - 1:
                out += _paragraph(prose, last=growing and number == len(lines) - 1)
                prose = []
    return "\n".join(out)


# --- fences


def _opened(mark: re.Match[str], at: int) -> _Fence:
    tildes = mark[2][0] == "~"
    nests = mark[3].strip().lower() in ("markdown", "md")
    return _Fence(mark[1], mark[2], _INSTEAD_OF_TILDES if tildes else mark[2], at, nests)


def _in_fence(fence: _Fence, line: str, mark: re.Match[str] | None, out: list[str]) -> tuple[str, bool]:
    """The line as it is shown, and whether it closes the fence."""
    bare = mark is not None and not mark[3].strip()
    if mark is not None and fence.nests and not bare and mark[2][0] == "`":
        fence.depth += 1
        if len(mark[2]) >= len(fence.shown):
            fence.shown = "`" * (len(mark[2]) + 1)
            out[fence.at] = f"{fence.lead}{fence.shown}{out[fence.at][len(fence.lead) :].lstrip('`')}"
    elif mark is not None and bare and fence.depth and mark[2][0] == "`":
        fence.depth -= 1
    elif mark is not None and bare and mark[2].startswith((fence.mark, fence.shown)):
        return (line if fence.shown == fence.mark else f"{mark[1]}{fence.shown}"), True
    # Of a fence in a list or quotation readers may see the end before we do.
    return (line.replace("![", "[") if fence.lead else line), False


# --- prose


def _paragraph(lines: list[str], *, last: bool) -> list[str]:
    """Lines outside of fences, a blank one at most at their end. `last`: their end is still to come."""
    text = "\n".join(lines)
    if "|" in text:
        lines = _with_tables_apart(lines)
        text = "\n".join(lines)
    if "<" not in text and "![" not in text:
        return lines
    parts, at = [], 0
    for start, end in _code(text, last):
        parts += [_plain(text[at:start]), text[start:end]]
        at = end
    parts.append(_plain(text[at:]))
    return "".join(parts).split("\n")


def _with_tables_apart(lines: list[str]) -> list[str]:
    """A table is one only where its header and separator are a block's first lines, and ends only at a blank one."""
    out: list[str] = []
    table = False
    for line in lines:
        quote = _QUOTE.match(line)
        lead = quote[0] if quote else ""
        bare = line[len(lead) :]
        before = out[-1][len(lead) :] if out and out[-1].startswith(lead.rstrip()) else ""
        if "|" in bare and "-" in bare and _SEPARATOR.match(bare) and "|" in before and not _SEPARATOR.match(before):
            if len(out) > 1 and out[-2].strip(" \t>"):
                out.insert(len(out) - 1, lead.rstrip())
            table = True
        elif table and "|" not in bare:
            table = False
            if bare.strip():
                out.append(lead.rstrip())
        out.append(line)
    return out


def _code(text: str, last: bool) -> list[tuple[int, int]]:
    """Where inline code stands that everybody reads as such: in one line, whether lines are read one by one or as a
    paragraph. With its end to come the last one may not be closed as it is shown; a backslash makes all doubtful.
    """
    if "`" not in text or "\\`" in text:
        return []
    spans = {match.span() for match in _CODE.finditer(text)}
    alone, at = [], 0
    for line in text.split("\n"):
        alone += [(at + match.start(), at + match.end()) for match in _CODE.finditer(line)]
        at += len(line) + 1
    return [span for span in alone if span in spans and not (last and span[1] == len(text))]


# Lengths are bounded so that no text, however odd, takes more than a moment.
# An address, which may hold one level of parentheses, and a title.
_TARGET = r"\(\s*<?((?:[^()\s<>]|\([^()\s]{0,200}\)){1,2000})>?(?:\s+(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?\s*\)"
_ALT = r"!\[([^\]\n]{0,300})\]"
_LINKED_IMAGE = re.compile(r"\[" + _ALT + _TARGET + r"\s*\]" + _TARGET)
_IMAGE = re.compile(_ALT + _TARGET)
_TAG = re.compile(r"</?[a-zA-Z!]")
_IMAGE_TAG = re.compile(r"<img\b[^<>]{0,500}?\bsrc\s*=\s*[\"']?([^\"'\s<>]{1,2000})[^<>]{0,500}>", re.IGNORECASE)
_FETCHED = re.compile(
    r"<(?=\s*/?(?:img|image|picture|source|video|audio|iframe|embed|object|svg|script|style|link|input)\b)",
    re.IGNORECASE,
)


def _plain(text: str) -> str:
    """Text without code in it."""
    if "![" in text:
        text = _LINKED_IMAGE.sub(lambda match: f"[{match[1] or match[2]}]({match[2]}) [{match[3]}]({match[3]})", text)
        text = _IMAGE.sub(lambda match: f"[{match[1] or match[2]}]({match[2]})", text)
        # Whatever else is a picture in Markdown (by reference, over several lines) begins so.
        text = text.replace("![]", "[🖼]").replace("![", "[")
    if not _TAG.search(text):
        return text
    text = _IMAGE_TAG.sub(lambda match: f"[{match[1]}]({match[1]})", text)
    text = "\n".join(_without_html(line) if _TAG.search(line) else line for line in text.split("\n"))
    return _FETCHED.sub("＜", text)


# --- HTML

_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)
_CELLS = re.compile(r"</t[dh]>\s*<t[dh]\b[^<>]*>", re.IGNORECASE)
_LINK = re.compile(
    r"<a\b[^<>]{0,500}?\bhref\s*=\s*[\"']?([^\"'\s<>]{1,2000})[^<>]{0,500}>(.{1,500}?)</a>", re.IGNORECASE
)
_HEADING = re.compile(r"\s*<h([1-6])\b[^<>]*>(.*?)</h\1>\s*$", re.IGNORECASE)
_ITEM = re.compile(r"\s*<li\b[^<>]*>(.*?)(?:</li>)?\s*$", re.IGNORECASE)
# Tags that are never talked about, or stand alone in their line, or have attributes: these are meant.
_MEANT = re.compile(
    r"</?(?:details|summary|center|font|section|article|figure|figcaption|table|thead|tbody|tr|td|th|ul|ol|li)"
    r"(?:\s[^<>]*)?/?>|<!--.{0,500}?-->|<(?:p|div|span|mark|small|h[1-6])\s[^<>]+>",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"\s*(?:</?(?:p|div|span|b|strong|i|em|u|s|del|ins|mark|small|sub|sup|blockquote|pre|h[1-6])>\s*)+$", re.IGNORECASE
)
_PAIRS = (
    (re.compile(r"<(b|strong)>(.{0,500}?)</\1>", re.IGNORECASE), r"**\2**"),
    (re.compile(r"<(i|em)>(.{0,500}?)</\1>", re.IGNORECASE), r"*\2*"),
    (re.compile(r"<(code|kbd)>(.{0,500}?)</\1>", re.IGNORECASE), r"`\2`"),
    (re.compile(r"<(p|div|span|u|s|del|ins|mark|small|sub|sup)>(.{0,500}?)</\1>", re.IGNORECASE), r"\2"),
)
_NESTED = 3


def _without_html(line: str) -> str:
    if re.fullmatch(r"\s*<hr\s*/?>\s*", line, re.IGNORECASE):
        return "***"
    line = _CELLS.sub(" | ", line)
    line = _LINK.sub(r"[\2](\1)", line)
    if heading := _HEADING.match(line):
        line = f"{'#' * int(heading[1])} {heading[2]}"
    elif item := _ITEM.match(line):
        line = f"- {item[1]}"
    line = _MEANT.sub("", line)
    for _ in range(_NESTED):
        for pair, instead in _PAIRS:
            line = pair.sub(instead, line)
    return "" if _ALONE.match(line) else _BREAK.sub(" " if "|" in line else "  \n", line)
