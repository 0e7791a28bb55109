"""OpenAI's /v1/responses: items in, items out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.serve.routes.asked import (
    AskedFor,
    Conversation,
    count_field,
    flag_field,
    json_tokens,
    message_object,
    model_field,
    number_field,
    read_content,
    text_field,
)
from stillroom.serve.routes.chat import tool_tokens
from stillroom.serve.routes.errors import ApiError
from stillroom.text.request_signs import asks_grading, asks_logprobs, asks_reasoning

_ELSEWHERE = ("previous_response_id", "conversation")
"""What the upstream keeps from earlier calls, of whichever account: the gateway has one key there for all of them."""


def read(body: Mapping[str, Any]) -> AskedFor:
    """Raises ApiError 400; also for what would be answered elsewhere, or from what another account said."""
    _refuse_what_is_kept(body)
    asked = body.get("input")
    conversation = Conversation()
    instructions = text_field(body, "instructions")
    if instructions:
        conversation.add("system", instructions, "instructions")
    if isinstance(asked, list):
        _add_items(conversation, asked)
    elif asked is not None:
        conversation.add("user", text_field(body, "input"), "input")
    return AskedFor(
        route="responses",
        model=model_field(body),
        stream=flag_field(body, "stream"),
        include_usage=True,
        turns=conversation.turns,
        max_tokens=count_field(body, "max_output_tokens"),
        temperature=number_field(body, "temperature"),
        n=None,
        replies=1,
        asks_reasoning=asks_reasoning(body),
        asks_logprobs=asks_logprobs(body),
        asks_grading=asks_grading(conversation.new_text, conversation.system_text),
        user=text_field(body, "user") or text_field(body, "safety_identifier"),
        prompt=asked,
        last_user_text=conversation.last,
        new_user_text=conversation.new_text,
        system_text=conversation.system_text,
        prompt_token_estimate=conversation.tokens + tool_tokens(body),
    )


def _refuse_what_is_kept(body: Mapping[str, Any]) -> None:
    for name in _ELSEWHERE:
        if body.get(name) is not None:
            why = "nothing is kept here from one call to the next"
            raise ApiError(
                400, f"{name}: {why}. Send the earlier items in input.", code="unsupported_parameter", param=name
            )
    if body.get("background") is not None and body["background"] is not False:
        why = "a reply that is fetched later can't be metered"
        raise ApiError(400, f"background: {why}. Leave it out.", code="unsupported_parameter", param="background")


def _add_items(conversation: Conversation, items: list[Any]) -> None:
    """Messages, and among them what tools were asked and answered, and what the model reasoned."""
    for position, each in enumerate(items):
        item = message_object(each, "input", position)
        role, content = item.get("role"), item.get("content")
        param = f"input[{position}].content"
        if isinstance(role, str):
            conversation.add(role, content, param)
            continue
        if item.get("type") == "item_reference" or (item.keys() <= {"id", "type"} and item.get("id") is not None):
            what = f"input[{position}]: nothing is kept here from one call to the next. Send the item itself."
            raise ApiError(400, what, code="unsupported_parameter", param=f"input[{position}]")
        read_content(content, param)
        conversation.tokens += json_tokens(item)
        if item.get("type") in ("function_call", "custom_tool_call", "reasoning"):
            conversation.new.clear()  # this is the model's turn
