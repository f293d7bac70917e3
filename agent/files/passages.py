"""Cutting an extract to the model's measure: its head, its outline, a place in it, what a search finds. Pure.

A place is what the model says and reads: "" (the beginning), "page 3", "pages 3-5", "sheet Sales rows 200-400",
the title of a heading, or a number of characters from the beginning. Each passage names the place where it goes on.
"""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agent.files.extract import Entry, Extract, Unreadable

Count = Callable[[str], int]

_ROWS = re.compile(r"(.*?)[\s,]*\brows?\s*(\d+)(?:\s*[-–~]\s*(\d+))?\s*", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(r"(page|slide)s?\s*(\d+)\s*[-–~]\s*(\d+)", re.IGNORECASE)
_ROW = re.compile(r"^\| (\d+) \|.*\n?", re.MULTILINE)
_HEADER = re.compile(r"^\| # \|.*\n\|[-|]+\n?", re.MULTILINE)
# Full-width letters and digits count as the plain ones, and so do the spaces.
_PLAIN = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | {0x3000: 0x20, 0xA0: 0x20}
_WORD = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]+|[^\W_\u3400-\u9fff]+(?:[-_.@][^\W_\u3400-\u9fff]+)*")
_WINDOW = 240
_AROUND = 120
_MATCHES = 50_000  # of one word: one that is more frequent says nothing


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an extract's text. `anchor` is the part that it begins in; `go_on` the place where the rest follows,
    empty at the end of what was asked for."""

    text: str
    anchor: str
    start: int
    end: int
    go_on: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where a search found something: `start` is that of `text` in the extract's; `matched` counts words."""

    text: str
    anchor: str
    start: int
    matched: int


def head(extract: Extract, budget: int, count: Count) -> Passage:
    """The beginning, as much of it as fits the budget."""
    return _passage(extract, 0, len(extract.text), budget, count)


def outline(extract: Extract, budget: int, count: Count) -> str:
    """The headings, pages, sheets or slides, a line each with the place to read from; the deepest levels go first when
    the budget is short."""
    lines = [(each.level, _outline_line(extract, each)) for each in extract.outline]
    for deepest in range(max((level for level, _ in lines), default=0), 0, -1):
        shown = [text for level, text in lines if level <= deepest]
        if count("\n".join(shown)) <= budget or deepest == 1:
            break
    else:
        return ""
    cut, _ = _fitting("\n".join(shown) + "\n", budget, count)
    kept = cut.count("\n")
    return cut if kept == len(shown) else f"{cut}... and {len(shown) - kept} more\n"


def read(extract: Extract, place: str, budget: int, count: Count) -> Passage:
    """The text at a place. Raises Unreadable("missing") for a place that is not there."""
    place = place.strip().strip("[]").strip().translate(_PLAIN)
    rows = _ROWS.fullmatch(place)
    exact = _span(extract, place) if place else (0, len(extract.text))
    if rows and exact is None:
        first = int(rows[2])
        return _rows(extract, rows[1].strip(" []"), first, int(rows[3] or first), budget, count)
    if exact is None:
        raise Unreadable("missing", f"no place {place!r}")
    return _passage(extract, *exact, budget, count)


def search(extract: Extract, query: str, limit: int = 10) -> tuple[Hit, ...]:
    """Where the words of the query stand close together: those places first where most of them do, and rare words
    count for more than such as are everywhere."""
    text = extract.text.translate(_PLAIN)
    patterns = _patterns(query.translate(_PLAIN), text)
    found: list[tuple[int, int, int]] = []  # (start, end, which word)
    for which, pattern in enumerate(patterns):
        for match in pattern.finditer(text):
            found.append((match.start(), match.end(), which))
            if len(found) >= _MATCHES * (which + 1):
                break
    found.sort()
    times = Counter(which for _, _, which in found)
    weights = {which: math.log(1 + len(found) / number) for which, number in times.items()}
    ranked = sorted(_windows(found, weights), key=lambda window: (-window[0], window[2]))
    hits: list[Hit] = []
    taken: list[tuple[int, int]] = []
    for _, matched, start, end in ranked:
        if len(hits) >= limit:
            break
        if all(end <= other_start or start >= other_end for other_start, other_end in taken):
            taken.append((start - _AROUND, end + _AROUND))
            hits.append(_hit(extract, start, end, matched))
    return tuple(hits)


def anchor(extract: Extract, position: int) -> str:
    """The anchor of the part in which a position lies; empty in front of the first."""
    index = bisect_right([part.start for part in extract.parts], position) - 1
    return extract.parts[index].anchor if index >= 0 else ""


def _outline_line(extract: Extract, entry: Entry) -> str:
    where = anchor(extract, entry.start)
    place = f"[{where}]" if where else f"[{entry.start}]"
    name = entry.title if entry.title.startswith(where) and where else f"{entry.title} {place}"
    return f"{'  ' * (entry.level - 1)}- {name}"


def _span(extract: Extract, place: str) -> tuple[int, int] | None:
    """Where the text of a place begins and ends."""
    if place.isdecimal():
        start = int(place)
        return (start, len(extract.text)) if start < max(len(extract.text), 1) else None
    wanted = _RANGE.fullmatch(place)
    if wanted:
        first, last = (_part(extract, f"{wanted[1]} {wanted[each]}".casefold()) for each in (2, 3))
        if first is not None:
            return first[0], last[1] if last else len(extract.text)
    found = _part(extract, place.casefold())
    if found is not None:
        return found
    for match in (str.__eq__, str.__contains__):
        for each in extract.outline:
            if match(each.title.translate(_PLAIN).casefold(), place.casefold()):
                return each.start, _end_of(extract, each)
    return None


def _part(extract: Extract, wanted: str) -> tuple[int, int] | None:
    """The span of the part with this anchor, and of those that continue it (`sheet Sales, rows 201-400`)."""
    spans: list[tuple[int, int]] = []
    ends = [*(part.start for part in extract.parts), len(extract.text)][1:]
    for part, end in zip(extract.parts, ends, strict=True):
        name = part.anchor.translate(_PLAIN).casefold()
        if name == wanted or (spans and name.startswith(f"{wanted}, rows ")):
            spans.append((part.start, end))
        elif spans:
            break
    return (spans[0][0], spans[-1][1]) if spans else None


def _end_of(extract: Extract, entry: Entry) -> int:
    """Where the next heading of the same or a higher level begins."""
    later = (each.start for each in extract.outline if each.start > entry.start and each.level <= entry.level)
    return next(later, len(extract.text))


def _rows(extract: Extract, sheet: str, first: int, last: int, budget: int, count: Count) -> Passage:
    """Rows of a sheet, with its header above."""
    found = _part(extract, sheet.casefold()) or _part(extract, f"sheet {sheet}".casefold())
    if found is None and not sheet:
        found = (0, len(extract.text))
    if found is None:
        raise Unreadable("missing", f"no sheet {sheet!r}")
    lines = [match for match in _ROW.finditer(extract.text, *found) if first <= int(match[1]) <= last]
    if not lines:
        raise Unreadable("missing", f"no rows {first}-{last}")
    title = _HEADER.search(extract.text, *found)
    header = title[0] if title else ""
    text, whole = _fitting("".join(match[0] for match in lines), budget - count(header), count)
    shown = lines[max(text.count("\n") - 1, 0)]
    done = int(shown[1])
    go_on = "" if whole else f"{sheet} rows {done + 1}-{last}".strip()
    return Passage(header + text, anchor(extract, lines[0].start()), lines[0].start(), shown.end(), go_on)


def _passage(extract: Extract, start: int, end: int, budget: int, count: Count) -> Passage:
    header = ""
    if start and _ROW.match(extract.text, start) and extract.text[start - 1] == "\n":  # in the middle of a table
        above = list(_HEADER.finditer(extract.text, max(0, start - 200_000), start))
        header = above[-1][0] if above else ""
    # A token has seldom more than eight characters: what lies behind cannot fit.
    text, whole = _fitting(extract.text[start : min(end, start + budget * 8)], budget - count(header), count)
    stop = start + len(text)
    return Passage(header + text, anchor(extract, start), start, stop, "" if whole and stop >= end else str(stop))


def _fitting(text: str, budget: int, count: Count) -> tuple[str, bool]:
    """As many lines as fit, and whether these are all; of a first line that is too long, its beginning."""
    size = used = blank = 0
    for line in text.splitlines(keepends=True):
        used += count(line)
        if used > budget:
            break
        size += len(line)
        if not line.strip():
            blank = size
    else:
        return text, True
    if not size:
        return _beginning(text.splitlines(keepends=True)[0], budget, count), False
    return text[: blank if blank > size * 0.75 else size], False


def _beginning(line: str, budget: int, count: Count) -> str:
    """At least one character, so that reading on always gets on."""
    fits, too_long = 1, len(line) + 1
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if count(line[:middle]) <= budget:
            fits = middle
        else:
            too_long = middle
    return line[:fits]


def _patterns(query: str, text: str) -> list[re.Pattern[str]]:
    """One pattern a word. A run of Chinese that does not stand in the text as it is counts as its pairs of
    characters; between Chinese characters a line may end."""
    words: dict[str, re.Pattern[str]] = {}
    for word in _WORD.findall(query):
        chinese = word[0] >= "\u3400"
        pattern = _pattern(word, chinese)
        if chinese and len(word) > 2 and not pattern.search(text):
            for pair in (word[at : at + 2] for at in range(len(word) - 1)):
                words.setdefault(pair, _pattern(pair, True))
        else:
            words.setdefault(word.casefold(), pattern)
    if not words and query.strip():
        words[query] = re.compile(re.escape(query.strip()))
    return list(words.values())


def _pattern(word: str, chinese: bool) -> re.Pattern[str]:
    return re.compile((r"\s{0,2}" if chinese else "").join(map(re.escape, word)), re.IGNORECASE)


def _windows(found: list[tuple[int, int, int]], weights: Mapping[int, float]) -> Iterator[tuple[float, int, int, int]]:
    """(weight of the different words in it, how many they are, start, end) for a window from each match on."""
    inside: Counter[int] = Counter()
    last = 0
    for start, end, which in found:
        while last < len(found) and found[last][0] <= start + _WINDOW:
            inside[found[last][2]] += 1
            last += 1
        yield sum(weights[each] for each in inside), len(inside), start, max(found[last - 1][1], end)
        inside[which] -= 1
        if not inside[which]:
            del inside[which]


def _hit(extract: Extract, start: int, end: int, matched: int) -> Hit:
    """The window with some text around it, from line to line where these are near."""
    text = extract.text
    before = text.rfind("\n", max(0, start - _AROUND), start) + 1 or max(0, start - _AROUND)
    after = text.find("\n", end, end + _AROUND)
    return Hit(
        text[before : after if after >= 0 else end + _AROUND].strip("\n"), anchor(extract, start), before, matched
    )
