import io
import re
import zipfile
from datetime import datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.sheets import sheet_names
from agent.tools.spreadsheets import build

COLUMNS = [
    {"title": "地区"},
    {"title": "销售额", "format": "money", "total": "sum"},
    {"title": "数量", "format": "integer", "total": "average"},
    {"title": "占比", "format": "percent"},
    {"title": "日期", "format": "date"},
    {"title": "工号", "format": "text", "total": "count"},
    {"title": "备注"},
]
ROWS = [
    ["华东", 1234567.5, 1200, 0.153, "2026-01-05", "007", "=SUM(A1)"],
    ["华南", "-￥234.50", "300", "25.5%", "2026年1月6日", "110101199001011234", "http://a.b"],
    ["北京", 99999, None, 0.5, "2026/1/7", 13800138000, "+86"],
]


def _build(columns=COLUMNS, rows=ROWS, **more):
    return build({"filename": "a.xlsx", "sheets": [{"name": "一月", "columns": columns, "rows": rows, **more}]}).data


def _open(data, **more):
    return openpyxl.load_workbook(io.BytesIO(data), **more).worksheets[0]


def _part(data, name):
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return package.read(name).decode()


def test_cells_have_types_and_formats():
    page = _open(_build())
    assert [cell.value for cell in page[1]] == [column["title"] for column in COLUMNS]
    assert [cell.value for cell in page[2]] == ["华东", 1234567.5, 1200, 0.153, datetime(2026, 1, 5), "007", "=SUM(A1)"]  # noqa: DTZ001
    assert [cell.value for cell in page[3]][1:4] == [-234.5, 300, 0.255]
    assert [row[5].value for row in page.iter_rows(2, 4)] == ["007", "110101199001011234", "13800138000"]
    assert '"￥"#,##0.00' in page["B2"].number_format
    assert [page[f"{letter}2"].number_format for letter in "CDE"] == ["#,##0", "0.0%", "yyyy-mm-dd"]


def test_only_totals_are_formulas_and_they_carry_their_value():
    data = _build()
    page = _open(data)
    formulas = [cell.coordinate for row in page.iter_rows() for cell in row if cell.data_type == "f"]
    assert formulas == ["B5", "C5", "F5"]
    assert page["G2"].data_type == "s"
    assert page["G3"].hyperlink is None
    assert [page[at].value for at in ("A5", "B5", "C5", "F5")] == [
        "合计",
        "=SUM(B2:B4)",
        "=AVERAGE(C2:C4)",
        "=COUNTA(F2:F4)",
    ]
    values = _open(data, data_only=True)
    assert [values[at].value for at in ("B5", "C5", "F5")] == [1334332, 750, 3]


def test_the_header_stays_and_filters_leave_the_totals_out():
    page = _open(_build())
    assert page.freeze_panes == "A2"
    assert page.auto_filter.ref == "A1:G4"


def test_columns_are_as_wide_as_chinese_needs():
    page = _open(_build(["名", "长"], [["北京市朝阳区建国路一号", "很长的备注，" * 30]]))
    assert page.column_dimensions["A"].width >= 22
    assert page.column_dimensions["B"].width <= 61
    assert page["B2"].alignment.wrap_text
    assert page.row_dimensions[2].height > 80


@pytest.mark.parametrize(
    ("format", "values", "code"),
    [
        ("percent", [0.1, 0.25], "0%"),
        ("percent", [0.12345], "0.00%"),
        ("integer", [2025, 2026], "0"),
        ("integer", [1.5], "#,##0.00"),
        ("usd", [1], '"$"#,##0.00;[Red]-"$"#,##0.00'),
        ("datetime", ["2026-01-05 08:30:09"], "yyyy-mm-dd hh:mm:ss"),
        ("auto", [2026], "General"),
    ],
)
def test_formats_follow_the_values(format, values, code):
    page = _open(_build([{"title": "x", "format": format}], [[value] for value in values]))
    assert page["A2"].number_format == code


def test_a_total_speaks_the_language_of_the_titles():
    columns = [{"title": "Region"}, {"title": "Sales", "total": "max"}]
    assert _open(_build(columns, [["East", 5]]))["A3"].value == "Maximum"


@pytest.mark.parametrize(
    ("kind", "element"),
    [("line", "lineChart"), ("column", "barChart"), ("stacked", "barChart"), ("bar", "barChart"), ("pie", "pieChart"),
     ("scatter", "scatterChart")],
)  # fmt: skip
def test_charts_are_native_and_refer_to_the_cells(kind, element):
    chart = {"type": kind, "title": "销售", "labels": "地区", "values": ["销售额", "数量"]}
    if kind == "scatter":
        chart |= {"labels": "数量", "values": ["销售额"]}
    xml = _part(_build(charts=[chart]), "xl/charts/chart1.xml")
    assert f"<c:{element}>" in xml
    assert "销售" in xml
    formulas = re.findall("<c:f>(.*?)</c:f>", xml)
    expected = ["一月!$B$1", "一月!$A$2:$A$4", "一月!$B$2:$B$4", "一月!$C$1", "一月!$A$2:$A$4", "一月!$C$2:$C$4"]
    if kind == "pie":
        expected = expected[:3]
    elif kind == "scatter":
        expected = ["一月!$B$1", "一月!$C$2:$C$4", "一月!$B$2:$B$4"]
    assert [formula.replace("'", "") for formula in formulas] == expected
    if kind in ("column", "bar"):
        assert f'<c:barDir val="{"col" if kind == "column" else "bar"}"/>' in xml


def test_the_same_rows_give_the_same_bytes():
    assert _build() == _build()


def test_sheet_names_are_what_excel_takes():
    assert sheet_names(["a/b:c", "A_B_C", "", "'", "history", "很" * 40, "很" * 40, "😀" * 20]) == [
        "a_b_c", "A_B_C_2", "Sheet", "Sheet_2", "history_2", "很" * 31, "很" * 27 + "_2", "😀" * 15,
    ]  # fmt: skip


_values = st.one_of(
    st.none(),
    st.integers(-(10**14), 10**14),
    st.floats(-1e100, 1e100),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30).filter(
        lambda text: text.strip()
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_values, _values), min_size=1, max_size=6))
def test_values_survive(rows):
    columns = [{"title": "文", "format": "text"}, {"title": "数", "format": "number"}]
    page = _open(_build(columns, [list(row) for row in rows]))
    for row, (text, number) in enumerate(rows, start=2):
        if isinstance(text, str):
            assert page.cell(row, 1).value == re.sub("[\ufffe\uffff]", "", text)
        if isinstance(number, int | float):
            # xlsxwriter writes 16 digits.
            assert page.cell(row, 2).value == pytest.approx(number, rel=1e-15)
