"""JSON as a confused model might send it: any values, under the names that a tool knows."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "=1+1", "-5", "15%", "￥1,200", "2026-01-05", "007", "1", "2", "#2", "a", "b", "**b** `c`"])
)


def json_of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Objects in which the names of the schema stand anywhere, with anything in them."""
    keys = st.sampled_from(sorted(set(_names(schema)))) | st.text(max_size=4)
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=30
    )
    return st.dictionaries(keys, values, max_size=6)


def _names(schema: Mapping[str, Any]) -> Iterable[str]:
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from _names(inner)
    if "items" in schema:
        yield from _names(schema["items"])
