"""Which refusals teach to leave a parameter out."""

from typing import Any

import pytest

from agent.model.dialect import Dialect
from agent.model.errors import from_status

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [],
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.3,
    "max_tokens": 100,
    "tools": [{}],
    "tool_choice": "auto",
    "enable_thinking": False,
}


def spoken_after(error: dict[str, Any], status: int = 400, body: dict[str, Any] = BODY) -> dict[str, Any]:
    """What a dialect makes of BODY the next time, other models untouched."""
    dialect = Dialect()
    dialect.learn(from_status(status, {"error": error}), dialect.speak(body))
    assert dialect.speak({**BODY, "model": "other"}) == {**BODY, "model": "other"}
    return dialect.speak(body)


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in BODY.items() if name not in names} | more


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # OpenAI
        (
            {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            },
            without("max_tokens", max_completion_tokens=100),
        ),
        (
            {
                "message": "Unsupported value: 'temperature' does not support 0.3 with this model.",
                "param": "temperature",
            },
            without("temperature"),
        ),
        ({"message": "Unrecognized request argument supplied: stream_options"}, without("stream_options")),
        # DeepSeek, Qwen: not the name but the value
        ({"message": "Invalid max_tokens value, the valid range of max_tokens is [1, 8]"}, without("max_tokens")),
        ({"message": "Range of max_tokens should be [1, 8]", "param": None}, without("max_tokens")),
        # extra fields
        ({"message": "parameter.enable_thinking is not supported"}, without("enable_thinking")),
        # tools
        ({"message": "registry.ollama.ai/library/gemma:2b does not support tools"}, without("tools", "tool_choice")),
        (
            {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'},
            without("tools", "tool_choice"),
        ),
    ],
)
def test_learnt(error: dict[str, Any], expected: dict[str, Any]) -> None:
    assert spoken_after(error) == expected


def test_learnt_from_a_validation_error() -> None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]
    dialect = Dialect()
    assert dialect.learn(from_status(422, {"detail": detail}), BODY) == {"stream_options"}
    assert dialect.speak(BODY) == without("stream_options")


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Invalid schema for function 'f': tools[0].function.parameters"},
        {"message": "messages with role 'tool' must follow a message with 'tool_calls'"},
        {"message": "the model m is not for streaming messages"},
        {"message": "my_temperature_of is odd"},
        {"message": "no"},
    ],
)
def test_not_learnt(error: dict[str, Any]) -> None:
    assert spoken_after(error) == BODY


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_other_errors_teach_nothing(status: int) -> None:
    assert spoken_after({"message": "temperature"}, status) == BODY


def test_a_second_name_that_is_refused_too_is_left_out() -> None:
    dialect = Dialect()
    for message in ("Use 'max_completion_tokens' instead of 'max_tokens'", "Unknown field: max_completion_tokens"):
        error = from_status(400, {"error": {"message": message, "param": "max_tokens" if "Use" in message else None}})
        assert dialect.learn(error, dialect.speak(BODY))
    assert dialect.speak(BODY) == without("max_tokens")


def test_a_limit_that_crowds_out_the_prompt_is_left_out_once() -> None:
    message = "'max_tokens' is too large: 100. This model's maximum context length is 64 tokens"
    dialect = Dialect()
    names = dialect.learn(from_status(400, {"error": {"message": message}}), BODY)
    assert dialect.speak(BODY, names) == without("max_tokens")
    assert dialect.speak(BODY) == BODY


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "No endpoints found that support tool use. Try disabling a tool."),
        (500, "tools param requires --jinja flag"),
    ],
)
def test_tools_are_refused_with_other_statuses_too(status: int, message: str) -> None:
    assert spoken_after({"message": message}, status) == without("tools", "tool_choice")
    assert spoken_after({"message": "max_tokens: something broke"}, status) == BODY
