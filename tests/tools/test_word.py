"""DOCX as python-docx and the XML show it."""

import io
import zipfile

import docx
import pytest
from docx.oxml.ns import qn

from agent.tools.markdown import parse
from agent.tools.word import build_word
from tests.tools.reading import word_lines


def build(text: str, title: str = "") -> bytes:
    return build_word(parse(text), title)


def xml(data: bytes, part: str = "word/document.xml") -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return package.read(part).decode()


def test_headings_are_styles_and_chinese_fonts_are_named() -> None:
    document = docx.Document(io.BytesIO(build("# 一\n\n## 二\n\n文", "题")))
    assert [(p.style.name, p.text) for p in document.paragraphs] == [
        ("Title", "题"), ("Heading 1", "一"), ("Heading 2", "二"), ("Normal", "文"),
    ]  # fmt: skip
    for name in ("Normal", "Title", "Heading 1"):
        fonts = document.styles[name].element.rPr.find(qn("w:rFonts"))
        assert fonts.get(qn("w:eastAsia")) == "微软雅黑" and fonts.get(qn("w:eastAsiaTheme")) is None


def test_each_numbered_list_begins_anew() -> None:
    data = build("1. a\n2. b\n\n文\n\n5. c\n")
    first, second, _, third = docx.Document(io.BytesIO(data)).paragraphs
    ids = [p._p.pPr.numPr.numId.val for p in (first, second, third)]
    assert ids[0] == ids[1] != ids[2]
    assert '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/>' in xml(data, "word/numbering.xml")


def test_nested_lists_and_tasks() -> None:
    data = build("- a\n  - b\n    1. c\n- [x] d\n- [ ] e")
    paragraphs = docx.Document(io.BytesIO(data)).paragraphs
    levels = [p._p.pPr.numPr.ilvl.val if p._p.pPr.numPr is not None else None for p in paragraphs]
    assert levels == [0, 1, 2, None, None]
    assert word_lines(data) == ["a", "b", "c", "☑\td", "☐\te"]


def test_table_header_repeats_and_rows_stay_whole() -> None:
    data = build("| 项 | 值 |\n|---|--:|\n| =1+1 | **2** |")
    assert word_lines(data)[:2] == ["项 | 值", "=1+1 | 2"]
    made = xml(data)
    assert made.count("<w:tblHeader/>") == 1 and made.count("<w:cantSplit/>") == 2
    assert '<w:jc w:val="right"/>' in made


def test_many_columns_turn_the_page() -> None:
    def section(columns: int) -> docx.section.Section:
        return docx.Document(io.BytesIO(build(f"{'|a' * columns}|\n{'|-' * columns}|\n"))).sections[0]

    assert section(8).page_width < section(8).page_height
    assert section(9).page_width > section(9).page_height


def test_links_open_the_web_and_nothing_else() -> None:
    data = build("[a](https://a.b/?x=1&y=2) [b](file:///etc/passwd) ![c](https://a.b/c.png)")
    relations = xml(data, "word/_rels/document.xml.rels")
    assert 'Target="https://a.b/?x=1&amp;y=2"' in relations and 'Target="https://a.b/c.png"' in relations
    assert "passwd" not in relations and "relationships/image" not in relations
    assert word_lines(data) == ["a (https://a.b/?x=1&y=2) [b](file:///etc/passwd) c (https://a.b/c.png)"]


def test_looks() -> None:
    runs = docx.Document(io.BytesIO(build("**粗***斜*~~删~~`码`"))).paragraphs[0].runs
    assert [(run.text, run.bold, run.italic, run.font.strike, run.style.name) for run in runs] == [
        ("粗", True, None, None, "Default Paragraph Font"),
        ("斜", None, True, None, "Default Paragraph Font"),
        ("删", None, None, True, "Default Paragraph Font"),
        ("码", None, None, None, "Inline Code"),
    ]


@pytest.mark.parametrize("text", ["- " * 12 + "深", "> " * 12 + "深", "1. " * 12 + "深"])
def test_depth_beyond_words_nine_levels(text: str) -> None:
    assert word_lines(build(text))[-1] == "深"


def test_code_keeps_its_lines_and_spaces() -> None:
    paragraph = docx.Document(io.BytesIO(build("```\na\n\tb  c\n```"))).paragraphs[0]
    assert (paragraph.style.name, paragraph.text) == ("Code", "a\n    b  c")
