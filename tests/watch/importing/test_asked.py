"""A request's body is read as the gateway reads it, so that the same request has the same prints in both."""

from __future__ import annotations

from typing import Any

import pytest

from stillroom.base.records import Route
from stillroom.serve.routes.request import read_request
from stillroom.watch.importing.asked import fields_of_request, reads_like_grading, texts_of_request

PARTS = [
    {"type": "text", "text": "Look: "},
    {"type": "image_url", "image_url": {"url": "x"}},
    {"type": "text", "text": "this"},
]
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"},
    {"role": "developer", "content": "Now longer."},
    {"role": "user", "content": PARTS},
    {"role": "tool", "content": "42", "tool_call_id": "t"},
    {"role": "user", "content": None},
    {"role": "user", "content": "Please rate the answer on a scale from 1 to 10."},
]
BODIES: list[tuple[Route, dict[str, Any]]] = [
    ("chat", {"messages": CHAT, "max_tokens": 7, "max_completion_tokens": 9, "n": 3, "stream": True, "user": "u"}),
    ("chat", {"messages": CHAT[:3], "temperature": 0.2, "logprobs": True, "reasoning_effort": "high"}),
    ("completions", {"prompt": ["Once", "Twice"], "logprobs": 3, "max_tokens": 5}),
    ("completions", {"prompt": [1, 2, 3]}),
    ("completions", {"prompt": "Once"}),
    ("embeddings", {"input": ["a", "b"]}),
    (
        "responses",
        {"input": "Hello", "instructions": "Be kind.", "max_output_tokens": 4, "reasoning": {"effort": "low"}},
    ),
    (
        "responses",
        {
            "safety_identifier": "s",
            "input": [
                {"role": "user", "content": "First"},
                {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
                {"type": "function_call_output", "call_id": "c", "output": "1"},
                {"role": "user", "content": [{"type": "input_text", "text": "Second"}]},
            ],
        },
    ),
    (
        "messages",
        {
            "system": [{"type": "text", "text": "Be kind."}],
            "max_tokens": 5,
            "metadata": {"user_id": "m"},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]},
                {"role": "user", "content": "And?"},
            ],
        },
    ),
]


@pytest.mark.parametrize(("route", "body"), BODIES)
def test_as_the_gateway_reads_it(route: Route, body: dict[str, Any]) -> None:
    body = {"model": "m", **body}
    asked, texts, fields = read_request(route, body), texts_of_request(body, route), fields_of_request(body)
    assert texts.user_text == asked.new_user_text
    assert texts.system_text == asked.system_text
    assert texts.turns == asked.turns
    if route != "embeddings":
        assert reads_like_grading(texts) == asked.asks_grading
    for name in ("model", "stream", "max_tokens", "temperature", "n", "user", "asks_reasoning", "asks_logprobs"):
        assert fields[name] == getattr(asked, name), name


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": "text"},
        {"messages": [None, 1, "x", {}, {"role": 1}, {"role": "user"}, {"role": "user", "content": {"a": 1}}]},
        {"messages": [{"role": "user", "content": [None, 1, {"text": 1}, {"type": "text"}]}]},
        {"prompt": {"a": 1}, "system": 1, "metadata": "x", "user": ["u"]},
        {"input": [[1], [2]], "stream": "yes", "n": "many"},
    ],
)
def test_what_no_api_would_take_is_read_as_far_as_it_goes(body: dict[str, Any]) -> None:
    assert texts_of_request(body, None).user_text == ""
    assert fields_of_request(body)["stream"] is False
