from datetime import date, datetime

import pytest

from agent.tools.cells import FORMATS, read_column, read_date, read_format, shown


@pytest.mark.parametrize(
    ("cells", "wanted", "values"),
    [
        (["￥1,200.50", 3, "-￥5"], "money", (1200.5, 3, -5)),
        (["15.3%", 0.2, "１０％"], "percent", (0.153, 0.2, 0.1)),
        (["1,234", "12", None, ""], "integer", (1234, 12, None, None)),
        (["2026-01-05", "2026/1/6", "2026年1月7日"], "date", (date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7))),
        (["2026-01-05T08:30:00Z"], "datetime", (datetime(2026, 1, 5, 8, 30),)),  # noqa: DTZ001
        (["是", "no", True], "boolean", (True, False, True)),
        ([7, "007", 110101199001011234], "text", ("7", "007", "110101199001011234")),
    ],
)
def test_a_declared_format_reads_what_models_write(cells, wanted, values):
    column = read_column(cells, wanted)
    assert (column.format, column.values, column.odd) == (wanted, values, 0)


@pytest.mark.parametrize(
    ("cells", "format", "values"),
    [
        (["1", "2.5"], "general", (1, 2.5)),
        ([2025, 2026], "general", (2025, 2026)),
        (["10%", "20%"], "percent", (0.1, 0.2)),
        (["￥10", "￥2.5"], "money", (10, 2.5)),
        (["2026-01-05", None], "date", (date(2026, 1, 5), None)),
        ([True, False], "boolean", (True, False)),
        # Names made of digits: leading zeros, phone and ID numbers, and numbers that Excel would round.
        (["001", "002"], "mixed", ("001", "002")),
        (["13800138000", "1"], "mixed", ("13800138000", "1")),
        ([110101199001011234], "mixed", ("110101199001011234",)),
        (["北京", 3, "4"], "mixed", ("北京", 3, "4")),
        (["=1+1", "-"], "mixed", ("=1+1", "-")),
        ([None, ""], "text", (None, None)),
    ],
)
def test_without_a_format_the_cells_decide_together(cells, format, values):
    column = read_column(cells, "auto")
    assert (column.format, column.values) == (format, values)


def test_what_does_not_fit_stays_text_and_is_counted():
    column = read_column(["12", "待定", None, float("nan"), {"a": 1}], "number")
    assert column.values == (12, "待定", None, None, "{'a': 1}")
    assert column.odd == 2


@pytest.mark.parametrize("text", ["2026-02-30", "1899-12-31", "2026-13-01", "明天", "20260105", "2026-01-05 25:00", 5])
def test_what_is_no_date(text):
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("word", "format"),
    [(format, format) for format in FORMATS]
    + [("Currency", "money"), ("#,##0.00", "number"), ("￥#,##0", "money"), ("0.0%", "percent"), ("yyyy/m/d", "date")]
    + [("yyyy-mm-dd hh:mm", "datetime"), ("#,##0", "integer"), ("金额", "money"), ("rainbow", None)],
)
def test_formats_have_many_names(word, format):
    assert read_format(word) == format


@pytest.mark.parametrize(
    ("value", "format", "text"),
    [
        (None, "text", ""),
        (True, "boolean", "TRUE"),
        (0.153, "percent", "15.3%"),
        (1 / 3, "percent", "33.3333333333%"),
        (3.0, "number", "3"),
        (date(2026, 1, 5), "date", "2026-01-05"),
        (datetime(2026, 1, 5, 8, 30), "datetime", "2026-01-05 08:30"),  # noqa: DTZ001
        (datetime(2026, 1, 5, 8, 30, 9), "datetime", "2026-01-05 08:30:09"),  # noqa: DTZ001
    ],
)
def test_values_as_text(value, format, text):
    assert shown(value, format) == text
