import pytest

from agent.files import hypertext
from agent.files.extract import Extract, Unreadable
from agent.files.kinds import Sort
from tests.files.conftest import here


def read(page: str, encoding: str = "utf-8") -> Extract:
    return here(hypertext, page.encode(encoding), Sort("html"))


def test_a_page() -> None:
    extract = read(
        """<!DOCTYPE html><html><head><title> 年度
        报告 </title><style>p {}</style></head><body>
        <h1>标题</h1><p>第一段，<b>粗</b>体 <a href="https://example.com/x">链接</a>
        <a href="javascript:alert(1)">run</a><br>新行</p>
        <ul><li>一</li><li>二<ul><li>内</li></ul></li></ul><pre>  a
  b</pre><img alt="示意图" src="http://evil.example/x.png">
        <script>alert(1)</script><p hidden>ignore</p><div style="display: none">ignore</div></body></html>"""
    )
    assert extract.text == (
        "# 标题\n\n第一段，粗体 [链接](https://example.com/x) run\n新行\n\n- 一\n- 二\n  - 内\n\n"
        "```\na\n  b\n```\n\n[image: 示意图]\n\n"
    )
    assert extract.facts["title"] == "年度 报告"
    assert [entry.title for entry in extract.outline][:1] == ["标题"]


def test_tables_have_row_numbers_and_layout_tables_do_not() -> None:
    extract = read(
        "<table><tr><td><table><tr><th colspan=2>姓名<th>数<tr><td>张三<td><td>5</table><tr><td>脚注</table>"
    )
    assert extract.text == (
        "[table 1]\n(rows 1-2, columns A-C)\n| # | 姓名 |  | 数 |\n|---|---|---|---|\n| 2 | 张三 |  | 5 |\n\n脚注\n\n"
    )


def test_encodings() -> None:
    assert read('<meta charset="gb2312"><p>人民币镕</p>', "gb18030").text == "人民币镕\n\n"
    assert read('<?xml version="1.0" encoding="gbk"?><html><p>中文</p></html>', "gbk").text == "中文\n\n"
    assert read("<p>中文</p>", "utf-16").text == "中文\n\n"


def test_nothing_at_all() -> None:
    with pytest.raises(Unreadable, match="empty"):
        read("<!-- only a comment -->")
    assert read("plain words").text == "plain words\n\n"
