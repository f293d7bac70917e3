import pytest

from agent.tools.made import ToolInputError
from agent.tools.sheets import cut, find_column, read_fields, read_sheet


def test_fields_have_one_shape_whatever_was_sent():
    fields = read_fields(
        {
            "title": " 一月 ",
            "columns": ["地区", {"name": " 金 \n额 ", "type": "currency", "summary": "合计"}, ""],
            "data": [{"地区": "华东"}, ["华南", 5], '["华北"]', "东北"],
            "chart": {"kind": "饼图", "series": "金 额"},
        },
        "sheets[0]",
    )
    assert fields == {
        "name": "一月",
        "columns": [
            {"title": "地区", "format": "auto", "total": "none"},
            {"title": "金 额", "format": "money", "total": "sum"},
            {"title": "列3", "format": "auto", "total": "none"},
        ],
        "rows": [["华东", None, None], ["华南", 5, None], ["华北", None, None], ["东北", None, None]],
        "charts": [{"type": "pie", "title": "", "labels": None, "values": ["金 额"]}],
    }
    assert read_fields(fields, "sheets[0]") == fields


def test_a_chart_without_columns_takes_what_there_is():
    fields = read_fields({"columns": ["月", "收入", "备注", "成本"], "rows": [["1月", 1, "x", 2]], "charts": {}}, "s")
    (chart,) = read_sheet(fields, []).charts
    assert (chart.kind, chart.labels, chart.values) == ("column", 0, (1, 3))


def test_a_pie_has_one_series():
    fields = read_fields({"columns": ["a", "b"], "rows": [[1, 2]], "charts": [{"type": "pie", "values": "a\nb"}]}, "s")
    assert read_sheet(fields, []).charts[0].values == (0,)


def test_columns_are_found_by_title():
    assert find_column(" sales  TOTAL", "x", ["Region", "Sales Total"]) == 1
    with pytest.raises(ToolInputError, match="x is 'y', which is no column title; the columns are Region"):
        find_column("y", "x", ["Region"])


def test_excel_counts_utf16():
    assert cut("ab", 2) == "ab"
    assert cut("a😀b", 2) == "a"
    assert cut("a😀b", 3) == "a😀"
