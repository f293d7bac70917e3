"""Text files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agent.tools.markdown import parse
from agent.tools.plain import build_markdown, build_text, disarm


def test_text() -> None:
    text = "# 题\n\n**一**\n二\n\n- a\n  1. b\n- [x] c\n\n> 引\n\n| 项 | 值 |\n|---|--:|\n| 中文 | 1 |\n\n```\nx\n```"
    assert build_text(parse(text), "").decode().split("\r\n") == [
        "\ufeff题", "==", "", "一", "二", "", "- a", "  1. b", "- [x] c", "", "> 引", "",
        "项    值", "----  --", "中文   1", "", "    x", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "disarmed"),
    [
        ("![图](https://a.b/c.png \"t\")", "[图](https://a.b/c.png \"t\")"),
        ("![](https://a.b/c.png)", "[https://a.b/c.png](https://a.b/c.png)"),
        ("![图][1]\n\n[1]: https://a.b", "!\\[图][1]\n\n[1]: https://a.b"),
        ("!![图](u)", "!!\\[图](u)"),
        ("[![图](u)](v)", "[[图](u)](v)"),
        ("<img src=x> a < b <br> <https://a.b> <a@b.c>", "&lt;img src=x> a < b <br> <https://a.b> <a@b.c>"),
        ("`<b>` ![a](b)", "`<b>` [a](b)"),
        ("```\n<b> ![a](b)\n```", "```\n<b> ![a](b)\n```"),
        ("好！[链](u)", "好！[链](u)"),
    ],
)  # fmt: skip
def test_disarm(text: str, disarmed: str) -> None:
    assert disarm(text) == disarmed


def test_markdown_gets_its_title() -> None:
    assert build_markdown("\n文\n\n", "题").decode() == "# 题\n\n文\n"


@settings(deadline=None)
@given(st.text(alphabet="<>!\\[]()`~ \n\tab/:-=\"'|", max_size=60))
def test_nothing_stays_that_a_viewer_fetches(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(disarm(text))
    inline = [child for token in tokens for child in token.children or ()]
    assert not [token for token in tokens if token.type == "html_block"]
    assert not [token for token in inline if token.type == "image"]
