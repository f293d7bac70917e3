"""WeCom's Markdown dialect: what a model writes, made fit to be shown (protocol §9.6, §15). Pure.

Outside of code: pictures by URL become plain links, since a picture that the reader's client fetches could carry data
out; HTML, which is not rendered, goes or becomes Markdown; a table gets the blank line before it without which it is
not rendered. A raw tag of WeCom's own think block, which could fold away what follows it, is defused everywhere.
"""

import re

_THINK_TAG = re.compile(r"<(?=\s*/?\s*think\b)", re.IGNORECASE)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"\n]*\")?\s*\)")
_IMAGE_TAG = re.compile(r"<img\b[^>\n]*?\bsrc\s*=\s*[\"']?([^\"'\s>]+)[^>\n]*>", re.IGNORECASE)
_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)
_BOLD = re.compile(r"</?(?:b|strong)>", re.IGNORECASE)
_ITALIC = re.compile(r"</?(?:i|em)>", re.IGNORECASE)
_CODE = re.compile(r"</?(?:code|kbd)>", re.IGNORECASE)
_DROPPED = re.compile(
    r"</?(?:p|div|span|font|center|u|s|sub|sup|small|mark|details|summary|section|article|figure|figcaption)"
    r"(?:\s[^<>\n]*)?/?>",
    re.IGNORECASE,
)
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})(.*)$")
_SEPARATOR = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$")
_INLINE_CODE = re.compile(r"(`+)(?:(?!`).|(?!\1)`+)*?\1(?!`)")


def shown(text: str) -> str:
    """`text` as it may stand in a bubble."""
    if "<" in text:
        text = _THINK_TAG.sub("＜", text)
    if "<" not in text and "![" not in text and "|" not in text:
        return text
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark and not ("`" in mark[2] and mark[1][0] == "`"):
            fence = mark[1]
        else:
            if _SEPARATOR.match(line) and len(lines) > 1 and "|" in lines[-1] and lines[-2].strip():
                lines.insert(len(lines) - 1, "")
            line = _prose(line)
        lines.append(line)
    return "\n".join(lines)


def _prose(line: str) -> str:
    """A line outside of fenced code; inline code in it stays as it is."""
    if "<" not in line and "![" not in line:
        return line
    parts, at = [], 0
    for code in _INLINE_CODE.finditer(line):
        parts += [_plain(line[at : code.start()], line), code[0]]
        at = code.end()
    parts.append(_plain(line[at:], line))
    return "".join(parts)


def _plain(text: str, line: str) -> str:
    text = _IMAGE.sub(lambda match: f"[{match[1] or match[2]}]({match[2]})", text)
    if "<" in text:
        text = _IMAGE_TAG.sub(lambda match: f"[{match[1]}]({match[1]})", text)
        text = _BREAK.sub(" " if "|" in line else "  \n", text)
        text = _BOLD.sub("**", text)
        text = _ITALIC.sub("*", text)
        text = _CODE.sub("`", text)
        text = _DROPPED.sub("", text)
    return text
