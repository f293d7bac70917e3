"""The fold of chunks into events, and every habit of endpoints that it takes."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import BadRequest, ModelError, Overloaded, RateLimited, Refused
from agent.model.stream import Event, Finished, Fold, Text, Thinking, ToolCall, Usage
from tests.model.far import delta, finish, usage


def fold(*chunks: Any, opened: bool = False, cut: bool = False) -> list[Event]:
    numbers = itertools.count(1)
    folding = Fold(opened=opened, new_id=lambda: f"new_{next(numbers)}")
    events = [event for chunk in chunks for event in folding.feed(chunk)]
    return events + folding.flush(cut=cut)


def call(index: int | None = 0, **fields: Any) -> dict[str, Any]:
    """A chunk with one fragment of a tool call; ``name`` and ``arguments`` go into its function."""
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    fragment = {**({} if index is None else {"index": index}), "type": "function", "function": function, **fields}
    return delta(tool_calls=[fragment])


def test_plain_answer() -> None:
    assert fold(delta(role="assistant", content=""), delta("你"), delta("好"), finish(), usage(7, 2)) == [
        Text("你"),
        Text("好"),
        Usage(7, 2, 0),
        Finished("stop"),
    ]


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None, "reasoning_content": None}}]},
        {"choices": [{"delta": {"content": ""}, "finish_reason": None}]},
        None,
        "ping",
        7,
    ],
)
def test_chunks_without_content_are_silent(chunk: Any) -> None:
    folding = Fold()
    assert folding.feed(chunk) == []
    assert (folding.progress, folding.finished) == (0, False)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_in_a_field_of_its_own(name: str) -> None:
    chunks = [delta(**{name: "hm"}), delta(None, **{name: " so"}), delta("Yes"), finish()]
    assert fold(*chunks) == [Thinking("hm"), Thinking(" so"), Text("Yes"), Finished("stop")]


def test_thinking_in_both_fields_counts_once() -> None:
    assert fold(delta(reasoning="hm", reasoning_content="hm"), finish())[0:1] == [Thinking("hm")]
    assert len(fold(delta(reasoning="hm", reasoning_content="hm"), finish())) == 2


def test_thinking_and_text_in_one_chunk_keep_their_order() -> None:
    assert fold(delta("a", reasoning_content="t"), finish())[:2] == [Thinking("t"), Text("a")]


def test_content_as_a_list_of_parts() -> None:
    parts: Any = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Yes"}]
    assert fold(delta(parts), finish())[:2] == [Thinking("hm"), Text("Yes")]


def test_inline_thinking_cut_across_chunks() -> None:
    events = fold(*(delta(piece) for piece in "\n<think>\nhm</think>\n\nYes"), finish())
    assert "".join(e.text for e in events if isinstance(e, Thinking)) == "\nhm"
    assert "".join(e.text for e in events if isinstance(e, Text)) == "Yes"


def test_a_lone_closing_tag_after_separate_thinking_is_text() -> None:
    assert fold(delta(reasoning_content="hm"), delta("a</think>b"), finish())[1:] == [
        Text("a</think>b"),
        Finished("stop"),
    ]


def test_habit_is_told() -> None:
    folding = Fold()
    for chunk in (delta("hm\n</think>\n\nYes"), finish()):
        folding.feed(chunk)
    folding.flush()
    assert folding.thinking_habit
    assert fold(delta("hm"), delta("\n</think>\n\nYes"), finish(), opened=True)[:3] == [
        Thinking("hm"),
        Thinking("\n"),
        Text("Yes"),
    ]


# Tool calls


def test_tool_call_in_fragments() -> None:
    chunks = [call(id="a", name="f", arguments=""), call(arguments='{"x"'), call(arguments=":1}"), finish("tool_calls")]
    assert fold(*chunks) == [ToolCall("a", "f", '{"x":1}'), Finished("tool_calls")]


def test_tool_calls_in_parallel_after_text() -> None:
    chunks = [
        delta("Let me see."),
        call(0, id="a", name="f", arguments="{"),
        call(1, id="b", name="g", arguments="{"),
        call(0, arguments="}"),
        call(1, arguments="}"),
        finish("tool_calls"),
    ]
    assert fold(*chunks)[1:] == [ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"), Finished("tool_calls")]


def test_tool_calls_without_index() -> None:
    chunks = [call(None, id="a", name="f", arguments="{"), call(None, arguments="}"), call(None, id="b", name="g")]
    assert fold(*chunks, finish()) == [ToolCall("a", "f", "{}"), ToolCall("b", "g", ""), Finished("tool_calls")]


def test_fragments_without_index_go_by_their_id() -> None:
    chunks = [call(None, id="a", name="f", arguments="{"), call(None, id="b", name="g", arguments="{")]
    chunks += [call(None, id="a", arguments="}"), call(None, id="b", arguments="}")]
    assert fold(*chunks)[:2] == [ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}")]


def test_tool_calls_that_are_all_number_zero() -> None:
    chunks = [call(0, id="a1", name="f1", arguments='{"x":1}'), call(0, id="a2", name="f2", arguments='{"x"')]
    chunks += [call(0, arguments=":2}"), finish("tool_calls")]
    assert fold(*chunks)[:2] == [ToolCall("a1", "f1", '{"x":1}'), ToolCall("a2", "f2", '{"x":2}')]


def test_name_in_every_fragment() -> None:
    chunks = [call(id="a", name="f", arguments='{"x":'), call(id="a", name="f", arguments="1}")]
    assert fold(*chunks)[0] == ToolCall("a", "f", '{"x":1}')
    chunks = [call(name="f", arguments='{"x":'), call(name="f", arguments="1}"), call(name="f", arguments="")]
    assert fold(*chunks)[0] == ToolCall("new_1", "f", '{"x":1}')


def test_tool_calls_without_ids() -> None:
    fragments = [{"function": {"name": "f", "arguments": f'{{"x":{n}}}'}, "id": "", "type": "function"} for n in (1, 2)]
    for chunks in ([delta(tool_calls=fragments)], [delta(tool_calls=[{**f, "index": 0}]) for f in fragments]):
        assert fold(*chunks, finish("stop")) == [
            ToolCall("new_1", "f", '{"x":1}'),
            ToolCall("new_2", "f", '{"x":2}'),
            Finished("tool_calls"),
        ]


def test_a_call_without_arguments_before_another() -> None:
    assert fold(call(0, name="f"), call(0, name="g", arguments="{}"))[:2] == [
        ToolCall("new_1", "f", ""),
        ToolCall("new_2", "g", "{}"),
    ]


def test_arguments_as_an_object_and_broken_arguments() -> None:
    assert fold(call(id="a", name="f", arguments={"城市": "北京"}))[0] == ToolCall("a", "f", '{"城市": "北京"}')
    assert fold(call(id="a", name="f", arguments='{"x":'))[0] == ToolCall("a", "f", '{"x":')


def test_an_empty_call_is_none() -> None:
    assert fold(delta(tool_calls=[{"index": 0, "id": "a"}, None, {"function": None}]), finish("tool_calls")) == [
        Finished("stop")
    ]


def test_ids_of_our_own_differ() -> None:
    folding = Fold()
    folding.feed(delta(tool_calls=[{"index": n, "function": {"name": "f", "arguments": "{}"}} for n in (0, 1)]))
    first, second = (event for event in folding.flush() if isinstance(event, ToolCall))
    assert first.id != second.id


# Usage, finishing


def test_usage_on_every_chunk_counts_once() -> None:
    chunks = [{**delta("a"), "usage": {"prompt_tokens": 5, "completion_tokens": n}} for n in (1, 2, 3)]
    assert fold(*chunks, finish(usage=None))[-2:] == [Usage(5, 3, 0), Finished("stop")]


def test_usage_with_zeros_at_the_end() -> None:
    chunks = [{**delta("a"), "usage": {"prompt_tokens": 5, "completion_tokens": 3}}]
    assert Usage(5, 3, 0) in fold(*chunks, finish(usage={"prompt_tokens": 0, "completion_tokens": 0}))


@pytest.mark.parametrize(
    "fields",
    [{"prompt_tokens_details": {"cached_tokens": 4}}, {"prompt_cache_hit_tokens": 4}, {"cached_tokens": 4}],
)
def test_cached_tokens_by_any_name(fields: dict[str, Any]) -> None:
    assert Usage(9, 1, 4) in fold({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1, **fields}})


def test_usage_inside_the_choice() -> None:
    chunk = finish()
    chunk["choices"][0]["usage"] = {"prompt_tokens": 3, "completion_tokens": 1}
    assert Usage(3, 1, 0) in fold(delta("a"), chunk)


@pytest.mark.parametrize("odd", ["", [], "many", {"prompt_tokens": "9"}, {"prompt_tokens": None}])
def test_odd_usage_is_ignored(odd: Any) -> None:
    assert fold({"choices": [], "usage": odd}) == [Finished("stop")]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("length", "length"), ("max_tokens", "length"), ("end_turn", "stop"), ("sensitive", "content_filter")],
)
def test_finish_reasons(theirs: str, ours: str) -> None:
    assert fold(delta("a"), finish(theirs))[-1] == Finished(ours)


def test_a_whole_message_instead_of_deltas() -> None:
    message = {"content": "Yes", "reasoning_content": "hm", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}
    chunk = {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert fold(chunk) == [Thinking("hm"), Text("Yes"), ToolCall("a", "f", ""), Finished("tool_calls")]


def test_a_message_after_deltas_repeats_them() -> None:
    assert fold(delta("Yes"), {"choices": [{"message": {"content": "Yes"}, "finish_reason": "stop"}]}) == [
        Text("Yes"),
        Finished("stop"),
    ]


def test_refusal_is_text_with_a_reason() -> None:
    assert fold(delta(refusal="I can't "), delta(refusal="do that."), finish()) == [
        Text("I can't "),
        Text("do that."),
        Finished("refusal"),
    ]


def test_cut_gives_up_half_calls_but_no_text() -> None:
    assert fold(delta("a <"), call(id="a", name="f", arguments="{"), cut=True) == [Text("a "), Text("<")]


# Errors


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"error": {"message": "busy", "type": "server_error"}}, Overloaded),
        ({"error": "busy"}, Overloaded),
        ({"error": {"message": "slow down", "code": 429}}, RateLimited),
        ({"error": {"message": "no", "type": "invalid_request_error"}}, BadRequest),
        ({"error": {"message": "no", "code": "data_inspection_failed"}}, Refused),
        ({"object": "error", "message": "no", "code": 400}, BadRequest),
        ({"code": 50001, "message": "busy", "data": None}, Overloaded),
        ({"error": {"message": "no"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}, Overloaded),
    ],
)
def test_error_objects(chunk: dict[str, Any], kind: type[ModelError]) -> None:
    with pytest.raises(ModelError) as caught:
        Fold().feed(chunk)
    assert type(caught.value) is kind


names = "choices delta message content tool_calls function name arguments index id usage prompt_tokens "
names += "prompt_tokens_details finish_reason error text type thinking"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names.split()), inner, max_size=5),
    max_leaves=25,
)


@given(st.lists(json_values, max_size=5))
def test_nothing_but_a_model_error_comes_out_of_any_json(chunks: list[Any]) -> None:
    try:
        events = fold(*chunks)
    except ModelError:
        return
    assert isinstance(events[-1], Finished)
    assert all(isinstance(e.text, str) and e.text for e in events if isinstance(e, Text | Thinking))


@given(
    st.lists(st.tuples(st.text("fg", min_size=1, max_size=2), st.dictionaries(st.text(max_size=3), st.integers()))),
    st.data(),
)
def test_calls_survive_any_cut(calls: list[tuple[str, dict[str, int]]], data: st.DataObject) -> None:
    chunks = []
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        at = data.draw(st.integers(0, len(text)))
        chunks += [call(index, id=f"id{index}", name=name, arguments=text[:at]), call(index, arguments=text[at:])]
    made = [event for event in fold(*chunks) if isinstance(event, ToolCall)]
    assert made == [ToolCall(f"id{n}", name, json.dumps(args)) for n, (name, args) in enumerate(calls)]
