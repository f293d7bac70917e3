import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.files import passages
from agent.files.extract import Entry, Extract, Part, Unreadable
from agent.files.grid import Grid
from agent.files.grid import write as write_grid
from agent.files.manuscript import Manuscript


def contract() -> Extract:
    out = Manuscript(100_000)
    for page in range(1, 6):
        out.part(f"page {page}")
        out.heading(1, f"第{page}章 内容")
        out.paragraph(f"第{page}页的正文。" * 20)
        out.heading(2, f"{page}.1 细则")
        out.paragraph("甲方违约的，应当支付违约\n金。" if page == 3 else "Nothing of note.")
    return out.extract("pdf", {"pages": 5})


def workbook() -> Extract:
    out = Manuscript(1_000_000)
    for name in ("Sales", "成本"):
        sheet = Grid(f"sheet {name}")
        sheet.rows = [(row, {1: f"{name}{row}", 2: str(row * 2)}) for row in range(1, 1001)]
        write_grid(sheet, out, columns=10, room=500_000)
    return out.extract("xlsx", {})


def test_head_ends_with_a_line_and_says_where_to_go_on() -> None:
    extract = contract()
    first = passages.head(extract, 300, len)
    assert len(first.text) <= 300 and first.text.endswith("\n")
    assert first.anchor == "page 1"
    text, where = first.text, first.go_on
    while where:
        more = passages.read(extract, where, 300, len)
        text, where = text + more.text, more.go_on
    assert text == extract.text


def test_outline_shows_less_depth_when_the_budget_is_short() -> None:
    extract = contract()
    whole = passages.outline(extract, 1000, len)
    assert "  - 3.1 细则 [page 3]\n" in whole.splitlines(keepends=True)
    short = passages.outline(extract, 100, len)
    assert "细则" not in short and "第5章 内容 [page 5]" in short
    shorter = passages.outline(extract, 40, len)
    assert shorter.endswith("more\n") and len(shorter) < 60
    assert passages.outline(Extract("text", "x"), 100, len) == ""


def test_places() -> None:
    extract = contract()
    page = passages.read(extract, "[page 3]", 10_000, len)
    assert page.text.startswith("[page 3]\n# 第3章") and page.go_on == ""
    assert passages.read(extract, "Page 3", 10_000, len) == page
    pages = passages.read(extract, "pages 3-4", 10_000, len)
    assert "第4章" in pages.text and "第5章" not in pages.text
    assert "第5章" in passages.read(extract, "pages 4-99", 10_000, len).text
    assert passages.read(extract, "第3章", 10_000, len).text.startswith("# 第3章")
    section = passages.read(extract, "3.1 细则", 10_000, len)
    assert section.text.startswith("## 3.1") and "第4章" not in section.text
    for nowhere in ("page 77", "sheet 1", "99999999", "rows 3-4"):
        with pytest.raises(Unreadable, match="missing"):
            passages.read(extract, nowhere, 1000, len)


def test_headings_of_a_text_without_pages() -> None:
    chapters = "".join(f"# 第{number}章\n正文{number}\n" for number in range(5))
    starts = [chapters.index(f"# 第{number}章") for number in range(5)]
    outline = tuple(Entry(f"第{number}章", 1, start) for number, start in enumerate(starts))
    extract = Extract("markdown", chapters, outline=outline)
    assert passages.read(extract, "第3章", 1000, len).text == "# 第3章\n正文3\n"
    with pytest.raises(Unreadable, match="missing"):
        passages.read(extract, "page 7", 1000, len)


def test_rows_of_a_sheet_come_with_its_header() -> None:
    extract = workbook()
    found = passages.read(extract, "[sheet 成本] rows 399-402", 10_000, len)
    assert found.text == (
        "| # | 成本1 | 2 |\n|---|---|---|\n"
        "| 399 | 成本399 | 798 |\n| 400 | 成本400 | 800 |\n| 401 | 成本401 | 802 |\n| 402 | 成本402 | 804 |\n"
    )
    assert passages.read(extract, "成本 row 5", 1000, len).text.count("成本") == 2
    assert passages.read(extract, "sheet 成本，rows ３９９－402".replace("－", "-"), 1000, len).text == found.text
    with pytest.raises(Unreadable, match="missing"):
        passages.read(extract, "sheet Sales rows 2000-3000", 1000, len)


def test_rows_go_on_where_the_budget_ended() -> None:
    extract = workbook()
    seen, where = "", "sheet Sales rows 2-1000"
    while where:
        passage = passages.read(extract, where, 3000, len)
        assert len(passage.text) <= 3000
        assert passage.text.startswith("| # | Sales1 | 2 |\n")
        seen, where = seen + passage.text, passage.go_on
    assert [f"| {row} | Sales{row} |" in seen for row in range(2, 1001)].count(False) == 0


def test_reading_on_in_the_middle_of_a_table_repeats_its_header() -> None:
    extract = workbook()
    second = passages.read(extract, passages.head(extract, 500, len).go_on, 500, len)
    assert second.text.startswith("| # | Sales1 | 2 |\n|---|---|---|\n| ")
    assert len(second.text) <= 500


@pytest.mark.parametrize("query", ["违约金", "支付违约金", "page甲方", "违约金怎么付"])
def test_search_finds_chinese_without_spaces(query: str) -> None:
    best = passages.search(contract(), query)[0]
    assert best.anchor == "page 3" and "应当支付违约\n金" in best.text


def test_search_ignores_case_and_width() -> None:
    extract = Extract("text", "first\nThe ＡＰＩ-Key is Secret\nlast")
    for query in ("api-key", "API-KEY", "ａｐｉ－key".replace("－", "-"), "SECRET"):
        (hit,) = passages.search(extract, query)
        assert "ＡＰＩ-Key" in hit.text
        assert extract.text[hit.start :].startswith(hit.text)
    assert passages.search(extract, "nowhere") == ()
    assert passages.search(extract, "  ") == ()


def test_search_ranks_by_how_many_words_stand_together() -> None:
    gap = "\n" + "filler text without meaning\n" * 30
    extract = Extract("text", f"alpha alone{gap}alpha and beta{gap}alpha, beta and gamma{gap}gamma alone")
    hits = passages.search(extract, "alpha beta gamma", 3)
    assert [hit.matched for hit in hits] == [3, 2, 1]
    assert "alpha, beta and gamma" in hits[0].text
    assert len(passages.search(extract, "alpha beta gamma", 10)) == 4


def test_a_rare_word_counts_for_more_than_frequent_ones() -> None:
    extract = Extract("text", "".join(f"第{number}章 内容与说明\n" for number in range(60_000)))
    assert "第58765章" in passages.search(extract, "第58765章", 1)[0].text


def test_search_survives_a_huge_text_without_lines() -> None:
    hits = passages.search(Extract("text", "违约" * 50_000 + "金额"), "违约 金额", 2)
    assert hits[0].matched == 2
    assert all(len(hit.text) < 1000 for hit in hits)


def test_symbols_can_be_searched() -> None:
    assert passages.search(Extract("text", "price: €€ 5"), "€€")[0].matched == 1


@given(st.text(alphabet="ab 违约\n|#1-", max_size=400), st.integers(1, 60))
def test_reading_on_and_on_gives_the_whole_text(text: str, budget: int) -> None:
    extract = Extract("text", text, parts=(Part("page 1", 0),), outline=(Entry("x", 1, 0),))
    seen, where = "", ""
    for _ in range(len(text) + 1):
        passage = passages.read(extract, where, budget, len)
        seen += extract.text[passage.start : passage.end]
        where = passage.go_on
        if not where:
            break
    assert seen == text
