"""Markdown as models write it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.made import ToolInputError
from agent.tools.markdown import (
    NESTING_LIMIT,
    TEXT_LIMIT,
    Code,
    Heading,
    Item,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Run,
    Table,
    is_openable,
    parse,
    parse_inline,
    plain,
    tables,
    with_addresses,
)


def test_blocks() -> None:
    text = "# 题\n\n段 `x`\n\n> 引\n\n```py\na\n```\n\n---\n\n| a | b |\n|:-:|--:|\n| 1 |\n"
    assert parse(text) == (
        Heading(1, (Run("题"),)),
        Paragraph((Run("段 "), Run("x", code=True))),
        Quote((Paragraph((Run("引"),)),)),
        Code("py", "a"),
        Rule(),
        Table(("center", "right"), ((Run("a"),), (Run("b"),)), (((Run("1"),), ()),)),
    )


def test_lists_with_tasks_and_start() -> None:
    (listing,) = parse("3. a\n   - [x] 完\n   - [ ] 未\n4. b")
    done = Listing(None, (Item((Paragraph((Run("完"),)),), True), Item((Paragraph((Run("未"),)),), False)))
    assert listing == Listing(3, (Item((Paragraph((Run("a"),)), done)), Item((Paragraph((Run("b"),)),))))


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("**注意：**请", [("注意：", "b"), ("请", "")]),
        ("价格**（含税）**为", [("价格", ""), ("（含税）", "b"), ("为", "")]),
        ("a **b** c", [("a ", ""), ("b", "b"), (" c", "")]),
        ("***x***", [("x", "bi")]),
        ("~~旧~~新", [("旧", "s"), ("新", "")]),
        ("2 * 3 * 4", [("2 * 3 * 4", "")]),
        ("snake_case_name", [("snake_case_name", "")]),
        ("一<br>二\n三", [("一\n二\n三", "")]),
        ("<b>x</b>", [("<b>x</b>", "")]),
    ],
)
def test_looks(text: str, runs: list[tuple[str, str]]) -> None:
    def look(run: Run) -> str:
        return "b" * run.bold + "i" * run.italic + "s" * run.strike

    assert [(run.text, look(run)) for run in parse_inline(text)] == runs


def test_a_picture_is_a_link_to_it() -> None:
    assert parse_inline("![图](https://a.b/c.png)") == (Run("图", url="https://a.b/c.png"),)
    assert parse_inline("![](https://a.b/c.png)") == (Run("https://a.b/c.png", url="https://a.b/c.png"),)
    assert parse_inline("![图](data:image/png;base64,AAAA)") == (Run("图"),)


def test_addresses_stand_behind_their_links() -> None:
    assert plain(with_addresses(parse_inline("[看板](https://a.b/)好"))) == "看板 (https://a.b/)好"
    assert plain(with_addresses(parse_inline("<https://a.b/>"))) == "https://a.b/"


def test_what_may_be_clicked() -> None:
    assert is_openable("https://a.b") and is_openable("mailto:a@b.c")
    assert not is_openable("javascript:alert(1)") and not is_openable("file:///etc/passwd") and not is_openable("")


def test_tables_are_found_wherever_they_are() -> None:
    table = "| a |\n|---|\n| 1 |\n"
    assert len(list(tables(parse(f"{table}\n> | a |\n> |---|\n\n- x\n\n  | a |\n  |---|\n")))) == 3


def test_limits() -> None:
    with pytest.raises(ToolInputError, match="several documents"):
        parse("字" * (TEXT_LIMIT + 1))
    with pytest.raises(ToolInputError, match="fewer levels"):
        parse(">" * NESTING_LIMIT + "x")


def test_a_long_row_of_spaces_takes_no_time() -> None:
    assert plain(parse_inline("x" + " " * 100_000 + "y")).endswith("y")


@settings(deadline=None)
@given(st.text(alphabet="字a *_`~[]()!<>#-|:\n1.", max_size=60))
def test_any_text_parses(text: str) -> None:
    parse(text)
