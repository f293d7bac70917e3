"""The READMEs as data, and the part of them that is computed: ``python -m tests.docs --write`` puts it in place.

Computed is the table between ``<!-- settings -->`` and ``<!-- /settings -->``: names, defaults and meanings come from
``agent.config.SETTINGS``, the headings from ``.env.example``, which a test of its own holds against that table.
"""

import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent.config import SETTINGS

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
COMMAND = "python -m tests.docs --write"

_TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```\n", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, its text without the indentation of the fence, the heading above it."""

    language: str
    text: str
    heading: str


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without fenced code."""
        return _FENCED.sub("", self.text)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """(level, words), in order."""
        return [(len(level), words) for level, words in _HEADING.findall(self.prose)]

    @property
    def sections(self) -> list[str]:
        """The prose under each heading, in order."""
        return _HEADING.sub("\0", self.prose).split("\0")[1:]

    @property
    def blocks(self) -> list[Block]:
        found = []
        for match in _FENCED.finditer(self.text):
            above = _HEADING.findall(_FENCED.sub("", self.text[: match.start()]))
            body = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
            found.append(Block(match[2], body, above[-1][1] if above else ""))
        return found

    @property
    def tables(self) -> list[list[list[str]]]:
        """Every table as rows of cells, the head first, without the line of dashes."""
        found = re.findall(r"(?:^ *\|.*\|\n)+", self.prose, re.MULTILINE)
        return [[_cells(line) for line in table.splitlines() if not re.fullmatch(r"[| :-]+", line)] for table in found]

    @property
    def links(self) -> list[str]:
        """The targets of links and pictures, in order."""
        return [one or other for one, other in re.findall(r"\]\(([^)\s]+)\)|<(https?://[^>\s]+)>", self.prose)]

    @property
    def code(self) -> list[str]:
        """Everything in single backticks, in order."""
        return [span.replace("\\|", "|") for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", self.prose)]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def settings_table(language: str) -> str:
    """The settings as a Markdown table, "en" or "zh", grouped as ``.env.example`` groups them."""
    chinese = language == "zh"
    head = ("设置", "默认值", "含义") if chinese else ("setting", "default", "meaning")
    rows = ["| " + " | ".join(head) + " |", "|---|---|---|"]
    groups, group = _groups(), None
    for setting in SETTINGS:
        if groups[setting.name] != group:
            group = groups[setting.name]
            rows.append(f"| **{group[chinese]}** | | |")
        default = f"`{setting.default}`" if setting.default else ""
        meaning = (setting.help_zh if chinese else setting.help).replace("|", "\\|")
        rows.append(f"| `{setting.name}` | {default} | {meaning} |".replace("|  |", "| |"))
    return "\n".join(rows) + "\n"


def _groups() -> dict[str, tuple[str, str]]:
    """By setting: the words of its group in English and Chinese."""
    found, group = {}, ("", "")
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"# ---- (.+?) / (.+)", line):
            group = (heading[1], heading[2])
        elif named := re.match(r"#?([A-Z_]+)=", line):
            found[named[1]] = group
    return found


def computed(page: Page) -> str:
    """The page's text with its computed part as it has to be. Raises ValueError without a place for it."""
    language = "zh" if page.path == CHINESE else "en"
    text, found = _TABLE.subn(lambda _: settings_table(language), page.text)
    if found != 1:
        raise ValueError(f"{page.path.name} has {found} places for the settings; it needs one: {_TABLE.pattern}")
    return text


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        raise SystemExit(f"usage: {COMMAND}")
    for path in (ENGLISH, CHINESE):
        path.write_text(computed(Page(path)), encoding="utf-8")
