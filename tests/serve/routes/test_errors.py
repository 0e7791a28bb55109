"""Errors as the companies' own packages read them, over HTTP and in a stream."""

from __future__ import annotations

import json
from typing import Any, get_args

import anthropic
import openai
import pytest
from anthropic.types.shared.error_response import ErrorResponse
from openai.types.responses import ResponseErrorEvent
from openai.types.shared.error_object import ErrorObject

from stillroom.base.records import Route
from stillroom.serve.routes.errors import ApiError, error_body, error_event

STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("route", [route for route in get_args(Route) if route != "messages"])
def test_openais_shape(route: Route, status: int) -> None:
    body = json.loads(error_body(route, status, "It is so.", param="model", code="some_code"))
    error = ErrorObject.model_validate(body["error"], strict=True)
    assert (error.message, error.param, error.code) == ("It is so.", "model", "some_code")
    assert error.type.endswith("_error")


@pytest.mark.parametrize("status", STATUSES)
def test_anthropics_shape(status: int) -> None:
    body = json.loads(error_body("messages", status, "It is so."))
    response = ErrorResponse.model_validate(body, strict=True)
    assert response.error.message == "It is so."
    assert body["error"].keys() == {"type", "message"}
    told = json.loads(error_body("messages", status, "It is so.", code="permit_expired", param="model"))
    assert (told["error"]["code"], told["error"]["param"]) == ("permit_expired", "model")


def test_the_openai_package_raises_what_was_meant(server: Any, openai_client: openai.OpenAI) -> None:
    server.kind = "application/json"
    for status, expected in (
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ):
        server.status = status
        server.body = ApiError(status, "It is so.", code="why", param="model").body("chat")
        with pytest.raises(expected, match="It is so") as raised:
            openai_client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        assert isinstance(raised.value, openai.APIStatusError)
        assert (raised.value.code, raised.value.param) == ("why", "model")
        with pytest.raises(expected, match="It is so"):
            openai_client.responses.create(model="m", input="x")


def test_the_anthropic_package_raises_what_was_meant(server: Any, anthropic_client: anthropic.Anthropic) -> None:
    server.kind = "application/json"
    for status, expected in (
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (503, anthropic.InternalServerError),
    ):
        server.status = status
        server.body = ApiError(status, "It is so.").body("messages")
        with pytest.raises(expected, match="It is so") as raised:
            anthropic_client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}])
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["type"] == "error"


def test_an_error_in_a_stream_is_raised_by_the_packages(
    server: Any, openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    server.status, server.kind = 200, "text/event-stream"
    server.body = error_event("chat", 502, "It broke.", code="upstream_failed")
    with pytest.raises(openai.APIError, match="It broke"):
        list(openai_client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True))
    server.body = error_event("completions", 502, "It broke.")
    with pytest.raises(openai.APIError, match="It broke"):
        list(openai_client.completions.create(model="m", prompt="x", stream=True))
    server.body = error_event("messages", 502, "It broke.")
    with pytest.raises(anthropic.APIStatusError, match="It broke"):
        list(
            anthropic_client.messages.create(
                model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}], stream=True
            )
        )
    server.body = error_event("responses", 502, "It broke.", sequence_number=7)
    [event] = list(openai_client.responses.create(model="m", input="x", stream=True))
    assert isinstance(event, ResponseErrorEvent)
    assert (event.message, event.sequence_number, event.code) == ("It broke.", 7, None)
