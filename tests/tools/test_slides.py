import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx import Presentation

from agent.tools.made import Made, ToolInputError
from agent.tools.slides import DESCRIPTION, NAME, PARAMETERS, build, revise

from .arbitrary import json_of, scalars

TALK = {
    "filename": "汇报.pptx",
    "title": "季度汇报",
    "subtitle": "经营管理部",
    "slides": [
        {"title": "指标", "bullets": ["收入 **12** 亿", "  同比 15%"], "notes": "讲三分钟"},
        {"title": "长表", "table": {"columns": ["序号", "项目"], "rows": [[str(n), f"项目{n}"] for n in range(24)]}},
        {
            "title": "趋势",
            "chart": {"type": "line", "labels": ["1月", "2月"], "series": [{"name": "收入", "values": [1, 2]}]},
        },
    ],
}


def _titles(made: Made) -> list[str]:
    return [slide.shapes.title.text for slide in Presentation(io.BytesIO(made.data)).slides]


def _revised(**new: object) -> list[str]:
    return _titles(build(revise(TALK, {"based_on": "汇报.pptx", **new})))


def test_the_tool_describes_itself():
    assert NAME == "create_slides"
    assert "based_on" in DESCRIPTION
    # What every request with tools pays for.
    assert len(json.dumps(PARAMETERS, ensure_ascii=False)) < 3000


def test_the_summary_numbers_the_slides():
    made = build(TALK)
    assert made.name == "汇报.pptx"
    assert made.summary == "PowerPoint presentation, 5 slides: 1 季度汇报; 2 指标; 3 长表; 4 长表（续）; 5 趋势."
    assert _titles(made) == ["季度汇报", "指标", "长表", "长表（续）", "趋势"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"arguments": {"title": "a", "slides": [{"title": "b", "bullets": ["c"]}]}},
        {"title": "a", "slides": json.dumps([{"heading": "b", "content": "c"}])},
        {"title": "a", "pages": [{"title": "a"}, {"title": "b", "points": [{"text": "c"}]}]},
    ],
)
def test_what_is_clear_is_accepted(arguments):
    assert _titles(build(arguments)) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "slides is empty; send at least one slide"),
        ({"title": "a", "slides": [{"title": "a"}]}, "slides is empty"),
        ({"slides": [5]}, r"slides\[0\] is a number; send a JSON object"),
        ({"slides": [{"title": str(n)} for n in range(121)]}, "121 slides come out and 120 are the most"),
    ],
)
def test_what_is_not_clear_says_what_to_send(arguments, message):
    with pytest.raises(ToolInputError, match=message):
        build(arguments)


def test_the_model_hears_of_cut_cells():
    table = {"columns": ["x"] * 12, "rows": [["很长的内容" * 50] * 12]}
    assert "Cells of tables were cut" in build({"title": "a", "slides": [{"title": "b", "table": table}]}).summary
    assert "cut" not in build(TALK).summary


def test_nothing_changed_is_the_same_file():
    assert build(revise(TALK, {"based_on": "汇报.pptx"})) == build(TALK)


def test_a_changed_slide_keeps_what_was_not_sent():
    before = json.dumps(TALK)
    slides = revise(
        TALK, {"slides": [{"change": 2, "title": "核心指标"}, {"change": "4", "bullets": ["x"], "table": []}]}
    )["slides"]
    assert slides[0] == {"title": "核心指标", "bullets": ["收入 **12** 亿", "  同比 15%"], "notes": "讲三分钟"}
    assert slides[1] == {"title": "长表", "bullets": ["x"], "table": []}
    assert slides[2] == TALK["slides"][2]
    assert json.dumps(TALK) == before


def test_slides_are_added_and_removed_by_the_numbers_in_the_file():
    assert _revised(slides=[{"title": "尾"}])[-1] == "尾"
    assert _revised(slides=[{"title": "甲", "after": 4}, {"title": "乙", "after": 4}], remove_slides=[2]) == [
        "季度汇报", "长表", "长表（续）", "甲", "乙", "趋势",
    ]  # fmt: skip
    assert _revised(slides=[{"title": "头", "after": 1}])[:3] == ["季度汇报", "头", "指标"]
    # Both are of the same table.
    assert _revised(remove_slides=[3, 4]) == ["季度汇报", "指标", "趋势"]


def test_the_title_slide_is_changed_by_its_title():
    new = revise(TALK, {"title": "年度汇报", "filename": "年度.pptx", "slides": []})
    assert (new["title"], new["subtitle"], new["filename"]) == ("年度汇报", "经营管理部", "年度.pptx")


def test_a_change_of_a_change():
    first = revise(TALK, {"remove_slides": [3]})
    second = revise(json.loads(json.dumps(first)), {"slides": [{"change": 3, "title": "走势"}]})
    assert [slide["title"] for slide in second["slides"]] == ["指标", "走势"]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            {"slides": [{"change": 9, "title": "x"}]},
            r"slides\[0\].change is '9'; the presentation has the slides 1 to 5",
        ),
        ({"slides": [{"after": "last", "title": "x"}]}, r"after is 'last'; the presentation has the slides 1 to 5"),
        ({"slides": [{"change": 1, "bullets": []}]}, "change is the title slide: send title and subtitle"),
        ({"remove_slides": [0]}, r"remove_slides\[0\] is '0'; the presentation has the slides 1 to 5"),
    ],
)
def test_a_change_of_what_is_not_there_says_what_is(new, message):
    with pytest.raises(ToolInputError, match=message):
        revise(TALK, new)


_texts = st.lists(scalars | st.text(max_size=60), max_size=4)
_pair = st.lists(scalars, min_size=2, max_size=2)
_series = st.fixed_dictionaries(
    {"name": scalars, "values": st.lists(st.integers() | st.floats(), min_size=2, max_size=2)}
)
_chart = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["line", "bar", "horizontal", "stacked", "pie", "scatter"]),
        "labels": st.tuples(st.text(), st.text()) | st.just([1, 2]),
        "series": st.lists(_series, min_size=1, max_size=2),
    }
)
_slide = st.fixed_dictionaries(
    {"title": scalars},
    optional={
        "bullets": _texts,
        "left": _texts,
        "right": _texts,
        "left_title": scalars,
        "table": st.fixed_dictionaries({"columns": _pair, "rows": st.lists(_pair, max_size=3)}),
        "chart": _chart,
        "notes": scalars,
        "change": st.integers(1, 6),
        "after": st.integers(1, 6),
    },
)
_talks = st.fixed_dictionaries({"title": scalars, "slides": st.lists(_slide, max_size=3)}) | json_of(PARAMETERS)


@settings(max_examples=50, deadline=None)
@given(_talks)
def test_build_makes_a_file_or_says_why_not(arguments):
    try:
        made = build(arguments)
    except ToolInputError as error:
        assert str(error)
    else:
        assert f"{len(Presentation(io.BytesIO(made.data)).slides)} slides" in made.summary


@settings(max_examples=40, deadline=None)
@given(_talks)
def test_revise_makes_arguments_that_build_takes(new):
    try:
        revised = revise(TALK, new)
        assert revise(revised, {}) == revised
        build(revised)
    except ToolInputError as error:
        assert str(error)
