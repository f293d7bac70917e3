"""What small models send instead of what was asked for."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools import arguments as read
from agent.tools.made import ToolInputError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1,234.5", 1234.5),
        ("￥1,200", 1200),
        ("-¥3", -3),
        ("15%", 0.15),
        ("(300)", -300),
        ("1.2万", 12000),
        ("3亿元", 300_000_000),
        ("１２", 12),
        ("−4", -4),
        (".5", 0.5),
        ("1e3", 1000),
        (7, 7),
        ("12 月", None),
        ("", None),
        ("1,23", None),
        ("--1", None),
        ("1e999", None),
        ("1e999万", None),
        (float("nan"), None),
        (10**400, None),
        (True, None),
        ([1], None),
    ],
)
def test_number(value: Any, expected: float | None) -> None:
    assert read.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("", []),
        ([1, 2], [1, 2]),
        ("[1, 2]", [1, 2]),
        (json.dumps(json.dumps([1, 2])), [1, 2]),
        ({"a": 1}, [{"a": 1}]),
        ({"1": "b", "0": "a"}, ["a", "b"]),
        ({"0": "a", "2": "b"}, [{"0": "a", "2": "b"}]),
        ({"²": "a"}, [{"²": "a"}]),
    ],
)
def test_array(value: Any, expected: list[Any]) -> None:
    assert read.array(value, "x") == expected


def test_texts_take_lines_numbers_and_lists() -> None:
    assert read.texts("一\n\n二", "x") == ["一", "二"]
    assert read.texts(3, "x") == ["3"]
    assert read.texts('["a", 2.0, null]', "x") == ["a", "2", ""]


def test_mapping_looks_into_strings_and_lists() -> None:
    assert read.mapping('{"a": 1}', "x") == {"a": 1}
    assert read.mapping([{"a": 1}], "x") == {"a": 1}


def test_what_cannot_be_meant_names_itself() -> None:
    with pytest.raises(ToolInputError, match=r"sheets\[0\] is an object with the keys a; send a string"):
        read.text({"a": 1}, "sheets[0]")
    with pytest.raises(ToolInputError, match="x is the string 'no'; send a JSON array"):
        read.array("no", "x")
    with pytest.raises(ToolInputError, match="format is 'exe'; send one of a, b"):
        read.choice("exe", "format", {"a": "a", "A": "a", "b": "b"}, "a")


def test_choice_takes_any_spelling() -> None:
    assert read.choice(" .PDF ", "format", {"pdf": "pdf"}, "docx") == "pdf"
    assert read.choice(None, "format", {"pdf": "pdf"}, "docx") == "docx"


def test_arguments_one_level_too_deep() -> None:
    assert read.unwrap({"arguments": '{"content": "x"}'}) == {"content": "x"}
    assert read.unwrap({"content": "x"}) == {"content": "x"}


def test_clean_drops_what_no_format_holds() -> None:
    assert read.clean("a\x00\x0b\ud800\r\nb\rc\t") == "a\nb\nc\t"


def test_line_ends_that_were_escaped_twice() -> None:
    assert read.unescape_lines("# 题\\n\\n- a\\n") == "# 题\n\n- a\n"
    assert read.unescape_lines("C:\\new") == "C:\\new"
    assert read.unescape_lines("a\\nb\\nc\nd") == "a\\nb\\nc\nd"


@pytest.mark.parametrize(("value", "expected"), [(3.0, "3"), (0.1, "0.1"), (12, "12"), (1e20, "1e+20"), (-0.5, "-0.5")])
def test_format_number(value: float, expected: str) -> None:
    assert read.format_number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("是", True), ("No", False), (1, True), ("?", None), ([], None)]
)
def test_flag(value: Any, expected: bool | None) -> None:
    assert read.flag(value) is expected


@settings(deadline=None)
@given(JSON)
def test_nothing_but_input_errors_comes_out(value: Any) -> None:
    for reader in (read.text, read.array, read.texts, read.mapping):
        try:
            reader(value, "x")
        except ToolInputError as error:
            assert str(error).startswith("x")
    assert read.number(value) is None or isinstance(read.number(value), int | float)
    assert read.flag(value) in (True, False, None)
