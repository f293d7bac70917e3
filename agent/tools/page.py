"""A standalone HTML page from Markdown blocks: no scripts, nothing fetched, everything escaped."""

from collections.abc import Iterator, Sequence
from html import escape

from .markdown import (
    Block,
    Code,
    Heading,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Runs,
    Table,
    is_openable,
    with_addresses,
)

# The policy stands in the page, as nobody knows who will serve it: styles of its own and nothing else.
_HEAD = """<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 46em; padding: 2em 1.2em; color: #1f2328; background: #fff; line-height: 1.75;
  font: 16px/1.75 "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif;
  overflow-wrap: anywhere; }}
h1, h2, h3, h4, h5, h6 {{ color: #0f2d52; line-height: 1.4; margin: 1.4em 0 .5em; }}
h1 {{ font-size: 1.7em; }} h2 {{ font-size: 1.4em; }} h3 {{ font-size: 1.2em; }} h4, h5, h6 {{ font-size: 1em; }}
.title {{ text-align: center; }}
ul, ol {{ padding-left: 1.8em; }} li > p {{ margin: .3em 0; }} li.task {{ list-style: none; margin-left: -1.4em; }}
code, pre {{ font-family: Consolas, Menlo, "WenQuanYi Micro Hei Mono", monospace; background: #f3f5f7; }}
code {{ padding: .1em .3em; border-radius: 3px; }}
pre {{ padding: .8em 1em; overflow-x: auto; border-radius: 6px; overflow-wrap: normal; }} pre code {{ padding: 0; }}
blockquote {{ margin: 1em 0; padding: 0 1em; border-left: 4px solid #d0d7de; color: #57606a; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: 1em 0; overflow-wrap: normal; }}
th, td {{ border: 1px solid #d0d7de; padding: .4em .8em; text-align: left; }}
th {{ background: #e8eef7; word-break: keep-all; }} .center {{ text-align: center; }} .right {{ text-align: right; }}
hr {{ border: 0; border-top: 1px solid #d0d7de; margin: 1.6em 0; }}
@media print {{ body {{ max-width: none; padding: 0; }} thead {{ display: table-header-group; }}
  tr {{ break-inside: avoid; }} }}
</style>
</head>
<body>
"""


def build_page(blocks: Sequence[Block], title: str) -> bytes:
    """The file, UTF-8."""
    parts = [_HEAD.format(title=escape(title or "文档"))]
    if title:
        parts.append(f'<h1 class="title">{escape(title)}</h1>\n')
    parts.extend(_blocks(blocks))
    parts.append("</body>\n</html>\n")
    return "".join(parts).encode()


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Heading(level, runs):
                yield f"<h{level}>{_runs(runs)}</h{level}>\n"
            case Paragraph(runs):
                yield f"<p>{_runs(runs)}</p>\n"
            case Listing():
                yield from _list(block)
            case Quote(inner):
                yield "<blockquote>\n"
                yield from _blocks(inner)
                yield "</blockquote>\n"
            case Code(_, text):
                # The line end right behind <pre> is swallowed; without it one of the text's would be.
                yield f"<pre>\n<code>{escape(text)}</code></pre>\n"
            case Table():
                yield from _table(block)
            case Rule():
                yield "<hr>\n"


def _list(listing: Listing) -> Iterator[str]:
    tag = "ul" if listing.start is None else "ol"
    start = f' start="{listing.start}"' if listing.start not in (None, 1) else ""
    yield f"<{tag}{start}>\n"
    for item in listing.items:
        box = "" if item.done is None else "☑ " if item.done else "☐ "
        yield f'<li class="task">{box}' if box else "<li>"
        blocks = item.blocks
        if blocks and isinstance(first := blocks[0], Paragraph):
            yield _runs(first.runs)
            blocks = blocks[1:]
        yield from _blocks(blocks)
        yield "</li>\n"
    yield f"</{tag}>\n"


def _table(table: Table) -> Iterator[str]:
    classes = ["" if align == "left" else f' class="{align}"' for align in table.align]
    yield '<div class="wide"><table>\n<thead><tr>'
    for style, cell in zip(classes, table.header, strict=True):
        yield f"<th{style}>{_runs(cell)}</th>"
    yield "</tr></thead>\n<tbody>\n"
    for row in table.rows:
        yield "<tr>"
        for style, cell in zip(classes, row, strict=True):
            yield f"<td{style}>{_runs(cell)}</td>"
        yield "</tr>\n"
    yield "</tbody>\n</table></div>\n"


def _runs(runs: Runs) -> str:
    parts: list[str] = []
    for run in with_addresses(runs):
        text = escape(run.text).replace("\n", "<br>\n")
        for wanted, tag in ((run.code, "code"), (run.strike, "s"), (run.italic, "em"), (run.bold, "strong")):
            if wanted:
                text = f"<{tag}>{text}</{tag}>"
        if is_openable(run.url):
            text = f'<a href="{escape(run.url)}" rel="noopener noreferrer nofollow">{text}</a>'
        parts.append(text)
    return "".join(parts)
