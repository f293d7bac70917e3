import io
import re
import zipfile

import openpyxl
import pytest
from lxml import etree
from pptx import Presentation
from pptx.enum.chart import XL_CHART_TYPE

from agent.tools.deck import build_deck
from agent.tools.planning import plan_slides


def _deck(*slides: dict[str, object], title: str = "", subtitle: str = "") -> bytes:
    return build_deck(title, subtitle, [slide for fields in slides for slide in plan_slides(fields, "slides[0]")])


def _slides(data: bytes) -> list:
    return list(Presentation(io.BytesIO(data)).slides)


def _parts(data: bytes, pattern: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist() if re.fullmatch(pattern, name)}


CHART = {
    "type": "bar",
    "title": "销售",
    "labels": ["一月", "二月"],
    "series": [{"name": "华东", "values": [12000, None]}],
}


def test_a_title_slide_and_a_section():
    data = _deck({"title": "第一部分"}, title="汇报", subtitle="市场部")
    presentation = Presentation(io.BytesIO(data))
    assert presentation.slide_width * 9 == presentation.slide_height * 16
    cover, section = presentation.slides
    assert [shape.text for shape in cover.placeholders] == ["汇报", "市场部"]
    assert [shape.text for shape in section.placeholders] == ["第一部分"]
    assert presentation.core_properties.title == "汇报"


def test_bullets_are_placeholders_with_levels_and_looks():
    (slide,) = _slides(_deck({"title": "t", "bullets": ["**粗** `码` [链](https://a.b)", "  下", "[x](tel:1)"]}))
    paragraphs = slide.placeholders[1].text_frame.paragraphs
    assert [(paragraph.level, paragraph.text) for paragraph in paragraphs] == [(0, "粗 码 链"), (1, "下"), (0, "x")]
    runs = paragraphs[0].runs
    assert [bool(run.font.bold) for run in runs if run.text.strip()] == [True, False, False]
    assert runs[-1].hyperlink.address == "https://a.b"
    assert paragraphs[2].runs[0].hyperlink.address is None


def test_two_columns_notes_and_the_number():
    (slide,) = _slides(_deck({"title": "t", "left_title": "优", "left": ["a"], "right": ["b"], "notes": "讲\n两句"}))
    assert [slide.placeholders[index].text for index in (1, 2)] == ["优\na", "b"]
    assert slide.notes_slide.notes_text_frame.text == "讲\n两句"
    assert "slidenum" in etree.tostring(slide._element, encoding="unicode")
    identifiers = [shape.shape_id for shape in slide.shapes]
    assert len(set(identifiers)) == len(identifiers)


def test_a_table_is_native_and_numbers_stand_right():
    table = {"columns": ["地区", "金额"], "rows": [["华东", "1,200"], ["**合计**", "￥1,200"]]}
    (slide,) = _slides(_deck({"title": "t", "table": table}))
    (frame,) = (shape for shape in slide.shapes if shape.has_table)
    assert [[cell.text for cell in row.cells] for row in frame.table.rows] == [
        ["地区", "金额"],
        ["华东", "1,200"],
        ["合计", "￥1,200"],
    ]
    assert [cell.text_frame.paragraphs[0].alignment for cell in frame.table.rows[1].cells] == [1, 3]


@pytest.mark.parametrize(
    ("kind", "type"),
    [("line", XL_CHART_TYPE.LINE_MARKERS), ("bar", XL_CHART_TYPE.COLUMN_CLUSTERED), ("pie", XL_CHART_TYPE.PIE),
     ("horizontal", XL_CHART_TYPE.BAR_CLUSTERED), ("stacked", XL_CHART_TYPE.COLUMN_STACKED)],
)  # fmt: skip
def test_charts_are_native(kind, type):
    (slide,) = _slides(_deck({"title": "t", "chart": CHART | {"type": kind}}))
    (chart,) = (shape.chart for shape in slide.shapes if shape.has_chart)
    assert chart.chart_type == type
    assert list(chart.plots[0].categories) == ["一月", "二月"]
    assert [(series.name, tuple(series.values)) for series in chart.plots[0].series] == [("华东", (12000.0, None))]
    assert chart.chart_title.text_frame.text == "销售"


def test_a_scatter_chart_has_points_and_titles_of_axes():
    chart = {
        "type": "scatter",
        "series": [{"name": "a", "values": [[1, 2], [3, 4]]}],
        "x_label": "广告",
        "y_label": "销售",
    }
    (slide,) = _slides(_deck({"title": "t", "chart": chart}))
    (chart,) = (shape.chart for shape in slide.shapes if shape.has_chart)
    assert tuple(chart.plots[0].series[0].values) == (2, 4)
    assert chart.category_axis.axis_title.text_frame.text == "广告"
    assert chart.value_axis.axis_title.text_frame.text == "销售"


def test_labels_are_no_formulas_in_the_workbook_behind_a_chart():
    chart = CHART | {"labels": ["=1+1", "{=2}"], "series": [{"name": "=HYPERLINK(1)", "values": [1, 2]}]}
    (workbook,) = _parts(_deck({"title": "t", "chart": chart}), r"ppt/embeddings/.*\.xlsx").values()
    page = openpyxl.load_workbook(io.BytesIO(workbook)).active
    assert [[cell.data_type for cell in row] for row in page.iter_rows()] == [["n", "s"], ["s", "n"], ["s", "n"]]
    assert page["A2"].value == " =1+1"


def test_everything_stays_on_the_slide():
    slides = _slides(
        _deck(
            {"title": "长标题" * 50, "bullets": ["一"], "table": [["a"] * 12, ["很长的内容" * 30] * 12]},
            {"title": "t", "bullets": ["要点，" * 60] * 9, "chart": CHART},
            {"title": "t", "left": ["x " * 90] * 9, "right": ["y"]},
        )
    )
    for slide in slides:
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.top >= 0
            assert shape.left + shape.width <= 960 * 12700
            assert shape.top + shape.height <= 540 * 12700
            # An empty placeholder asks the reader to click on it.
            assert not shape.is_placeholder or shape.text_frame.text


def test_chinese_fonts_are_the_theme_s():
    (theme,) = _parts(_deck({"title": "t"}), r"ppt/theme/theme1\.xml").values()
    fonts = re.findall(r'<a:(latin|ea) typeface="([^"]*)"', theme.decode())
    assert fonts[:4] == [("latin", "微软雅黑"), ("ea", "微软雅黑")] * 2


def test_nothing_of_the_template_s_maker_stays():
    parts = _parts(_deck({"title": "t"}, title="汇报"), ".*")
    assert not [name for name in parts if "thumbnail" in name or "printer" in name]
    assert b"4x3" not in parts["ppt/presentation.xml"]
    properties = Presentation(io.BytesIO(_deck({"title": "t"}))).core_properties
    assert (properties.author, properties.last_modified_by, properties.comments) == ("", "", "")


def test_the_same_slides_give_the_same_bytes():
    assert _deck({"title": "t", "chart": CHART}) == _deck({"title": "t", "chart": CHART})
