"""How the answers of real providers are sorted, and what an error may say."""

from typing import Any

import pytest

from agent.model import errors
from agent.model.errors import (
    BadRequest,
    KeyRefused,
    ModelError,
    ModelMissing,
    NoBalance,
    Overloaded,
    RateLimited,
    Refused,
    TooLong,
    from_status,
)

CASES: list[tuple[int, Any, type[ModelError]]] = [
    # by status alone
    (401, {}, KeyRefused),
    (403, None, KeyRefused),
    (402, "", NoBalance),
    (404, "<html>404 page not found</html>", ModelMissing),
    (400, {}, BadRequest),
    (422, {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]}, BadRequest),
    (418, [1], BadRequest),
    (413, "Request Entity Too Large", TooLong),
    (429, {}, RateLimited),
    (408, {}, Overloaded),
    (409, {}, Overloaded),
    (500, {}, Overloaded),
    (502, "<html>", Overloaded),
    (529, {"error": {"type": "overloaded_error"}}, Overloaded),
    # OpenAI
    (401, {"message": "Incorrect API key provided: sk-x", "code": "invalid_api_key"}, KeyRefused),
    (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, NoBalance),
    (429, {"message": "Rate limit reached for gpt-5", "code": "rate_limit_exceeded"}, RateLimited),
    (404, {"message": "The model `x` does not exist", "code": "model_not_found"}, ModelMissing),
    (
        400,
        {"message": "This model's maximum context length is 8192 tokens", "code": "context_length_exceeded"},
        TooLong,
    ),
    (400, {"message": "Your request was rejected", "code": "content_policy_violation"}, Refused),
    # Azure
    (400, {"code": "content_filter", "message": "triggering Azure OpenAI's content management policy"}, Refused),
    # DeepSeek
    (400, {"message": "Content Exists Risk", "type": "invalid_request_error"}, Refused),
    (402, {"message": "Insufficient Balance", "type": "unknown_error"}, NoBalance),
    (400, {"message": "Model Not Exist", "type": "invalid_request_error"}, ModelMissing),
    (400, {"message": "This model's maximum context length is 65536 tokens."}, TooLong),
    # Qwen
    (400, {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."}, Refused),
    (
        400,
        {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
        NoBalance,
    ),
    (403, {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier has been exhausted."}, NoBalance),
    (429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded"}, RateLimited),
    (400, {"message": "Range of input length should be [1, 30720]"}, TooLong),
    (403, {"code": "Model.AccessDenied", "message": "Model access denied."}, ModelMissing),
    # GLM
    (429, {"code": "1113", "message": "您的账户已欠费"}, NoBalance),
    (429, {"code": "1302", "message": "您当前使用该API的并发数过高"}, RateLimited),
    (400, {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}, Refused),
    (400, {"code": "1261", "message": "Prompt 超长"}, TooLong),
    (400, {"code": "1211", "message": "模型不存在，请检查模型代码。"}, ModelMissing),
    # Kimi
    (429, {"type": "exceeded_current_quota_error", "message": "Your account is suspended"}, NoBalance),
    (
        400,
        {"type": "content_filter", "message": "The request was rejected because it was considered high risk"},
        Refused,
    ),
    (400, {"type": "invalid_request_error", "message": "Your request exceeded model token limit: 8192"}, TooLong),
    # Doubao
    (400, {"code": "InputTextSensitiveContentDetected", "message": "The request failed"}, Refused),
    (403, {"code": "AccountOverdueError", "message": "The request failed"}, NoBalance),
    (404, {"code": "InvalidEndpointOrModel.NotFound", "message": "The model does not exist"}, ModelMissing),
    (404, {"code": "ModelNotOpen", "message": "not activated"}, ModelMissing),
    # Ollama, vLLM, llama.cpp, one-api, OpenRouter
    (404, {"message": 'model "x" not found, try pulling it first', "type": "api_error"}, ModelMissing),
    (404, {"object": "error", "message": "The model `x` does not exist.", "code": 404}, ModelMissing),
    (400, {"object": "error", "message": "the prompt is too long; maximum context length is 4096"}, TooLong),
    (400, {"type": "exceed_context_size_error", "message": "request exceeds"}, TooLong),
    (503, {"message": "no available channel for model x", "type": "new_api_error"}, ModelMissing),
    (403, {"message": "user quota", "code": "insufficient_user_quota"}, NoBalance),
    (403, {"code": 403, "message": "x requires moderation. Your input was flagged for y"}, Refused),
]


@pytest.mark.parametrize(("status", "error", "kind"), CASES)
def test_sorting(status: int, error: Any, kind: type[ModelError]) -> None:
    assert type(from_status(status, error)) is kind
    assert type(from_status(status, {"error": error} if isinstance(error, dict) and error else error)) is kind


def test_codes_are_stable_and_differ() -> None:
    kinds = ModelError.__subclasses__()
    assert {kind.code for kind in kinds} == {
        *("key_refused", "no_balance", "model_missing", "rate_limited", "overloaded", "too_long", "bad_request"),
        *("unreachable", "timeout", "cut", "refused", "empty", "bad_answer"),
    }
    assert len(kinds) == 13


def test_an_error_names_codes_but_repeats_no_words() -> None:
    body = {
        "error": {"message": "报销 secret words", "code": "oops", "type": "invalid_request_error", "param": "top_p"}
    }
    error = from_status(400, body, {"x-request-id": "req_1"})
    assert str(error) == (
        "the endpoint refuses the request "
        "(status 400, provider code 'oops, invalid_request_error, top_p', request id 'req_1')"
    )
    assert error.said == "报销 secret words"


def test_keys_are_cut_out_of_what_the_provider_says() -> None:
    said = "Incorrect API key provided: my-own-key / sk-proj-****abcd. Authorization: Bearer xyz\nSee docs"
    assert from_status(401, {"message": said}, key="my-own-key").said == (
        "Incorrect API key provided: [key] / [key] Authorization: [key] See docs"
    )
    assert len(errors.redact("x" * 10_000)) <= errors.SAID_LIMIT + 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert errors.retry_after(headers, now=60.0) == seconds
    assert from_status(429, {}, headers, now=60.0).retry_after == seconds
