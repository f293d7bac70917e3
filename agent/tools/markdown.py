"""Markdown as a tree of plain values, for every format that a document can have.

Knows CommonMark with tables, strikethrough and task lists, as models write it: a line end inside a paragraph stays a
line end, `<br>` is one too, and bold works against Chinese punctuation. No HTML: it is text. Nothing is ever fetched:
an image is a link to it. Does not know fonts, pages or any output.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLinkText
from markdown_it.rules_inline import StateInline, emphasis, strikethrough
from markdown_it.token import Token

from .arguments import clean
from .made import ToolInputError

# A quarter of a million Chinese characters is about 300 pages; parsing takes 2 s.
TEXT_LIMIT = 250_000
# The parser silently drops what is nested deeper than its own limit (in tokens, two a list); ours is an error before.
NESTING_LIMIT = 90

Align = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look. "\\n" is a line end. `url` makes it a link."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    url: str = ""


Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    level: int  # 1 to 6
    runs: Runs


@dataclass(frozen=True, slots=True)
class Paragraph:
    runs: Runs


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list. `done` is None unless it is a task with a box."""

    blocks: tuple["Block", ...]
    done: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, numbered from `start` or, when that is None, bulleted."""

    start: int | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are all as long as `header`."""

    align: tuple[Align, ...]
    header: tuple[Runs, ...]
    rows: tuple[tuple[Runs, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Rule:
    pass


Block = Heading | Paragraph | Listing | Table | Code | Quote | Rule


def parse(text: str) -> tuple[Block, ...]:
    """The blocks of a Markdown text.

    Raises:
        ToolInputError: it is longer than `TEXT_LIMIT` characters, or nested too deeply.
    """
    text = clean(text)
    if len(text) > TEXT_LIMIT:
        raise ToolInputError(
            f"the content has {len(text)} characters and {TEXT_LIMIT} are the most: send it as several documents"
        )
    try:
        tokens = _parser().parse(text)
    except RecursionError:
        tokens = []
        deepest = NESTING_LIMIT
    else:
        deepest = max((token.level for token in tokens), default=0)
    if deepest >= NESTING_LIMIT:
        raise ToolInputError("the content nests lists or quotes too deeply: use fewer levels")
    blocks, _ = _blocks(tokens, 0)
    return tuple(blocks)


def parse_inline(text: str) -> Runs:
    """The runs of one line, such as a table cell or a bullet."""
    tokens = _parser().parseInline(clean(text)[:TEXT_LIMIT])
    return _runs(tokens[0].children or ()) if tokens else ()


def plain(runs: Iterable[Run]) -> str:
    """The text alone."""
    return "".join(run.text for run in runs)


def bold(runs: Runs) -> Runs:
    return tuple(replace(run, bold=True) for run in runs)


def tables(blocks: Sequence[Block]) -> Iterator[Table]:
    """All tables, in whatever they are nested."""
    for block in blocks:
        match block:
            case Table():
                yield block
            case Quote(inner):
                yield from tables(inner)
            case Listing(_, items):
                for item in items:
                    yield from tables(item.blocks)


def with_addresses(runs: Runs) -> Runs:
    """The same with each link's address in brackets behind it, unless the text is the address already."""
    return tuple(_addressed(runs))


def is_openable(url: str) -> bool:
    """Whether a link may be clickable: the web and mail, nothing that runs or opens a local file."""
    return bool(re.match(r"(?i)(https?://|mailto:)[^\s]", url))


def _addressed(runs: Runs) -> Iterator[Run]:
    for url, group in groupby(runs, key=lambda run: run.url):
        linked = tuple(group)
        yield from linked
        if url:
            address = normalizeLinkText(url)
            if plain(linked).strip() not in (url, address, address.removeprefix("mailto:")):
                yield Run(f" ({address})")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": NESTING_LIMIT + 10})
    parser.enable(["table", "strikethrough"])
    parser.inline.ruler.at("emphasis", _emphasis)
    parser.inline.ruler.at("strikethrough", _strikethrough)
    return parser


def _emphasis(state: StateInline, silent: bool) -> bool:
    before = len(state.delimiters)
    found = emphasis.tokenize(state, silent)
    if found and state.src[state.pos - 1] == "*":
        _loosen(state, before)
    return found


def _strikethrough(state: StateInline, silent: bool) -> bool:
    before = len(state.delimiters)
    found = strikethrough.tokenize(state, silent)
    if found:
        _loosen(state, before)
    return found


def _loosen(state: StateInline, since: int) -> None:
    """Lets markers open and close beside Chinese text and punctuation.

    CommonMark's rule tells words apart by spaces, so that `**注意：**请` stays literal. Here a wide character counts
    neither as punctuation nor as part of a word.
    """
    marker = state.src[state.pos - 1]
    start = state.pos
    while start > 0 and state.src[start - 1] == marker:
        start -= 1
    before = state.src[start - 1] if start else " "
    after = state.src[state.pos] if state.pos < state.posMax else " "
    if not (_is_wide(before) or _is_wide(after)):
        return
    opens = not after.isspace() and (not _is_narrow_punctuation(after) or not _is_word(before))
    closes = not before.isspace() and (not _is_narrow_punctuation(before) or not _is_word(after))
    for delimiter in state.delimiters[since:]:
        delimiter.open, delimiter.close = opens, closes


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _is_narrow_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS" and not _is_wide(character)


def _is_word(character: str) -> bool:
    return not (character.isspace() or _is_wide(character) or _is_narrow_punctuation(character))


def _blocks(tokens: Sequence[Token], position: int) -> tuple[list[Block], int]:
    """The blocks from `position` to the end of the enclosing one, and the position behind that."""
    blocks: list[Block] = []
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.nesting < 0:
            break
        match token.type:
            case "heading_open":
                blocks.append(Heading(int(token.tag[1]), _runs(tokens[position].children or ())))
                position += 2
            case "paragraph_open":
                blocks.append(Paragraph(_runs(tokens[position].children or ())))
                position += 2
            case "bullet_list_open" | "ordered_list_open":
                start = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
                items, position = _items(tokens, position)
                blocks.append(Listing(start, tuple(items)))
            case "blockquote_open":
                inner, position = _blocks(tokens, position)
                blocks.append(Quote(tuple(inner)))
            case "table_open":
                table, position = _table(tokens, position)
                blocks.append(table)
            case "fence" | "code_block":
                words = token.info.split()
                blocks.append(Code(words[0] if words else "", token.content.removesuffix("\n")))
            case "hr":
                blocks.append(Rule())
    return blocks, position


def _items(tokens: Sequence[Token], position: int) -> tuple[list[Item], int]:
    items: list[Item] = []
    while tokens[position].nesting > 0:
        blocks, position = _blocks(tokens, position + 1)
        items.append(_item(tuple(blocks)))
    return items, position + 1


def _item(blocks: tuple[Block, ...]) -> Item:
    if blocks and isinstance(first := blocks[0], Paragraph) and first.runs:
        run = first.runs[0]
        if box := re.match(r"\[([ xX])\]\s+", run.text):
            runs = (replace(run, text=run.text[box.end() :]), *first.runs[1:])
            return Item((Paragraph(runs), *blocks[1:]), done=box[1] != " ")
    return Item(blocks)


def _table(tokens: Sequence[Token], position: int) -> tuple[Table, int]:
    rows: list[list[Runs]] = []
    align: list[Align] = []
    while tokens[position].type != "table_close":
        token = tokens[position]
        match token.type:
            case "tr_open":
                rows.append([])
            case "th_open":
                align.append(_align(token))
            case "inline":
                rows[-1].append(_runs(token.children or ()))
        position += 1
    header, *body = (tuple(row) for row in rows)
    return Table(tuple(align), header, tuple(body)), position + 1


def _align(token: Token) -> Align:
    match str(token.attrs.get("style", "")).partition(":")[2]:
        case "right":
            return "right"
        case "center":
            return "center"
    return "left"


def _runs(tokens: Sequence[Token]) -> Runs:
    runs: list[Run] = []
    look = Run("")
    urls: list[str] = []
    # Markers nest: inside two bold spans the end of the inner one does not end the outer one.
    depth = {"strong": 0, "em": 0, "s": 0}
    for token in tokens:
        match token.type:
            case "text":
                _add(runs, replace(look, text=_BREAK.sub("\n", token.content)))
            case "softbreak" | "hardbreak":
                _add(runs, replace(look, text="\n"))
            case "code_inline":
                _add(runs, replace(look, text=token.content, code=True))
            case "image":
                address = str(token.attrs.get("src", ""))
                if address.lower().startswith("data:"):  # the picture itself: nothing that anyone could read or open
                    address = ""
                label = plain(_runs(token.children or ())) or address or "[image]"
                _add(runs, replace(look, text=label, url=look.url or address))
            case "link_open":
                urls.append(str(token.attrs.get("href", "")))
                look = replace(look, url=urls[-1])
            case "link_close":
                urls.pop()
                look = replace(look, url=urls[-1] if urls else "")
            case _ if token.tag in depth:
                depth[token.tag] += token.nesting
                look = replace(look, bold=depth["strong"] > 0, italic=depth["em"] > 0, strike=depth["s"] > 0)
    return tuple(runs)


# The look behind keeps it from trying each space of a long row of them.
_BREAK = re.compile(r"(?i)(?<![ \t])[ \t]*<br[ \t]*/?>[ \t]*")


def _add(runs: list[Run], run: Run) -> None:
    if not run.text:
        return
    if runs and replace(runs[-1], text="") == replace(run, text=""):
        run = replace(run, text=runs.pop().text + run.text)
    runs.append(run)
