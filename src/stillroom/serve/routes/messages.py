"""Anthropic's /v1/messages: blocks of text, thinking and tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.serve.routes.asked import (
    AskedFor,
    Conversation,
    count_field,
    flag_field,
    model_field,
    number_field,
    object_field,
    text_field,
)
from stillroom.serve.routes.chat import add_messages, tool_tokens
from stillroom.serve.routes.errors import ApiError
from stillroom.text.request_signs import asks_grading, asks_reasoning


def read(body: Mapping[str, Any]) -> AskedFor:
    """Raises ApiError 400."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "messages must be a list of at least one message.", param="messages")
    conversation = Conversation()
    if body.get("system") is not None:
        conversation.add("system", body["system"], "system")
    add_messages(conversation, messages, "messages")
    return AskedFor(
        route="messages",
        model=model_field(body),
        stream=flag_field(body, "stream"),
        include_usage=True,
        turns=conversation.turns,
        max_tokens=count_field(body, "max_tokens"),
        temperature=number_field(body, "temperature"),
        n=None,
        replies=1,
        asks_reasoning=asks_reasoning(body),
        asks_logprobs=False,
        asks_grading=asks_grading(conversation.new_text, conversation.system_text),
        user=text_field(object_field(body, "metadata"), "user_id", "metadata."),
        prompt=messages,
        last_user_text=conversation.last,
        new_user_text=conversation.new_text,
        system_text=conversation.system_text,
        prompt_token_estimate=conversation.tokens + tool_tokens(body),
    )
