"""Errors as providers spell them: the same meaning under many statuses, and many meanings under the same status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stillroom.client.reply import parse_reply


def _error(message: str, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, **fields}}


NO_CREDIT = [
    (
        429,
        _error(
            "You exceeded your current quota, please check your plan and billing details.", code="insufficient_quota"
        ),
    ),
    (429, _error("Your account is not active, please check your billing details.", code="billing_not_active")),
    (429, _error("Billing hard limit has been reached", code="billing_hard_limit_reached")),
    (400, _error("Your credit balance is too low to access the Anthropic API.", type="invalid_request_error")),
    (402, _error("Insufficient Balance")),
    (402, {"detail": "Payment needed"}),
    (402, _error("This request requires more credits, or fewer max_tokens.", code=402)),
    (402, _error("Insufficient credits. Add more using https://openrouter.ai/settings/credits", code=402)),
    (403, _error("Key limit exceeded (total limit).", code=403)),
    (429, _error("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests per day", code=429)),
    (429, _error("Insufficient balance or no resource package. Please recharge.", code="1113")),
    (403, {"code": "denied", "error": "Your newly created team doesn't have any credits yet."}),
    (429, {"code": "exhausted", "error": "Your team has either used all available credits or reached its limit."}),
    (402, {"error": "You have exceeded your monthly included credits for Inference Providers."}),
    (429, _error("Your prepayment credits are depleted.", code=429, status="RESOURCE_EXHAUSTED")),
    (400, _error("Access denied, please make sure your account is in good standing.", code="Arrearage")),
    (
        429,
        [
            _error(
                "You exceeded your current quota. Quota: GenerateRequestsPerDayPerProject. Please retry in 30.5s.",
                code=429,
            )
        ],
    ),
    (200, _error("You exceeded your current quota", code="insufficient_quota")),
]
RATE_LIMIT = [
    (
        429,
        _error(
            "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000.",
            code="rate_limit_exceeded",
        ),
    ),
    (429, [_error("You exceeded your current quota, please check your plan. Please retry in 34.07s.", code=429)]),
    (429, _error("Tokens per minute limit exceeded", type="too_many_tokens_error", code="token_quota_exceeded")),
    (429, {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"}),
    (429, {"message": "Requests rate limit exceeded"}),
    (429, {"message": "Service tier capacity exceeded for this model."}),
    (429, _error("Provider returned error", code=429, metadata={"raw": "m is temporarily rate-limited upstream."})),
    (429, _error("Please reduce the length of your bursts")),
    (429, "slow down"),
    (200, _error("slow down", code=429)),
    (200, _error("slow down", code="429")),
    (200, _error("Rate limit reached", type="rate_limit_error")),
]
KEY_REFUSED = [
    (401, _error("Incorrect API key provided: sk-****.", code="invalid_api_key")),
    (401, _error("invalid x-api-key", type="authentication_error")),
    (400, [_error("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT")]),
    (400, _error('{"error": {"message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}', code=400)),
    (400, [_error("API key expired. Please renew the API key.", code=400)]),
    (400, [_error("Missing or invalid Authorization header.", code=400)]),
    (403, [_error("Method doesn't allow unregistered callers.", code=403, status="PERMISSION_DENIED")]),
    (400, {"code": "invalid", "error": "Incorrect API key provided: sk***."}),
    (401, {"error": "Unauthorized"}),
    (401, {"detail": "Unauthorized"}),
    (401, {"message": "Unauthorized", "request_id": "1"}),
    (401, _error("Authentication Fails (no such user)")),
    (401, _error("No auth credentials found", code=401)),
    (401, _error("Wrong API key", code="wrong_api_key")),
    (401, b""),
    (200, _error("who are you", code=401)),
]
NO_MODEL = [
    (404, _error("The model `m` does not exist or you do not have access to it.", code="model_not_found")),
    (403, _error("Project `p` does not have access to model `m`", code="model_not_found")),
    (404, {"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404}),
    (404, _error("model: claude-x", type="not_found_error")),
    (404, [_error("models/m is not found for API version v1main", code=404, status="NOT_FOUND")]),
    (404, _error('model "m" not found, try pulling it first', type="api_error")),
    (400, _error("Model Not Exist")),
    (400, _error("m is not a valid model ID", code=400)),
    (404, _error("No endpoints found for m.", code=404)),
    (400, {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "code": "1500"}),
    (400, _error("The model `m` has been decommissioned.", code="model_decommissioned")),
    (404, _error("Unable to access model m.", code="model_not_available")),
    (400, {"error": "The requested model 'org/m.1' does not exist"}),
    (400, _error("Unknown Model, please check the model code.", code="1211")),
    (404, _error("The API deployment for this resource does not exist.", code="DeploymentNotFound")),
]
TOO_LONG = [
    (400, _error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")),
    (400, _error("prompt is too long: 208310 tokens > 200000 maximum", type="invalid_request_error")),
    (400, _error("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000")),
    (413, _error("Request exceeds the maximum allowed number of bytes", type="request_too_large")),
    (
        400,
        [_error("The input token count (1500000) exceeds the maximum number of tokens allowed (1048576).", code=400)],
    ),
    (
        400,
        {
            "object": "error",
            "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        },
    ),
    (400, _error("You passed 5000 input tokens. However, the model's context length is only 4096 tokens")),
    (400, _error("The input (5000 tokens) is longer than the model's context length (4096 tokens).", code=400)),
    (400, _error("Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens).", code=400)),
    (400, _error("request (4476 tokens) exceeds the available context size", type="exceed_context_size_error")),
    (500, _error("input is too large to process. increase the physical batch size", code=500)),
    (
        400,
        _error(
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 132463.", code=400
        ),
    ),
    (400, _error("Provider returned error", code=400, metadata={"raw": '{"message": "maximum context length is 9"}'})),
    (
        400,
        {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768", "code": "3051"},
    ),
    (400, _error("Please reduce the length of the messages or completion.", code="context_length_exceeded")),
    (413, _error("Request too large for model `m` on tokens per minute (TPM)", code="rate_limit_exceeded")),
    (
        429,
        _error(
            "Request too large for m on tokens per min (TPM): Limit 30000, Requested 30632.", code="rate_limit_exceeded"
        ),
    ),
    (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
            "error_type": "validation",
        },
    ),
    (
        400,
        {
            "code": "invalid",
            "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        },
    ),
    (400, _error("Prompt exceeds max length", code="1261")),
    (200, _error("maximum context length is 8192", code="context_length_exceeded")),
]
FILTERED = [
    (400, _error("The response was filtered due to Azure OpenAI's content management policy.", code="content_filter")),
    (400, _error("Your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt")),
    (400, _error("rejected", code="content_policy_violation")),
    (400, _error("Content Exists Risk")),
    (400, _error("Input data may contain inappropriate content.", code="data_inspection_failed")),
    (403, _error("needs moderation", code=403, metadata={"reasons": ["violence"], "flagged_input": "x"})),
]
PLAIN = [
    (400, _error("max_tokens is too large: 100000. This model supports at most 16384 completion tokens")),
    (
        400,
        _error(
            "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 4096."
        ),
    ),
    (400, _error("Unrecognized request argument: best_of")),
    (403, _error("Country, region, or territory not supported")),
    (404, b"404 page not found"),
    (422, {"detail": [{"loc": ["body", "n"], "msg": "must be positive"}]}),
    (500, _error("generate failed: rate", type="server_error")),
    (503, _error("The model is overloaded")),
    (529, _error("Overloaded", type="overloaded_error")),
    (200, _error("upstream failed")),
    (200, _error("upstream failed", code="upstream")),
    (200, _error("upstream failed", code=7)),
    (200, {"error": "upstream failed"}),
]


def _cases() -> list[Any]:
    groups: list[tuple[str | None, list[tuple[int, Any]]]] = [
        ("no_credit", NO_CREDIT),
        ("http_429", RATE_LIMIT),
        ("key_refused", KEY_REFUSED),
        ("no_model", NO_MODEL),
        ("too_long", TOO_LONG),
        ("content_filter", FILTERED),
        (None, PLAIN),
    ]
    return [
        pytest.param(
            status, body, kind or ("error_in_body" if status == 200 else f"http_{status}"), id=f"{kind}-{number}"
        )
        for kind, cases in groups
        for number, (status, body) in enumerate(cases)
    ]


@pytest.mark.parametrize(("status", "body", "error_kind"), _cases())
def test_what_an_error_means(status: int, body: object, error_kind: str) -> None:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    parsed = parse_reply(sent, status)
    assert parsed.error_kind == error_kind
    assert parsed.status == ("refused" if error_kind == "content_filter" else "failed")
    assert bool(parsed.message) == bool(sent)


def test_what_an_upstream_said_is_told() -> None:
    metadata = {"provider_name": "P", "raw": "m is temporarily rate-limited upstream"}
    parsed = parse_reply(json.dumps(_error("Provider returned error", code=429, metadata=metadata)).encode(), 429)
    assert parsed.message == "Provider returned error: m is temporarily rate-limited upstream"


def test_words_of_an_answer_are_no_error() -> None:
    text = "insufficient_quota: invalid_api_key, maximum context length"
    body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    assert parse_reply(json.dumps(body).encode()).error_kind is None


def test_a_page_of_html_is_shown_in_one_short_line() -> None:
    parsed = parse_reply(b"<html>\n<h1>502</h1>\n" + b"<p>x</p>\n" * 10_000, 502)
    assert (parsed.error_kind, len(parsed.message)) == ("http_502", 300)
    assert parsed.message.startswith("<html> <h1>502</h1> <p>x</p>")
