"""Tables and text over several pages."""

import pytest

from agent.tools.markdown import parse
from agent.tools.pdf import build_pdf
from tests.tools.reading import pdf_pages, squeezed


def pages_of(text: str) -> list[str]:
    return pdf_pages(build_pdf(parse(text), "")[0])


def test_a_long_table_repeats_its_header() -> None:
    pages = pages_of("| 表头 | 值 |\n|---|---|\n" + "".join(f"| 行{n}。 | {n} |\n" for n in range(80)))
    assert len(pages) > 2 and all(page.count("表头") == 1 for page in pages)
    text = "".join(pages)
    assert all(f"行{n}。" in text for n in range(80))


@pytest.mark.parametrize("before", range(0, 30, 3))
def test_a_row_taller_than_a_page_goes_on(before: int) -> None:
    cell = "".join(f"〔{n}〕" for n in range(700))
    pages = pages_of("前\n\n" * before + f"| 表头 | 值 |\n|---|---|\n| 短 | {cell} |\n| 末 | 1 |\n")
    text = squeezed("".join(pages))
    assert all(f"〔{n}〕" in text for n in range(700))
    assert all(page.count("表头") <= 1 for page in pages) and "末" in pages[-1]


def test_a_header_taller_than_a_page_comes_once() -> None:
    header = "".join(f"〔{n}〕" for n in range(700))
    text = "".join(map(squeezed, pages_of(f"| {header} | b |\n|---|---|\n| x | y |\n")))
    assert all(text.count(f"〔{n}〕") == 1 for n in range(700))


@pytest.mark.parametrize("text", ["```\n{}\n```", "> {}", "- {}", "{}"])
def test_text_longer_than_a_page_loses_nothing(text: str) -> None:
    content = "；".join(f"第{n}句" for n in range(900))
    pages = pages_of(text.format(content))
    assert len(pages) > 1
    texts = [squeezed(page).removeprefix(f"{number}/{len(pages)}") for number, page in enumerate(pages, 1)]
    assert content in "".join(texts)
