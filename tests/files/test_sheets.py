import datetime as dt
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from agent.files import sheets
from agent.files.extract import Extract, Limits, Unreadable
from agent.files.kinds import Sort
from agent.files.reader import Reader
from agent.files.sheets import shown
from tests.files.compound import workbook
from tests.files.conftest import here, repacked, saved


def read(book: Any, limits: Limits | None = None) -> Extract:
    return here(sheets, saved(book), Sort("xlsx", "XLSX"), limits)


@pytest.mark.parametrize(
    ("value", "format", "expected"),
    [
        (1234567.891, "General", "1234567.891"),
        (0.1 + 0.2, "General", "0.3"),
        (110101199001011234, "General", "110101199001011234"),
        (1e20, "General", "100000000000000000000"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (-1234.5, "#,##0.00_);(#,##0.00)", "-1,234.50"),
        (-5, "#,##0;[Red]-#,##0", "-5"),
        (0.1234, "0.0%", "12.3%"),
        (0.5, "0%", "50%"),
        (1234.5, '"¥"#,##0.00', "¥1,234.50"),
        (1234.5, "[$¥-804]#,##0.00", "¥1,234.50"),
        (-12, '_ "¥"* #,##0.00_ ', "-¥12.00"),
        (3.5, '0.0"万元"', "3.5万元"),
        (2, "0.##", "2"),
        (2.25, "0.0##", "2.25"),
        (7, "000000", "000007"),
        (12345678, "#,##0,", "12345678"),
        (0.00012, "0.00E+00", "0.00012"),
        (0.5, "# ?/?", "0.5"),
        (13800138000, "@", "13800138000"),
        (True, "General", "TRUE"),
        ("文字", "@", "文字"),
        (dt.datetime.fromisoformat("2025-03-01"), 'yyyy"年"m"月"', "2025-03-01"),
        (dt.datetime.fromisoformat("2025-03-01T08:30"), "m/d/yy h:mm", "2025-03-01 08:30:00"),
        (dt.time(8, 30), "h:mm", "08:30:00"),
        (dt.timedelta(hours=30), "[h]:mm", "1 day, 6:00:00"),
    ],
)
def test_values_as_they_are_displayed(value: Any, format: str, expected: str) -> None:
    assert shown(value, format) == expected


def test_sheets_with_captions_gaps_and_hidden_ones() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "费用"
    sheet["B2"] = "2025年3月费用汇总表"
    for row in (["部门", "金额"], ["销售部", 12345.6], [], ["研发部", 7]):
        sheet.append([None, *row])
    sheet["C4"].number_format = "#,##0.00"
    hidden = book.create_sheet("底稿")
    hidden.sheet_state = "hidden"
    book.create_sheet("空")
    extract = read(book)
    assert extract.text == (
        "[sheet 费用]\n2025年3月费用汇总表\n(rows 3-6, columns B-C)\n"
        "| # | 部门 | 金额 |\n|---|---|---|\n| 4 | 销售部 | 12,345.60 |\n| 6 | 研发部 | 7 |\n\n"
        "[sheet 底稿]\n(hidden sheet)\n(empty)\n\n[sheet 空]\n(empty)\n\n"
    )
    assert [part.anchor for part in extract.parts] == ["sheet 费用", "sheet 底稿", "sheet 空"]
    assert extract.facts["sheets"][0] == {"name": "费用", "rows": 6, "columns": 3, "hidden": False}
    assert not extract.truncated


def test_long_sheets_come_in_blocks_with_their_header() -> None:
    book = openpyxl.Workbook()
    for row in range(1, 501):
        book.active.append([f"name{row}", row])
    extract = read(book)
    assert [part.anchor for part in extract.parts] == [
        "sheet Sheet",
        "sheet Sheet, rows 202-401",
        "sheet Sheet, rows 402-500",
    ]
    for part in extract.parts[1:]:
        assert extract.text[part.start :].split("\n")[1] == "| # | name1 | 1 |"


def test_limits_of_rows_columns_and_characters() -> None:
    book = openpyxl.Workbook()
    for row in range(1, 31):
        book.active.append([f"r{row}c{column}" for column in range(1, 21)])
    second = book.create_sheet("Second")
    second.append(["still", "here"])
    cut = read(book, Limits(rows=10, columns=5))
    assert "r10c5" in cut.text and "r11c1" not in cut.text and "r1c6" not in cut.text
    assert "(rows 11-30 are left out)" in cut.text and "(columns F-T are left out)" in cut.text
    assert cut.truncated
    short = read(book, Limits(characters=1500))
    assert "are left out)" in short.text and "[sheet Second]" in short.text and short.truncated
    assert len(short.text) <= 1500


def test_a_sheet_that_does_not_say_how_long_it_is() -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Export")
    for row in range(1, 31):
        sheet.append([f"r{row}", row])
    data = saved(book)
    whole = here(sheets, data, Sort("xlsx", "XLSX"), Limits(rows=30))
    assert "r30" in whole.text and "left out" not in whole.text and not whole.truncated
    cut = here(sheets, data, Sort("xlsx", "XLSX"), Limits(rows=10))
    assert "r10" in cut.text and "r11" not in cut.text
    assert "(the rows after 10 are left out)" in cut.text and cut.truncated


def test_formulas_show_their_value_or_else_themselves() -> None:
    book = openpyxl.Workbook()
    book.active.append([1, 2, "=A1+B1"])
    assert "| 3 |" not in read(book).text and "=A1+B1" in read(book).text
    data = io.BytesIO()
    with xlsxwriter.Workbook(data) as written:
        written.add_worksheet().write_formula("A1", "=1+2", None, 3)
    calculated = here(sheets, data.getvalue(), Sort("xlsx", "XLSX")).text
    assert "| # | 3 |" in calculated and "=1+2" not in calculated


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
def test_colours_that_the_library_refuses_are_done_without() -> None:
    book = openpyxl.Workbook()
    book.active.append([0.5, "=A1"])
    book.active["A1"].number_format = "0.0%"
    odd = repacked(saved(book), styles_xml=lambda part: re.sub(rb"<fill>.*?</fill>", b"<fill/>", part, count=1))
    with pytest.raises(TypeError):
        openpyxl.load_workbook(io.BytesIO(odd))
    assert "| # | 50.0% | =A1 |" in here(sheets, odd, Sort("xlsx", "XLSX")).text


def test_time_that_is_over_ends_the_reading() -> None:
    from agent.files.manuscript import Manuscript

    book = openpyxl.Workbook()
    for row in range(100):
        book.active.append(["x", row])
    out = Manuscript(100_000, lambda: True)
    extract = sheets.read(io.BytesIO(saved(book)), Sort("xlsx", "XLSX"), Limits(), out)
    assert extract.truncated


def test_a_cell_cannot_break_its_table() -> None:
    book = openpyxl.Workbook()
    book.active.append(["a|b", "line1\nline2"])
    book.active.append(["\u202eevil\u200b", "x"])
    text = read(book).text
    assert "| # | a\\|b | line1<br>line2 |" in text and "| 2 | evil | x |" in text


def test_old_workbooks() -> None:
    rows: list[list[str | float]] = [["姓名", "金额"], ["张三", 1234.5], ["李四", 7]]
    extract = here(sheets, workbook(rows, "#,##0.00"), Sort("xls", "XLS"))
    assert extract.text == (
        "[sheet 表1]\n(rows 1-3, columns A-B)\n| # | 姓名 | 金额 |\n|---|---|---|\n"
        "| 2 | 张三 | 1,234.50 |\n| 3 | 李四 | 7.00 |\n\n"
    )
    dates = here(sheets, workbook([["日期", 45717.0], ["时间", 0.5]], "yyyy-mm-dd"), Sort("xls", "XLS"))
    assert "| 2025-03-01 |" in dates.text and "12:00:00" in dates.text
    with pytest.raises(Unreadable, match="encrypted"):
        here(sheets, workbook(rows, encrypted=True), Sort("xls", "XLS"))


@pytest.mark.usefixtures("unprivileged")
async def test_the_child_says_the_same(reader: Reader, write: Callable[[str, bytes], Path]) -> None:
    book = openpyxl.Workbook()
    book.active.append([1, "=A1", 0.5, "文字", dt.date.fromisoformat("2025-03-01")])
    book.active["C1"].number_format = "0%"
    for name, content in (("a.xlsx", saved(book)), ("b.xls", workbook([["x", 45717.0]], "yyyy-mm-dd"))):
        extract = await reader.read(write(name, content), "wrong.txt")
        assert extract == here(sheets, content, Sort(extract.kind, extract.kind.upper()))
