import json
import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.store.columns import from_json, moment, stamp, storable, to_json

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 hypothesis wants its bounds naive
moments = st.datetimes(min_value=EPOCH, timezones=st.just(UTC))
# Whatever json.loads can make of a frame, lone surrogates included.
texts = st.text(st.characters(codec=None, exclude_categories=()))


def test_a_stamp_is_utc_with_milliseconds() -> None:
    assert stamp(datetime(2026, 11, 23, 8, 5, 9, 120_999, UTC)) == "2026-11-23T08:05:09.120Z"
    assert stamp(datetime(2026, 11, 23, 16, 5, 9, 0, timezone(timedelta(hours=8)))) == "2026-11-23T08:05:09.000Z"
    with pytest.raises(ValueError, match="no time zone"):
        stamp(EPOCH)


@given(moments, moments)
def test_stamps_come_back_and_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert timedelta(0) <= one - moment(stamp(one)) < timedelta(milliseconds=1)
    if one + timedelta(milliseconds=1) <= other:
        assert stamp(one) < stamp(other)


def test_sqlite_reads_a_stamp() -> None:
    db = sqlite3.connect(":memory:")
    (seconds,) = db.execute("SELECT strftime('%s', ?)", (stamp(datetime(2026, 11, 23, tzinfo=UTC)),)).fetchone()
    assert int(seconds) == datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    db.close()


def test_halves_of_a_character_are_joined_or_replaced() -> None:
    assert storable("\ud83d\ude00 \ud83d.") == "\U0001f600 \ufffd."
    assert storable("年假 \U0001f600") == "年假 \U0001f600"


@given(texts)
def test_every_text_becomes_storable_and_good_text_stays(text: str) -> None:
    result = storable(text)
    result.encode()
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert result == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)


@given(json_values)
def test_json_comes_back(value: object) -> None:
    text = to_json(value)
    text.encode()
    clean = json.loads(storable(json.dumps(value, ensure_ascii=False)))
    assert from_json(text) == clean


def test_json_keeps_chinese_readable() -> None:
    assert to_json({"问": ["答"]}) == '{"问":["答"]}'
