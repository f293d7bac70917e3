import json

import pytest

from agent.files import plain
from agent.files.extract import Kind, Limits
from agent.files.kinds import Sort
from tests.files.conftest import here


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_with_any_delimiter(delimiter: str) -> None:
    rows = [["姓名", "备注", "数量"], ["张三", '"a, b; c"', "5"], ["李四", '"两\n行"', "7"]]
    content = "\r\n".join(delimiter.join(row) for row in rows).encode("gbk")
    extract = here(plain, content, Sort("csv"))
    assert extract.text == (
        "[table]\n(rows 1-3, columns A-C)\n| # | 姓名 | 备注 | 数量 |\n|---|---|---|---|\n"
        "| 2 | 张三 | a, b; c | 5 |\n| 3 | 李四 | 两<br>行 | 7 |\n\n"
    )
    assert (extract.facts["rows"], extract.facts["columns"], extract.facts["encoding"]) == (3, 3, "gb18030")


def test_a_long_csv_says_what_is_left_out() -> None:
    content = "".join(f"{row},x\n" for row in range(1, 1001)).encode()
    extract = here(plain, content, Sort("csv"), Limits(rows=300))
    assert "| 300 | 300 | x |" in extract.text and "(rows 301-1000 are left out)" in extract.text
    assert extract.truncated and extract.facts["rows"] == 1000
    tiny = here(plain, content, Sort("csv"), Limits(characters=1200))
    assert tiny.truncated and len(tiny.text) <= 1200


@pytest.mark.parametrize("content", [b"", b"\n\n", b"one\n", b'a,"unclosed\n1,2\n', b"a\0b,c\n"])
def test_odd_csv(content: bytes) -> None:
    assert here(plain, content, Sort("csv")).text.startswith("[table]\n")


def test_markdown_headings_outside_of_fences() -> None:
    content = "# 一\n```\n# no heading\n~~~\n```\n## 二 ##\n#hashtag\n".encode()
    extract = here(plain, content, Sort("markdown"))
    assert [(entry.title, entry.level) for entry in extract.outline] == [("一", 1), ("二", 2)]
    assert extract.text == content.decode()


def test_json_on_one_line_is_made_readable() -> None:
    value = {"列表": [{"k": "v" * 100}] * 30}
    extract = here(plain, json.dumps(value).encode(), Sort("json"))
    assert extract.text.count("\n") > 60 and "列表" in extract.text
    assert json.loads(extract.text) == value
    assert here(plain, b'{"a": 1,\n "b": 2}', Sort("json")).text == '{"a": 1,\n "b": 2}\n'
    assert here(plain, b"[" + b"1 " * 2000, Sort("json")).text.startswith("[1 1")


@pytest.mark.parametrize("kind", ["text", "code"])
def test_text_keeps_its_lines_and_loses_what_is_not_meant_to_be_seen(kind: Kind) -> None:
    content = "a\r\nb\rc\u2028d\x00\x07\u200b\u202e\U000e0041e\n\n\n\n\n\n\nf".encode()
    assert here(plain, content, Sort(kind)).text == "a\nb\nc\nde\n\n\nf\n"


def test_an_outline_is_guessed_from_chapters() -> None:
    content = "管理办法\n第一章 总则\n第一条 目的。\n第二章　职责\n一、部门职责\n（一）采购部\n1.2 流程 说明\n".encode()
    extract = here(plain, content, Sort("text"))
    assert [entry.title for entry in extract.outline] == [
        "第一章 总则",
        "第二章　职责",
        "一、部门职责",
        "（一）采购部",
        "1.2 流程 说明",
    ]
    for entry in extract.outline:
        assert extract.text[entry.start :].startswith(entry.title)
