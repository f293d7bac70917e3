"""PDF as pdfium reads it."""

import threading

import pypdfium2
import pytest

from agent.tools.made import ToolInputError
from agent.tools.markdown import parse
from agent.tools.pdf import COLUMN_LIMIT, PAGE_LIMIT, build_pdf
from tests.tools.reading import pdf_pages, squeezed


def build(text: str, title: str = "") -> bytes:
    return build_pdf(parse(text), title)[0]


def test_every_font_is_embedded() -> None:
    data = build("# 题\n\n中文 English **粗** *斜* `码` ℃ ✅\n\n```\n码\n```")
    assert b"Helvetica" not in data and b"Times" not in data
    assert data.count(b"/FontFile2") == 4


def test_outline_and_properties() -> None:
    document = pypdfium2.PdfDocument(build("### 一\n\n# 二\n\n#### 三\n\n> # 引\n", "题"))
    assert [(entry.level, entry.get_title()) for entry in document.get_toc()] == [
        (0, "题"), (1, "一"), (1, "二"), (2, "三"),
    ]  # fmt: skip
    assert document.get_metadata_dict()["Title"] == "题"
    document.close()


def test_pages_are_numbered() -> None:
    pages = pdf_pages(build("段落\n\n" * 60))
    assert [squeezed(page)[:3] for page in pages] == ["1/2", "2/2"]


def test_a_heading_stays_with_its_text() -> None:
    for count in range(26, 34):
        pages = pdf_pages(build("段落\n\n" * count + "## 标题\n\n" + "正文" * 60))
        assert ["标题" in page for page in pages] == ["正文" in page for page in pages]
    for count in range(22, 34):
        for rows in (1, 60):
            table = "| 表头 |\n|---|\n" + "".join(f"| 第{n}行。 |\n" for n in range(rows))
            pages = pdf_pages(build("段落\n\n" * count + f"## 标题\n\n{table}"))
            assert ["标题" in page for page in pages] == ["第0行。" in page for page in pages]
    assert "标题" in pdf_pages(build("段落\n\n" * 15 + f"## 标题\n\n{table}"))[0]


def test_many_columns_turn_the_page_and_more_are_refused() -> None:
    document = pypdfium2.PdfDocument(build(f"{'|a' * 9}|\n{'|-' * 9}|\n"))
    width, height = document[0].get_size()
    document.close()
    assert width > height
    build(f"{'|a' * COLUMN_LIMIT}|\n{'|-' * COLUMN_LIMIT}|\n")
    with pytest.raises(ToolInputError, match="create_spreadsheet"):
        build(f"{'|a' * (COLUMN_LIMIT + 1)}|\n{'|-' * (COLUMN_LIMIT + 1)}|\n")


def test_too_many_pages_are_refused() -> None:
    with pytest.raises(ToolInputError, match="several documents"):
        build("x\n\n" * (PAGE_LIMIT * 34))


@pytest.mark.parametrize(
    "text",
    [
        "- " * 30 + "深处",
        ">" * 40 + "深处",
        "1. " * 30 + "深处",
        "- | a |\n  |---|\n  | 深处 |\n",
        "> | 深处 |\n> |---|\n",
    ],
)
def test_depth(text: str) -> None:
    assert "深处" in pdf_pages(build(text))[0]


@pytest.mark.parametrize("text", ["|a|\n|-|", "-", ">", "#", "```\n```", "- [ ] ", "1.", "![](data:x)"])
def test_nearly_nothing(text: str) -> None:
    assert len(pdf_pages(build(text))) == 1


def test_links() -> None:
    data = build("[a](https://a.b/x) [c](javascript:alert(1))")
    assert data.count(b"/URI (https://a.b/x)") == 1 and b"URI (javascript" not in data


def test_documents_at_the_same_time() -> None:
    texts = ["甲" * 3000, "乙丙" * 1500, "丁戊己" * 1000]
    made: dict[str, bytes] = {}
    threads = [threading.Thread(target=lambda text=text: made.update({text: build(text)})) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(made[text] == build(text) for text in texts)
