import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.spreadsheets import build


def _rows(made):
    assert made.data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(made.data.decode("utf-8-sig"), newline="")))


def _build(columns, rows, filename="表.csv"):
    return build({"filename": filename, "sheets": [{"name": "表", "columns": columns, "rows": rows}]})


def test_values_and_totals():
    columns = [
        {"title": "地区"},
        {"title": "金额", "format": "money", "total": "sum"},
        {"title": "占比", "format": "percent"},
    ]
    made = _build(columns, [["华东", 1200.5, 0.153], ["华南", "￥1,000", "20%"]])
    assert (made.name, made.mime) == ("表.csv", "text/csv")
    assert _rows(made) == [
        ["地区", "金额", "占比"],
        ["华东", "1200.5", "15.3%"],
        ["华南", "1000", "20%"],
        ["合计", "2200.5", ""],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+86 138", "-a", "@SUM(A1)", "\t=1", "＝1+1", "  =1", "\u3000=1", "\n=cmd|x"])
def test_what_begins_like_a_formula_gets_an_apostrophe(text):
    rows = _rows(_build(["标题"], [[text]]))
    assert rows[1] == [f"'{text}"]


def test_a_title_is_no_formula_either():
    assert _rows(_build(["=A1"], [["x"]]))[0] == ["'=A1"]


def test_negative_numbers_are_numbers():
    assert _rows(_build([{"title": "n", "format": "number"}], [[-5], ["-7"]]))[1:] == [["-5"], ["-7"]]


@pytest.mark.parametrize("text", ["007", "110101199001011234"])
def test_the_model_hears_that_excel_takes_ids_for_numbers(text):
    assert "xlsx keeps them" in _build(["工号"], [[text]]).summary
    assert "xlsx keeps them" not in _build(["工号"], [[text]], filename="表.xlsx").summary
    assert "xlsx keeps them" not in _build(["工号"], [["A7"]]).summary


_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(str.strip)


@settings(deadline=None)
@given(st.lists(_texts, min_size=1, max_size=5))
def test_texts_survive(texts):
    rows = _rows(_build([{"title": "文", "format": "text"}], [[text] for text in texts]))
    cleaned = [
        row[0].removeprefix("'") if not text.startswith("'") else row[0]
        for row, text in zip(rows[1:], texts, strict=True)
    ]
    assert cleaned == [text.replace("\ufffe", "").replace("\uffff", "") for text in texts]
