"""An outline for texts without marked headings, from how documents number their chapters and sections. Pure."""

import re
from collections.abc import Iterator
from dataclasses import replace

from agent.files.extract import Entry, Extract
from agent.files.manuscript import OUTLINE_ENTRIES, TITLE_CHARACTERS

_NUMERAL = "[〇零一二三四五六七八九十百千两0-9０-９]{1,7}"
# (pattern, level): the patterns of one level exclude each other in practice.
_HEADINGS = (
    (re.compile(rf"第{_NUMERAL}[编部篇卷](?:\s|　|$).{{0,40}}$"), 1),
    (re.compile(rf"第{_NUMERAL}章(?![^\s　]{{0,2}}[，。；、]).{{0,40}}$"), 1),
    (re.compile(rf"第{_NUMERAL}节(?![^\s　]{{0,2}}[，。；、]).{{0,40}}$"), 2),
    (re.compile(r"[一二三四五六七八九十]{1,3}、[^，。；！？]{1,40}$"), 1),
    (re.compile(r"[（(][一二三四五六七八九十]{1,3}[)）][^，。；！？]{1,30}$"), 2),
    (re.compile(r"(?:附件|附录|附表)[一二三四五六七八九十0-9]{0,3}(?:[:：\s].{0,40})?$"), 1),
    (re.compile(r"(?:Chapter|CHAPTER|Part|PART|Appendix|APPENDIX)\s+[0-9IVXLA-Z]{1,6}\b.{0,60}$"), 1),
    (re.compile(r"\d{1,2}(?:\.\d{1,2}){1,3}\s+[^\d\s|].{1,50}(?<![,;.，。；])$"), 2),
)
_FEWEST = 2
_LINE = 80


def guess(extract: Extract) -> Extract:
    """The extract with an outline guessed from its lines, unless these give too little for one."""
    found = tuple(_headings(extract.text))
    return replace(extract, outline=found) if len(found) >= _FEWEST else extract


def _headings(text: str) -> Iterator[Entry]:
    start = number = 0
    for raw in text.splitlines(keepends=True):
        title = raw.strip()
        if 2 <= len(title) <= _LINE:
            level = next((level for pattern, level in _HEADINGS if pattern.match(title)), None)
            if level is not None:
                yield Entry(title[:TITLE_CHARACTERS], level, start)
                number += 1
                if number >= OUTLINE_ENTRIES:
                    return
        start += len(raw)
