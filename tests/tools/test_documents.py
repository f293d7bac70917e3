"""The tool from its arguments to the file."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools import documents
from agent.tools.made import MIME_TYPES, ToolInputError
from tests.tools.reading import pdf_pages, squeezed, word_lines
from tests.tools.test_arguments import JSON

FORMATS = ("docx", "pdf", "html", "md", "txt")
REPORT = """# 季度报告

收入**增长**，English words, ![图](https://a.b/c.png)。

- 一
  1. 二
- [x] 三 ✅

| 项 | 值 |
|----|---:|
| =SUM(A1) | 1 |
| <b>龘</b> | ℃ |

> 引用

```
code  中文
```
"""


def text_of(ending: str, data: bytes) -> str:
    match ending:
        case "docx":
            return squeezed("".join(word_lines(data)))
        case "pdf":
            return squeezed("".join(pdf_pages(data)))
    return squeezed(data.decode())


@pytest.mark.parametrize("ending", FORMATS)
def test_the_text_arrives(ending: str) -> None:
    made = documents.build({"filename": "报告", "format": ending, "content": REPORT})
    assert (made.name, made.mime) == (f"报告.{ending}", MIME_TYPES[ending])
    text = text_of(ending, made.data)
    for part in (
        "季度报告",
        "增长",
        "Englishwords,",
        "https://a.b/c.png",
        "二",
        "三✅",
        "=SUM(A1)",
        "龘",
        "℃",
        "code中文",
    ):
        assert part in text, part
    assert "![" not in text and "<b>" not in text.replace("<b>龘" if ending in ("docx", "pdf", "txt") else "\0", "")


@pytest.mark.parametrize("ending", FORMATS)
def test_the_same_content_gives_the_same_bytes(ending: str) -> None:
    first, second = (documents.build({"format": ending, "content": REPORT}) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"filename": "周报.pdf"}, "周报.pdf"),
        ({"filename": "周报.pdf", "format": "docx"}, "周报.docx"),
        ({"filename": "周报.docx", "format": "text"}, "周报.docx"),
        ({"name": "a/b", "type": "Markdown"}, "b.md"),
        ({"title": "标题"}, "标题.docx"),
        ({"format": ".TXT"}, "正文.txt"),
    ],
)
def test_names_and_formats(arguments: dict[str, Any], name: str) -> None:
    assert documents.build({"content": "正文"} | arguments).name == name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "content is empty"),
        ({"content": " \n"}, "content is empty"),
        ({"content": "x", "format": "xlsx"}, "send one of docx, pdf, html, md, txt"),
        ({"content": "x", "filename": "a.xlsx"}, "not xlsx"),
        ({"content": {"a": 1}}, "send a string"),
        ({"content": "x" * 250_001}, "several documents"),
    ],
)
def test_what_cannot_be_made_says_why(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolInputError, match=said):
        documents.build(arguments)


@pytest.mark.parametrize(
    ("content", "title", "text"),
    [
        ("# 题\n\n文", "", "# 题\n\n文\n"),
        ("# 题\n\n文", "题", "# 题\n\n文\n"),
        ("# **题** #\n文", "题", "# 题\n\n文\n"),
        ("# 一\n\n文\n\n# 二", "", "# 一\n\n文\n\n# 二\n"),
        ("# 别的\n\n文", "题", "# 题\n\n# 别的\n\n文\n"),
        ("```markdown\n文\n```", "", "文\n"),
        ("一\\n\\n二\\n", "", "一\n\n二\n"),
    ],
)
def test_titles_and_wrappings(content: str, title: str, text: str) -> None:
    assert documents.build({"format": "md", "content": content, "title": title}).data.decode() == text


def test_lost_characters_are_told() -> None:
    made = documents.build({"format": "pdf", "content": "𠮷野家 हिन्दी"})
    assert "drawn as □: 𠮷 U+20BB7" in made.summary and "docx" in made.summary
    assert "□野家" in pdf_pages(made.data)[0]


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {"content": JSON | st.text(alphabet="字a#-*|`>![]()<\n 1.~", max_size=80)},
        optional={"format": st.sampled_from(FORMATS) | JSON, "filename": JSON, "title": JSON},
    )
)
def test_only_input_errors_come_out(arguments: dict[str, Any]) -> None:
    try:
        made = documents.build(arguments)
    except ToolInputError as error:
        assert str(error)
    else:
        assert made.data and made.summary and made.name.rpartition(".")[2] in FORMATS


WORDS = st.lists(st.text(alphabet="中文字符，。（）“”！abcXYZ019$%", min_size=1, max_size=30), min_size=1, max_size=12)


@settings(max_examples=20, deadline=None)
@given(WORDS, st.integers(1, 6))
def test_no_character_is_lost(words: list[str], columns: int) -> None:
    rows = [words[start : start + columns] for start in range(0, len(words), columns)]
    table = "".join(f"|{'|'.join(row)}|\n" for row in ([f"h{i}" for i in range(columns)], ["---"] * columns, *rows))
    prose = "。".join(words)
    for ending in FORMATS:
        text = text_of(ending, documents.build({"format": ending, "content": f"{table}\n{prose}"}).data)
        assert prose in text
        # A cell's lines may stand between those of its neighbours.
        assert Counter("".join(words)) <= Counter(text.replace(prose, "", 1))
