"""The labels that Word computes for numbered paragraphs: "第三条", "2.1", "(b)", "①" (ECMA-376 part 1, §17.9).

Contracts and rules are quoted by these labels, and the text itself does not contain them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from docx.oxml.ns import qn
from lxml import etree

LEVELS = 9
_PLACE = re.compile(r"%([1-9])")


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list: `text` holds %1...%9 for the numbers of the levels."""

    start: int = 1
    format: str = "decimal"
    text: str = ""
    legal: bool = False


@dataclass(frozen=True, slots=True)
class _List:
    base: str
    levels: dict[int, Level]
    starts: dict[int, int]


class Numbering:
    """Counts as it goes: `label` must be asked for each numbered paragraph, in order."""

    def __init__(self, root: etree._Element | None) -> None:
        self._lists: dict[str, _List] = {}
        self._counters: dict[str, list[int | None]] = {}
        if root is None:
            return
        bases = {each.get(qn("w:abstractNumId"), ""): _levels(each) for each in root.iterchildren(qn("w:abstractNum"))}
        for each in root.iterchildren(qn("w:num")):
            base = value(each, "w:abstractNumId") or ""
            levels, starts = dict(bases.get(base, {})), {}
            for override in each.iterchildren(qn("w:lvlOverride")):
                levels |= _levels(override)
                start = value(override, "w:startOverride")
                if start is not None:
                    starts[integer(override.get(qn("w:ilvl")))] = integer(start, 1)
            self._lists[each.get(qn("w:numId"), "")] = _List(base, levels, starts)

    def label(self, number: str, level: int) -> str:
        """The label of the next paragraph with this numbering, "-" for a bullet, empty for none."""
        found = self._lists.get(number)
        if found is None or not 0 <= level < LEVELS:
            return ""
        mine = found.levels.get(level, Level())
        counters = self._counters.setdefault(found.base, [None] * LEVELS)
        before = counters[level]
        restart = found.starts.pop(level, None)
        counters[level] = restart if restart is not None else mine.start if before is None else before + 1
        counters[level + 1 :] = [None] * (LEVELS - level - 1)
        if mine.format == "bullet":
            return "-"

        def shown(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            of = found.levels.get(at, Level())
            counted = counters[at]
            return count(of.start if counted is None else counted, "decimal" if mine.legal else of.format)

        return _PLACE.sub(shown, mine.text).strip()


def value(parent: etree._Element | None, name: str) -> str | None:
    """The `w:val` of a child."""
    found = parent.find(qn(name)) if parent is not None else None
    return None if found is None else found.get(qn("w:val"))


def integer(text: str | None, otherwise: int = 0) -> int:
    """A number as such files write it; `otherwise` for nonsense."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else otherwise


def _levels(element: etree._Element) -> dict[int, Level]:
    return {
        integer(each.get(qn("w:ilvl"))): Level(
            start=integer(value(each, "w:start"), 1),
            format=value(each, "w:numFmt") or "decimal",
            text=value(each, "w:lvlText") or "",
            legal=each.find(qn("w:isLgl")) is not None,
        )
        for each in element.iterchildren(qn("w:lvl"))
    }


def count(number: int, format: str) -> str:
    """A number as a list counts it, in one of Word's formats; plain digits for formats that are not known here."""
    how = _FORMATS.get(format)
    return str(number) if how is None or number < 0 else how(number)


def chinese(number: int) -> str:
    """一, 十二, 一百零五: how headings and articles are counted. Digits from ten thousand on."""
    if not 0 < number < 10_000:
        return str(number) if number else "零"
    text = "".join(
        "零" if digit == "0" else "零一二三四五六七八九"[int(digit)] + unit
        for digit, unit in zip(f"{number:04}", ("千", "百", "十", ""), strict=True)
    )
    text = re.sub("零+", "零", text).strip("零")
    return text[1:] if 10 <= number < 20 else text


def _from(symbols: str) -> Callable[[int], str]:
    return lambda number: symbols[number - 1] if 1 <= number <= len(symbols) else str(number)


def _letters(number: int) -> str:
    """a...z, then aa, bb, as Word does."""
    return "abcdefghijklmnopqrstuvwxyz"[(number - 1) % 26] * ((number - 1) // 26 + 1) if 0 < number <= 780 else "0"


def _roman(number: int) -> str:
    if number >= 4000:
        return str(number)
    text = "i" * number
    for plain, short in zip(("iiiii", "vv", "xxxxx", "ll", "ccccc", "dd"), "vxlcdm", strict=True):
        text = text.replace(plain, short)
    for plain, short in (
        ("dcccc", "cm"),
        ("cccc", "cd"),
        ("lxxxx", "xc"),
        ("xxxx", "xl"),
        ("viiii", "ix"),
        ("iiii", "iv"),
    ):
        text = text.replace(plain, short)
    return text


_CIRCLED = _from("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳")
_FORMATS: dict[str, Callable[[int], str]] = {
    "decimalZero": lambda number: f"{number:02}",
    "upperRoman": lambda number: _roman(number).upper(),
    "lowerRoman": _roman,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerLetter": _letters,
    "chineseCounting": chinese,
    "chineseCountingThousand": chinese,
    "taiwaneseCountingThousand": chinese,
    "japaneseCounting": chinese,
    "ideographDigital": lambda number: str(number).translate(str.maketrans("0123456789", "〇一二三四五六七八九")),
    "chineseLegalSimplified": lambda number: chinese(number).translate(
        str.maketrans("一二三四五六七八九十百千", "壹贰叁肆伍陆柒捌玖拾佰仟")
    ),
    "ideographTraditional": _from("甲乙丙丁戊己庚辛壬癸"),
    "ideographZodiac": _from("子丑寅卯辰巳午未申酉戌亥"),
    "decimalEnclosedCircle": _CIRCLED,
    "decimalEnclosedCircleChinese": _CIRCLED,
    "decimalEnclosedParen": _from("⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇"),
    "none": lambda number: "",
}
