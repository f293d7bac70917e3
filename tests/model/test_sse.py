"""The event stream: any cut of the bytes, and every deviation that the decoder takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import sse
from agent.model.errors import BadAnswer


def decode(*pieces: bytes) -> list[object]:
    decoder = sse.Decoder()
    values = [value for piece in pieces for value in decoder.feed(piece)]
    return values + decoder.flush()


A, B = {"a": 1}, {"b": "中"}
CASES = {
    "plain": b'data: {"a": 1}\n\ndata: {"b": "\xe4\xb8\xad"}\n\n',
    "crlf": b'data: {"a": 1}\r\n\r\ndata: {"b": "\xe4\xb8\xad"}\r\n\r\n',
    "cr": b'data: {"a": 1}\r\rdata: {"b": "\xe4\xb8\xad"}\r\r',
    "no space": b'data:{"a": 1}\n\ndata:{"b": "\xe4\xb8\xad"}\n\n',
    "byte order mark": b'\xef\xbb\xbfdata: {"a": 1}\n\ndata: {"b": "\xe4\xb8\xad"}\n\n',
    "comments": b': keep-alive\n\ndata: {"a": 1}\n\n: OPENROUTER PROCESSING\n\ndata: {"b": "\xe4\xb8\xad"}\n\n:\n',
    "other fields": b'event: x\nid: 7\nretry: 10\ndata: {"a": 1}\n\nevent: y\ndata: {"b": "\xe4\xb8\xad"}\n\n',
    "no blank lines": b'data: {"a": 1}\ndata: {"b": "\xe4\xb8\xad"}\n',
    "no last line end": b'data: {"a": 1}\n\ndata: {"b": "\xe4\xb8\xad"}',
    "several lines": b'data: {\ndata: "a": 1\ndata: }\n\ndata: {"b": "\xe4\xb8\xad"}\n\n',
    "several lines, crlf": b'data: {\r\ndata: "a": 1}\r\n\r\ndata: {"b": "\xe4\xb8\xad"}\r\n\r\n',
    "done": b'data: {"a": 1}\n\ndata: {"b": "\xe4\xb8\xad"}\n\ndata: [DONE]\n\ndata: {"c": 3}\n\n',
    "empty data": b'data:\n\ndata: {"a": 1}\n\ndata: \n\ndata: {"b": "\xe4\xb8\xad"}\n\n',
    "cut event": b'data: {"a": 1}\n\ndata: {"b": "\xe4\xb8\xad"}\n\ndata: {"c',
}


@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_cut_anywhere_the_result_is_the_same(body: bytes) -> None:
    assert decode(body) == [A, B]
    assert decode(*(body[at : at + 1] for at in range(len(body)))) == [A, B]
    for at in range(len(body)):
        assert decode(body[:at], body[at:]) == [A, B]


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=6), max_size=3), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.data(),
)
def test_any_cut_of_any_events(events: list[dict[str, str]], end: bytes, data: st.DataObject) -> None:
    body = b"".join(
        b"data: " + json.dumps(event, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "replace") + end + end
        for event in events
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decode(*pieces) == decode(body)
    assert len(decode(body)) == len(events)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_nothing_but_a_bad_answer_comes_out_of_any_bytes(pieces: list[bytes]) -> None:
    try:
        decode(*pieces)
    except BadAnswer:
        return


def test_events_come_with_the_read_that_completes_them() -> None:
    decoder = sse.Decoder()
    assert decoder.feed(b'data: {"a": 1}\n') == [A]
    assert decoder.feed(b'\ndata: {"b"') == []
    assert decoder.feed(b': "\xe4') == []
    assert decoder.feed(b'\xb8\xad"}\n\ndata: {"a": 1}\n\nda') == [B, A]
    assert not decoder.done
    assert decoder.feed(b"ta: [DONE]\n") == []
    assert decoder.done


def test_control_characters_and_broken_utf8_inside_strings() -> None:
    assert decode(b'data: {"a": "x\x01\ty"}\n\n') == [{"a": "x\x01\ty"}]
    assert decode(b'data: {"a": "\xff"}\n\n') == [{"a": "�"}]


def test_one_json_document_instead_of_a_stream() -> None:
    assert decode(b'{\n "choices": []\n}') == [{"choices": []}]
    assert decode(b'  {"choices": []}\r\n') == [{"choices": []}]


@pytest.mark.parametrize("body", [b"<html>\n<body>Login</body>\n</html>", b"upstream error", b"\x00\x01"])
def test_neither_sse_nor_json(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="neither SSE nor JSON"):
        decode(body)


def test_an_event_that_is_no_json() -> None:
    with pytest.raises(BadAnswer, match="no JSON"):
        decode(b"data: oops\n\n")


def test_an_empty_body_is_nothing() -> None:
    assert decode() == decode(b"\n\n") == decode(b": keep-alive\n\n") == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LINE_LIMIT", 1000)
    for line in (b"x" * 400, b"x" * 400 + b"\n", b"data: x" + b"y" * 400 + b"\n"):
        decoder = sse.Decoder()
        with pytest.raises(BadAnswer, match="without an event"):
            for _ in range(5):
                decoder.feed(line)
