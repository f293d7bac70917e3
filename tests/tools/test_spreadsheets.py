import io
import json
import time

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.cells import FORMATS
from agent.tools.made import Made, ToolInputError
from agent.tools.sheets import KINDS, TOTALS
from agent.tools.spreadsheets import CELL_LIMIT, DESCRIPTION, NAME, PARAMETERS, build, revise

from .arbitrary import json_of, scalars

SALES = {
    "filename": "销售.xlsx",
    "sheets": [
        {
            "name": "一月",
            "columns": [
                {"title": "地区"},
                {"title": "金额", "format": "money", "total": "sum"},
                {"title": "占比", "format": "percent"},
            ],
            "rows": [["华东", 120, 0.6], ["华南", 50, 0.25], ["华北", 30, 0.15]],
            "charts": [{"type": "pie", "labels": "地区", "values": ["金额"]}],
        },
        {"name": "趋势", "columns": ["月份", "收入"], "rows": [["1月", 10], ["2月", 12]]},
    ],
}


def _book(made: Made) -> dict[str, list[list[object]]]:
    book = openpyxl.load_workbook(io.BytesIO(made.data))
    return {page.title: [[cell.value for cell in row] for row in page.iter_rows()] for page in book.worksheets}


def _revised(**new: object) -> dict[str, list[list[object]]]:
    return _book(build(revise(SALES, {"filename": "销售.xlsx", "based_on": "销售.xlsx", **new})))


def test_the_tool_describes_itself():
    assert NAME == "create_spreadsheet"
    assert "based_on" in DESCRIPTION
    # What every request with tools pays for.
    assert len(json.dumps(PARAMETERS, ensure_ascii=False)) < 3600


def test_a_workbook_of_several_sheets():
    made = build(SALES)
    assert made.name == "销售.xlsx"
    assert made.summary == (
        "Excel workbook: 1 '一月' (3 rows; columns 地区, 金额, 占比; charts: 1; totals), "
        "2 '趋势' (2 rows; columns 月份, 收入)."
    )
    assert _book(made)["趋势"] == [["月份", "收入"], ["1月", 10], ["2月", 12]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"arguments": json.dumps(SALES["sheets"][1])},
        {"sheets": json.dumps([SALES["sheets"][1]])},
        {"sheets": SALES["sheets"][1]},
        {"sheets": [{"name": "趋势", "rows": [["月份", "收入"], ["1月", 10], ["2月", 12]]}]},
        {
            "sheets": [
                {"name": "趋势", "columns": "月份,收入", "rows": [["月份", "收入"], ["1月", 10], ["2月", 12, ""]]}
            ]
        },
        {"sheets": [{"name": "趋势", "rows": [{"月份": "1月", "收入": 10}, {"月份": "2月", "收入": 12}]}]},
        {
            "sheets": [
                {"name": "趋势", "headers": ["月份", "收入"], "data": ['["1月", 10]', '{"月份": "2月", "收入": 12}']}
            ]
        },
    ],
)
def test_what_is_clear_is_accepted(arguments):
    assert _book(build(arguments)) == {"趋势": [["月份", "收入"], ["1月", 10], ["2月", 12]]}


def _sheet(**more: object) -> dict[str, object]:
    return {"filename": "a.xlsx", "sheets": [{"name": "a", "columns": ["x", "y"], "rows": [["k", 1]], **more}]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "sheets is empty; send at least one sheet"),
        ({"sheets": 5}, "sheets is a number; send a JSON array"),
        (_sheet(columns=[], rows=[]), r"sheets\[0\].columns is missing"),
        (_sheet(rows=[[1, 2, 3]]), r"sheets\[0\].rows\[0\] has 3 cells for 2 columns; send one value a column"),
        (_sheet(rows=[{"z": 1}]), r"rows\[0\] has the keys \['z'\], which are no column titles; the columns are x, y"),
        (
            _sheet(columns=[{"title": "x", "format": "rainbow"}, "y"]),
            r"columns\[0\].format is 'rainbow'; send one of auto",
        ),
        (
            _sheet(columns=[{"title": "x", "total": "median"}, "y"]),
            r"columns\[0\].total is 'median'; send one of none, sum",
        ),
        (_sheet(charts=[{"type": "line", "values": ["z"]}]), "'z', which is no column title; the columns are x, y"),
        (_sheet(charts=[{"type": "line", "values": ["x"]}]), "names 'x', which has no numbers"),
        (_sheet(charts=[{"type": "scatter", "values": ["y"]}]), "the title of the number column for the x axis"),
        (_sheet(charts=[{"type": "radar", "values": ["y"]}]), "type is 'radar'; send one of line"),
        (_sheet(columns=[f"c{n}" for n in range(300)], rows=[]), "has 300 columns and 256 are the most"),
        ({"sheets": [{"name": "a", "columns": ["x"]}] * 31}, "31 sheets were sent and 30 are the most"),
        (_sheet(rows=[[1, 2]] * (CELL_LIMIT // 2)), f"cells and {CELL_LIMIT} are the most"),
        (SALES | {"filename": "a.csv"}, "a CSV file has one sheet and 2 were sent"),
    ],
)
def test_what_is_not_clear_says_what_to_send(arguments, message):
    with pytest.raises(ToolInputError, match=message):
        build(arguments)


def test_the_model_hears_of_what_came_out_otherwise():
    columns = [{"title": "x", "format": "number", "total": "sum"}, {"title": "y", "format": "percent"}]
    summary = build(_sheet(columns=columns, rows=[["待定", 15.3]])).summary
    assert "1 cells such as '待定' do not read as number and stay text" in summary
    assert '15.3 shows as 1530%; if 15.3% was meant, write 0.153 or "15.3%"' in summary
    assert "In sheet 'a', column 'x' there are no numbers, so no sum" in summary
    assert "no charts" in build(_sheet(charts=[{"type": "line", "values": ["y"]}]) | {"filename": "a.csv"}).summary


def test_twenty_thousand_rows_take_seconds():
    rows = [[number, f"客户{number}", number * 1.5, "2026-01-05", f"备注 {number}"] for number in range(20_000)]
    started = time.perf_counter()
    made = build({"filename": "大.xlsx", "sheets": [{"name": "大", "columns": list("编名金日备"), "rows": rows}]})
    assert time.perf_counter() - started < 10  # 1 s alone
    page = openpyxl.load_workbook(io.BytesIO(made.data), read_only=True).worksheets[0]
    assert page.max_row == 20_001


def test_nothing_changed_is_the_same_file():
    assert build(revise(SALES, {"based_on": "销售.xlsx"})) == build(SALES)


def test_a_change_leaves_the_earlier_arguments_alone():
    before = json.dumps(SALES)
    _revised(sheets=[{"name": "2", "cells": [{"row": "2月", "column": "收入", "value": 99}], "new_name": "b"}])
    assert json.dumps(SALES) == before


def test_the_second_sheet_is_changed_by_number_or_name():
    for name in ("2", 2, "趋势"):
        book = _revised(sheets=[{"name": name, "append_rows": [["3月", 15]]}])
        assert book["趋势"] == [["月份", "收入"], ["1月", 10], ["2月", 12], ["3月", 15]]
        assert book["一月"] == _book(build(SALES))["一月"]


def test_sheets_are_replaced_renamed_removed_and_added():
    book = _revised(
        sheets=[
            {"name": "趋势", "rows": [["5月", 1]], "new_name": "走势"},
            {"name": "新", "columns": ["x"], "rows": [["y"]]},
        ],
        remove_sheets=["1"],
    )
    assert book == {"走势": [["月份", "收入"], ["5月", 1]], "新": [["x"], ["y"]]}


def test_rows_are_changed_and_removed_by_first_cell_or_number():
    cells = [{"row": "华南", "column": "金额", "value": 60}, {"row": 4, "column": "地区", "value": "东北"}]
    book = _revised(sheets=[{"name": "一月", "cells": cells, "remove_rows": ["华东"]}])
    assert book["一月"][1:3] == [["华南", 60, 0.25], ["东北", 30, 0.15]]
    assert book["一月"][3][1] == "=SUM(B2:B3)"


def test_the_first_cell_counts_before_the_number():
    old = {"sheets": [{"name": "a", "columns": ["序号", "值"], "rows": [[1, "a"], [2, "b"], [3, "c"]]}]}
    new = {
        "sheets": [
            {
                "name": "a",
                "cells": [{"row": "3", "column": "值", "value": "!"}, {"row": "#3", "column": "值", "value": "?"}],
            }
        ]
    }
    assert revise(old, new)["sheets"][0]["rows"] == [[1, "a"], [2, "?"], [3, "!"]]


def test_columns_keep_values_formats_and_charts():
    columns = [{"title": "占比"}, {"title": "地区"}, {"title": "金额", "format": "usd"}, {"title": "备注"}]
    sheet = revise(SALES, {"sheets": [{"name": "一月", "columns": columns}]})["sheets"][0]
    assert sheet["columns"] == [
        {"title": "占比", "format": "percent", "total": "none"},
        {"title": "地区", "format": "auto", "total": "none"},
        {"title": "金额", "format": "usd", "total": "sum"},
        {"title": "备注", "format": "auto", "total": "none"},
    ]
    assert sheet["rows"][0] == [0.6, "华东", 120, None]
    assert sheet["charts"][0]["values"] == ["金额"]


def test_a_column_is_renamed_in_its_place():
    sheet = revise(SALES, {"sheets": [{"name": "一月", "columns": ["区域", "营收", "占比"]}]})["sheets"][0]
    assert sheet["rows"][0] == ["华东", 120, 0.6]
    assert sheet["columns"][1] == {"title": "营收", "format": "money", "total": "sum"}
    assert (sheet["charts"][0]["labels"], sheet["charts"][0]["values"]) == ("区域", ["营收"])


def test_a_removed_column_takes_its_chart_along():
    sheet = revise(SALES, {"sheets": [{"name": "一月", "columns": ["地区", "占比"]}]})["sheets"][0]
    assert sheet["rows"][0] == ["华东", 0.6]
    assert sheet["charts"] == []


def test_charts_are_replaced_and_empty_fields_change_nothing():
    new = {"name": "1", "columns": [], "rows": [], "charts": [{"type": "line", "values": ["占比"]}], "new_name": ""}
    sheet = revise(SALES, {"sheets": [new]})["sheets"][0]
    assert (sheet["name"], len(sheet["rows"])) == ("一月", 3)
    assert [chart["type"] for chart in sheet["charts"]] == ["line"]
    assert revise(SALES, {"sheets": [{"name": "1", "charts": []}]})["sheets"][0]["charts"] == []


def test_a_change_of_a_change():
    first = revise(SALES, {"sheets": [{"name": "2", "append_rows": [["3月", 15]]}]})
    second = revise(json.loads(json.dumps(first)), {"sheets": [{"name": "2", "remove_rows": ["1月"]}]})
    assert second["sheets"][1]["rows"] == [["2月", 12], ["3月", 15]]


def test_another_name_and_format():
    trend = {"filename": "趋势.xlsx", "sheets": [SALES["sheets"][1]]}
    assert build(revise(trend, {"filename": "走势.csv"})).name == "走势.csv"
    assert build(revise(trend | {"filename": "a.csv"}, {"filename": "走势"})).name == "走势.csv"


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"sheets": [{"name": "三月", "append_rows": [[1]]}]}, "'三月'; the workbook has 1 '一月', 2 '趋势'"),
        ({"sheets": [{"append_rows": [[1]]}]}, "the workbook has 1 '一月', 2 '趋势'"),
        ({"remove_sheets": ["9"]}, r"remove_sheets\[0\] is '9'; the workbook has 1 '一月', 2 '趋势'"),
        ({"sheets": [{"name": "2", "cells": [{"row": "9月", "column": "收入", "value": 1}]}]}, "'1月', '2月', …"),
        ({"sheets": [{"name": "2", "remove_rows": ["4"]}]}, "Excel's row number, 2 to 3"),
        (
            {"sheets": [{"name": "2", "cells": [{"row": "1月", "column": "成本", "value": 1}]}]},
            "the columns are 月份, 收入",
        ),
        ({"sheets": [{"name": "2", "cells": [{"value": 1}]}]}, "row is missing"),
        ({"sheets": [{"name": "2", "append_rows": [["3月", 1, 2]]}]}, r"append_rows\[0\] has 3 cells for 2 columns"),
    ],
)
def test_a_change_of_what_is_not_there_says_what_is(new, message):
    with pytest.raises(ToolInputError, match=message):
        revise(SALES, new)


def test_rows_that_begin_alike_are_told_apart_by_number():
    old = {"sheets": [{"name": "a", "columns": ["日", "n"], "rows": [["周一", 1], ["周二", 2], ["周一", 3]]}]}
    with pytest.raises(ToolInputError, match='2 rows begin; send one of "#2", "#4"'):
        revise(old, {"sheets": [{"name": "a", "remove_rows": ["周一"]}]})
    assert revise(old, {"sheets": [{"name": "a", "remove_rows": ["#4"]}]})["sheets"][0]["rows"] == [
        ["周一", 1],
        ["周二", 2],
    ]


_titles = st.sampled_from(["a", "b", "c", "地区"])
_columns = st.fixed_dictionaries(
    {"title": _titles, "format": st.sampled_from(FORMATS), "total": st.sampled_from(["none", *TOTALS])}
)
_rows = st.lists(st.lists(scalars, max_size=3), max_size=4)
_charts = st.fixed_dictionaries({"type": st.sampled_from(KINDS), "values": st.lists(_titles, max_size=2)})
_cells = st.fixed_dictionaries({"row": st.sampled_from(["华东", "华南", "3", 4]), "column": _titles, "value": scalars})
_new = st.fixed_dictionaries(
    {"columns": st.lists(_columns | scalars, min_size=3, max_size=4), "rows": _rows},
    optional={"name": scalars, "charts": st.lists(_charts, max_size=1)},
)
_changed = st.fixed_dictionaries(
    {"name": st.sampled_from(["一月", "1", 1])},
    optional={
        "columns": st.lists(_columns | scalars, max_size=4),
        "rows": _rows,
        "append_rows": _rows,
        "cells": st.lists(_cells, max_size=2),
        "remove_rows": st.lists(st.sampled_from(["华东", "3"]), max_size=2),
        "charts": st.lists(_charts, max_size=1),
        "new_name": scalars,
    },
)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({"sheets": st.lists(_new, min_size=1, max_size=2)}) | json_of(PARAMETERS))
def test_build_makes_a_file_or_says_why_not(arguments):
    for filename in ("a.xlsx", "a.csv"):
        try:
            made = build({"filename": filename, **arguments})
        except ToolInputError as error:
            assert str(error)
        else:
            if made.name.endswith(".xlsx"):
                openpyxl.load_workbook(io.BytesIO(made.data))


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({"sheets": st.lists(_changed | _new, max_size=2)}) | json_of(PARAMETERS))
def test_revise_makes_arguments_that_build_takes(new):
    try:
        revised = revise(SALES, new)
        assert revise(revised, {}) == revised
        build(revised)
    except ToolInputError as error:
        assert str(error)
