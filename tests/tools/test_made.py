"""File names and limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.made import MIME_TYPES, NAME_BYTES, SIZE_LIMIT, ToolInputError, file_stem, finish, name_ending


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("会议纪要.docx", "会议纪要"),
        ("报告.docx.pdf", "报告"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.xlsx", "a"),
        ("v1.2 说明", "v1.2 说明"),
        ("a<b>:c?.md", "a_b_c_"),
        ("CON.txt", "_CON"),
        ("fdp.‮xcod", "fdp.xcod"),
        ("  . ", "文档"),
        ("", "文档"),
        ("行\n尾\t.txt", "行 尾"),
    ],
)
def test_stem(name: str, stem: str) -> None:
    assert file_stem(name, "文档") == stem


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_name_is_safe_and_short(name: str) -> None:
    for ending in MIME_TYPES:
        made = finish(file_stem(name, "文档"), ending, b"", "")
        assert len(made.name.encode()) <= NAME_BYTES
        assert not set(made.name) & set('/\\<>:"|?*\0\n') and made.name == made.name.strip()
        assert not made.name.startswith(".")


def test_name_ending() -> None:
    assert name_ending("报告.DOCX") == "docx"
    assert name_ending("v1.2") == ""


def test_too_large_says_what_to_do() -> None:
    with pytest.raises(ToolInputError, match="several smaller files"):
        finish("a", "pdf", bytes(SIZE_LIMIT + 1), "")
