"""Cutting long Markdown into bubbles without losing a character (protocol §9.2, §15).

Cuts fall, in this order of liking, at a blank line, before a heading or list item, at any line, at a table's row, at a
code line; inside a line only when there is no other way, and never inside a character. A fence that is cut is closed
and opened again, a table's header is repeated. Sizes are bytes of UTF-8.
"""

import re
import unicodedata
from dataclasses import dataclass

_FENCE = re.compile(r"([ \t]*(?:>[ \t]?)*[ \t]*)(`{3,}|~{3,})([^`\n]*)$")
_HEADING_OR_ITEM = re.compile(r"[ \t]*(#{1,6}[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t])")
_SEPARATOR = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_SENTENCE_ENDS = "。！？；.!?;"

# Letters and symbols without ink: Hangul fillers, the blank Braille pattern.
_BLANK = "\u115f\u1160\u3164\uffa0\u2800"

# A nicer cut is taken only if it leaves the piece at least this full.
FULL_ENOUGH = 0.5
# A table header larger than this share of a piece is not repeated.
HEADER_SHARE = 0.25

# The longest character, and the line end before a fence's closing.
CHARACTER = 5

PARAGRAPH, ITEM, LINE, ROW, CODE = 5, 4, 3, 2, 1


@dataclass(frozen=True, slots=True)
class Cut:
    """`piece` is ready to show and took `taken` characters of the text; the rest is shown with `prefix` before it."""

    piece: str
    taken: int
    prefix: str = ""


@dataclass(slots=True)
class _Break:
    at: int  # characters of prefix + text
    size: int  # bytes of the same
    rank: int
    closer: str
    prefix: str


def size(text: str) -> int:
    """Bytes of `text` on the wire; a lone surrogate counts as the question mark that it will become."""
    return len(text.encode("utf-8", "replace"))


def cut(text: str, limit: int, prefix: str = "") -> Cut:
    """The first piece of `prefix + text` in at most `limit` bytes.

    `limit` is at least 64. The pieces' contents without prefixes and closed fences, one after another, are `text`.
    """
    body = prefix + text
    if size(body) <= limit:
        return Cut(body, len(text))
    found, scanned = _breaks(body, limit)
    if scanned.closer and scanned.size + size(scanned.closer) + CHARACTER >= limit:
        found, scanned = _breaks(body, max(1, limit - size(scanned.closer) - CHARACTER))  # no room to close the fence
    usable = [one for one in found if one.at > len(prefix) and one.size + size(one.closer) <= limit]
    full = [one for one in usable if one.size >= limit * FULL_ENOUGH]
    if full:
        best = max(full, key=lambda one: (one.rank, one.at))
    else:
        best = _inside_line(body, limit, usable, scanned, len(prefix))
        if (
            size(body[: best.at]) + size(best.closer) > limit
        ):  # the prefix alone fills the piece: show the text without it
            return cut(text, limit)
    return Cut(body[: best.at] + best.closer, best.at - len(prefix), best.prefix)


def split(text: str, limit: int) -> list[str]:
    """All pieces of `text`, each of at most `limit` bytes; one empty piece for an empty text."""
    pieces, prefix = [], ""
    while True:
        one = cut(text, limit, prefix)
        pieces.append(one.piece)
        text, prefix = text[one.taken :], one.prefix
        if not text:
            return pieces


def seal(text: str, prefix: str = "") -> Cut:
    """Ends an unfinished text so that it can stand alone: after its last whole line if there is one, its fence closed.

    A line that only begins something (a fence, perhaps a table) is left to the rest where anything comes before it.
    """
    body = prefix + text
    end = body.rfind("\n") + 1
    if end <= len(prefix):
        end = len(body)
    found, state = _breaks(body[:end], int(size(body) / HEADER_SHARE))
    usable = [one for one in found if one.at > len(prefix)]
    last = body[usable[-2].at : end] if len(usable) > 1 else ""
    if usable and usable[-1].at == end and "|" in last and not state.prefix:
        usable.pop()
    if usable:
        return Cut(body[: usable[-1].at] + usable[-1].closer, usable[-1].at - len(prefix), usable[-1].prefix)
    return Cut(body[:end] + _newline_before(body[:end], state.closer), end - len(prefix), state.prefix)


def head(text: str, limit: int) -> str:
    """The longest beginning of `text` within `limit` bytes that does not end inside a character."""
    if size(text) <= limit:
        return text
    return text[: _whole(text, len(text.encode("utf-8", "replace")[: max(limit, 0)].decode("utf-8", "ignore")))]


def tail(text: str, limit: int) -> str:
    """The longest end of `text` within `limit` bytes that does not begin inside a character."""
    if limit <= 0:
        return ""
    return text.encode("utf-8", "replace")[-limit:].decode("utf-8", "ignore") if size(text) > limit else text


def visible(text: str) -> bool:
    """Whether a reader would see anything: not only white space, control and zero-width characters (protocol §9.2)."""
    return any(
        not char.isspace() and char not in _BLANK and unicodedata.category(char) not in ("Cc", "Cf", "Cn", "Mn")
        for char in text
    )


def _breaks(body: str, limit: int) -> tuple[list[_Break], _Break]:
    """Every line end within `limit` bytes as a possible break, and the state at the line that no longer fits."""
    found: list[_Break] = []
    at = used = 0
    lead = fence = opener = header = previous = ""
    for line in _LINE.findall(body, 0, limit + 1):  # no more characters than bytes can fit
        bare = line.rstrip("\r\n")
        if fence and ">" in lead and not bare.lstrip().startswith(">"):
            lead = fence = opener = ""  # the quotation has ended, and with it the fence in it
        mark = _FENCE.match(bare)
        closes = bool(fence and mark and mark[2].startswith(fence) and not mark[3].strip())
        separates = not fence and "|" in previous and "-" in bare and _SEPARATOR.match(bare) is not None
        blank = not bare.strip()
        if found and not fence:
            if blank:
                found[-1].rank = min(found[-1].rank, LINE)
            elif _HEADING_OR_ITEM.match(bare):
                found[-1].rank = max(found[-1].rank, ITEM)
        if found and found[-1].at == at and (closes or separates):
            found.pop()  # a break here would leave an empty block, or part a table from its header
        state = _Break(at, used, CODE if fence else LINE, lead + fence, opener or header)
        used += size(line)
        if used > limit:
            return found, state
        at += len(line)
        opens = bool(mark and not fence)
        if closes:
            lead = fence = opener = ""
        elif mark and opens:
            lead, fence, opener, header = mark[1], mark[2], bare + "\n", ""
        elif separates:
            header = previous + bare + "\n"
        elif "|" not in bare and not fence:
            header = ""
        previous = line if "|" in bare and not fence else ""
        if not line.endswith("\n") or opens:
            continue
        if fence:
            found.append(_Break(at, used, CODE, lead + fence, opener))
        elif header:
            found.append(_Break(at, used, ROW, "", header if size(header) <= limit * HEADER_SHARE else ""))
        else:
            found.append(_Break(at, used, PARAGRAPH if blank else LINE, "", ""))
    return found, _Break(at, used, CODE if fence else LINE, lead + fence, opener or header)


def _newline_before(text: str, closer: str) -> str:
    return closer if not closer or text.endswith("\n") else "\n" + closer


def _inside_line(body: str, limit: int, usable: list[_Break], state: _Break, after: int) -> _Break:
    """A break inside the line that overflows: after a sentence, else at a space, else between two characters."""
    whole = body[state.at :].partition("\n")[0]
    closer = "\n" + state.closer if state.closer else ""
    line = head(whole, limit - state.size - size(closer))
    least = max(len(line) // 2, after - state.at + 1)
    for ends in (_SENTENCE_ENDS, " \t\u3000，,、"):
        best = max((line.rfind(end) + 1 for end in ends), default=0)
        if best >= least:
            line = line[:best]
            break
    while line and _FENCE.match(whole[len(line) :]):  # what is no fence in its line must not begin the next piece
        line = line[:-1]
    at = state.at + len(line)
    if line and at > after and not (usable and _FENCE.match(whole)):
        return _Break(at, 0, state.rank, closer, state.prefix if size(state.prefix) <= limit * HEADER_SHARE else "")
    if usable:
        return usable[-1]
    # Nothing fits beside the fence that would have to be closed or the header repeated: a plain break keeps the text.
    return _Break(max(after + 1, len(head(body, limit))), 0, LINE, "", "")


def _whole(text: str, end: int) -> int:
    """`end` moved back so that no combined character (accent, emoji sequence, flag colour) is parted."""
    for _ in range(16):
        if end <= 0 or end >= len(text):
            break
        after, before = text[end], text[end - 1]
        joined = after in "\u200d\ufe0e\ufe0f" or before == "\u200d" or "\U0001f3fb" <= after <= "\U0001f3ff"
        if not joined and not unicodedata.combining(after):
            break
        end -= 1
    return end
