"""Frames: the envelope, control characters, and everything that is no frame."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wecom import frames
from agent.wecom.errors import BadFrame
from agent.wecom.frames import Frame
from tests.wecom.golden import Golden, all_golden, golden

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("one", all_golden("in-"), ids=lambda one: one.name)
def test_every_golden_frame_is_read(one: Golden) -> None:
    frame = frames.parse(one.wire)
    headers = one.frame.get("headers") or {}
    assert frame.cmd == one.frame.get("cmd", "")
    assert frame.req_id == headers.get("req_id", "")
    assert frame.headers == {"req_id": frame.req_id}
    assert frame.body == one.body
    assert frame.errcode == one.frame.get("errcode")
    assert frame.errmsg == one.frame.get("errmsg", "")


@pytest.mark.parametrize("one", all_golden("out-"), ids=lambda one: one.name)
def test_what_is_built_means_the_same(one: Golden) -> None:
    built = frames.build(one.frame["cmd"], one.frame["headers"]["req_id"], one.frame.get("body"))
    assert json.loads(built) == one.frame
    again = frames.parse(built)
    assert (again.cmd, again.req_id, again.body) == (one.frame["cmd"], one.frame["headers"]["req_id"], one.body)


def test_a_ping_has_no_body() -> None:
    assert json.loads(frames.build(frames.PING, "P")) == {"cmd": "ping", "headers": {"req_id": "P"}}


@pytest.mark.parametrize("byte", [*range(0x09), 0x0B, 0x0C, *range(0x0D, 0x20)])
def test_raw_control_characters_go(byte: int) -> None:
    text = golden("in-message-text-single").wire.replace("zhangsan", f"zhang{chr(byte)}san")
    assert frames.parse(text).body["from"]["userid"] == "zhangsan"


@pytest.mark.parametrize("char", ["\t", "\n"])
def test_tab_and_line_end_stay(char: str) -> None:
    text = golden("in-message-text-single").wire.replace("zhangsan", f"zhang{char}san")
    assert frames.parse(text).body["from"]["userid"] == f"zhang{char}san"


@pytest.mark.parametrize(
    "data", ["", "{", "null", "[]", '"x"', "1", "{}x", "[" * 100_000, b"\x00\xff", b"\xff\xfe{}", "NaN", "9" * 5000]
)
def test_what_is_no_frame_is_said(data: str | bytes) -> None:
    with pytest.raises(BadFrame, match="JSON"):
        frames.parse(data)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("{}", Frame("", "")),
        ('{"cmd":1,"headers":[],"body":[1],"errcode":"x","errmsg":null}', Frame("", "")),
        ('{"cmd":null,"headers":{"req_id":7},"body":null,"errcode":[]}', Frame("", "")),
        ('{"headers":{"req_id":"R"},"errcode":"6000","errmsg":5}', Frame("", "R", {}, 6000, "5")),
        ('{"headers":{"req_id":"R"},"errcode":0.5}', Frame("", "R")),
        ('{"headers":{"req_id":"R"},"errcode":0.0}', Frame("", "R", {}, 0)),
    ],
)
def test_odd_types_become_nothing(text: str, frame: Frame) -> None:
    assert frames.parse(text) == frame


def test_bytes_that_are_no_utf_8_become_replacement_characters() -> None:
    frame = frames.parse(b'{"cmd":"aibot_msg_callback","body":{"text":"\xb1\xd8"}}')
    assert frame.body == {"text": "\ufffd\ufffd"}


@given(ANY_JSON)
def test_any_json_is_a_frame_or_a_bad_one(value: Any) -> None:
    text = json.dumps(value)
    if isinstance(value, dict):
        assert isinstance(frames.parse(text), Frame)
    else:
        with pytest.raises(BadFrame):
            frames.parse(text)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_a_frame_or_a_bad_one(data: bytes | str) -> None:
    try:
        frames.parse(data)
    except BadFrame as error:
        assert "JSON" in str(error)


@given(st.dictionaries(st.text(max_size=10), ANY_JSON.filter(lambda value: value == value), max_size=4))
def test_build_and_parse_are_each_other_s_inverse(body: dict[str, Any]) -> None:
    text = json.loads(json.dumps(body).encode("utf-8", "replace"))
    read = json.loads(frames.build("cmd", "R", text))
    assert read["body"] == json.loads(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))


def test_lone_surrogates_become_question_marks() -> None:
    assert b'"?"' in frames.build("cmd", "R", {"text": "\ud800"})


def test_the_message_of_a_bad_frame_holds_no_text_of_it() -> None:
    with pytest.raises(BadFrame) as caught:
        frames.parse('{"text": "a secret of mine"')
    assert "secret" not in str(caught.value)


def test_ids_are_short_and_in_families() -> None:
    ids = {frames.new_req_id(frames.SUBSCRIBE) for _ in range(200)}
    assert len(ids) == 200
    for one in ids:
        cmd, milliseconds, digits = one.rsplit("_", 2)
        assert cmd == frames.SUBSCRIBE
        assert milliseconds.isdigit()
        assert len(digits) == 8
        assert set(digits) <= set(string.hexdigits.lower())
        assert len(one.encode()) <= 256
