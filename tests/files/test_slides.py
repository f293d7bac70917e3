import io
from collections.abc import Callable
from pathlib import Path

import pptx
import pytest
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from agent.files import slides
from agent.files.kinds import Sort
from agent.files.reader import Reader
from tests.files.conftest import here, saved


def report() -> bytes:
    show = pptx.Presentation()
    show.core_properties.title = "汇报"
    first = show.slides.add_slide(show.slide_layouts[1])
    low = first.shapes.add_textbox(Inches(1), Inches(6), Inches(3), Inches(1))
    low.text_frame.text = "below"
    first.shapes.title.text = "季度\v总结"
    body = first.placeholders[1].text_frame
    body.text = "一"
    body.add_paragraph().text = "二"
    body.paragraphs[1].level = 1
    group = first.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(5), Inches(3), Inches(1)).text_frame.text = "grouped"
    first.notes_slide.notes_text_frame.text = "备注"
    second = show.slides.add_slide(show.slide_layouts[6])
    second.element.set("show", "0")
    return saved(show)


def figures() -> bytes:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    table = slide.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    for row, column, text in ((0, 0, "项目"), (0, 1, "金额"), (1, 0, "a|b"), (1, 1, "5")):
        table.cell(row, column).text = text
    data = CategoryChartData()
    data.categories = ["一季度", "二季度"]
    data.add_series("收入", (1.5, None))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, Inches(2), Inches(3), Inches(2), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "趋势"
    picture = io.BytesIO()
    Image.new("RGB", (9, 9)).save(picture, "PNG")
    slide.shapes.add_picture(picture, 0, Inches(5)).name = "logo"
    return saved(show)


def test_a_presentation() -> None:
    extract = here(slides, report(), Sort("pptx", "PPTX"))
    assert extract.text == (
        "[slide 1]\n## 季度 总结\n\n- 一\n  - 二\n\ngrouped\n\nbelow\n\nSpeaker notes: 备注\n\n[slide 2]\n"
    )
    assert [entry.title for entry in extract.outline] == ["slide 1: 季度 总结", "slide 2: (hidden in the show)"]
    assert extract.facts["slides"] == 2


def test_tables_charts_and_pictures() -> None:
    extract = here(slides, figures(), Sort("pptx", "PPTX"))
    assert extract.text == (
        "[slide 1]\n| 项目 | 金额 |\n|---|---|\n| a\\|b | 5 |\n\n"
        "[chart: 趋势]\n|  | 收入 |\n|---|---|\n| 一季度 | 1.5 |\n| 二季度 |  |\n\n[image 1: logo]\n\n"
    )
    assert extract.images == ("ppt/media/image1.png",)


@pytest.mark.usefixtures("unprivileged")
async def test_the_child_says_the_same(reader: Reader, write: Callable[[str, bytes], Path]) -> None:
    for content in (report(), figures()):
        assert await reader.read(write("a", content), "a.pptx") == here(slides, content, Sort("pptx", "PPTX"))
