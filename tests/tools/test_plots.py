import pytest
from hypothesis import given, settings

from agent.tools.made import ToolInputError
from agent.tools.plots import KINDS, Plot, Series, read_plot

from .arbitrary import json_of

SALES = Plot("bar", "", ("一月", "二月"), (Series("收入", (1, 2)),))


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "柱状图", "labels": ["一月", "二月"], "series": [{"name": "收入", "values": [1, 2]}]},
        {"kind": "column", "categories": "一月\n二月", "datasets": [{"label": "收入", "data": ["1", "2"]}]},
        {"x": ["一月", "二月"], "series": {"收入": [1, 2]}},
        {"data": {"labels": ["一月", "二月"], "datasets": {"name": "收入", "values": [1, 2]}}},
        {"labels": ["一月", "二月"], "series": '[{"name": "收入", "values": [1, 2]}]'},
    ],
)
def test_a_series_comes_in_many_shapes(arguments):
    assert read_plot(arguments) == SALES


@pytest.mark.parametrize(
    "arguments", [{"data": {"一月": 1, "二月": "2"}}, {"labels": ["一月", "二月"], "values": [1, 2]}]
)
def test_a_series_may_have_no_name(arguments):
    assert read_plot(arguments) == Plot("bar", "", ("一月", "二月"), (Series("", (1, 2)),))


@pytest.mark.parametrize(
    "arguments",
    [
        {"series": [{"name": "a", "values": [[1, 2], [3, 4]]}]},
        {"series": [{"name": "a", "points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}]},
        {"series": [{"name": "a", "x": [1, 3], "y": [2, 4]}]},
        {"labels": ["1", "3"], "series": [{"name": "a", "values": [2, 4]}]},
    ],
)
def test_points_come_in_many_shapes(arguments):
    assert read_plot({"type": "scatter", **arguments}) == Plot("scatter", "", (), (Series("a", (2, 4), (1, 3)),))


def test_gaps_titles_and_counted_labels():
    plot = read_plot({"type": "line", "title": "t", "xlabel": "x", "y_title": "y", "values": [1, None, "—", 4]})
    assert plot == Plot("line", "t", ("1", "2", "3", "4"), (Series("", (1, None, None, 4)),), "x", "y")


def test_a_pie_has_one_series():
    assert len(read_plot({"type": "pie", "series": [{"values": [1]}, {"values": [2]}]}).series) == 1


def test_a_histogram_has_no_labels():
    assert read_plot({"type": "hist", "labels": ["a"], "values": [1, 2, 2]}).labels == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"type": "radar"}, r"c\.type is 'radar'; send one of line, bar"),
        ({}, r'c\.series has no numbers; send \[{"name"'),
        ({"values": [None]}, r"c\.series has no numbers"),
        ({"values": ["x"]}, r"c\.series\[0\]\.values\[0\] is 'x'; send a number, or null for a gap"),
        ({"labels": ["a"], "values": [1, 2]}, r"c\.series\[0\] has 2 values for 1 labels; send one value a label"),
        ({"type": "scatter", "series": [{"values": [1, 2]}]}, r"0 x and 2 y values; send values as \[\[x, y\], …\]"),
        ({"type": "pie", "values": [1, -1]}, r"c\.series of a pie needs values of 0 and more"),
        ({"type": "pie", "values": [0]}, "use type bar"),
        ({"series": [[1]] * 21}, "20 series and 20000 points are the most"),
        ({"values": [1] * 2001}, "labels has 2001 entries and 2000 are the most"),
    ],
)
def test_what_is_not_clear_says_what_to_send(arguments, message):
    with pytest.raises(ToolInputError, match=message):
        read_plot(arguments, "c.")


_NAMES = ("type", "labels", "series", "values", "name", "data", "x", "y")


@settings(deadline=None)
@given(json_of({"properties": {name: {} for name in _NAMES}}))
def test_a_plot_is_complete_or_refused(arguments):
    try:
        plot = read_plot(arguments)
    except ToolInputError as error:
        assert str(error)
    else:
        assert plot.kind in KINDS.values()
        for series in plot.series:
            assert len(series.values) == len(series.xs if plot.kind == "scatter" else plot.labels or series.values)
