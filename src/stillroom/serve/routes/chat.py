"""OpenAI's /v1/chat/completions: what is asked. What is answered, `stillroom.client` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.serve.routes.asked import (
    MOST_CHOICES,
    AskedFor,
    Conversation,
    Where,
    count_field,
    flag_field,
    include_usage,
    json_tokens,
    message_object,
    model_field,
    number_field,
    text_field,
)
from stillroom.serve.routes.errors import ApiError
from stillroom.text.request_signs import asks_grading, asks_logprobs, asks_reasoning


def read(body: Mapping[str, Any]) -> AskedFor:
    """Raises ApiError 400."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "messages must be a list of at least one message.", code="invalid_type", param="messages")
    conversation = Conversation()
    add_messages(conversation, messages, "messages")
    n = count_field(body, "n", most=MOST_CHOICES)
    # The newer name wins where both are given, as it does at OpenAI.
    max_tokens = count_field(body, "max_tokens")
    return AskedFor(
        route="chat",
        model=model_field(body),
        stream=flag_field(body, "stream"),
        include_usage=include_usage(body),
        turns=conversation.turns,
        max_tokens=count_field(body, "max_completion_tokens") or max_tokens,
        temperature=number_field(body, "temperature"),
        n=n,
        replies=n or 1,
        asks_reasoning=asks_reasoning(body),
        asks_logprobs=asks_logprobs(body),
        asks_grading=asks_grading(conversation.new_text, conversation.system_text),
        user=text_field(body, "user"),
        prompt=messages,
        last_user_text=conversation.last,
        new_user_text=conversation.new_text,
        system_text=conversation.system_text,
        prompt_token_estimate=conversation.tokens + tool_tokens(body),
    )


def add_messages(conversation: Conversation, messages: list[Any], where: Where) -> None:
    for position, each in enumerate(messages):
        message = message_object(each, where, position)
        role = message.get("role")
        if not isinstance(role, str):
            param = f"{where}[{position}].role"
            raise ApiError(400, f"{param} must be a text.", code="invalid_type", param=param)
        conversation.add(role, message.get("content"), f"{where}[{position}].content")
        for beside in ("tool_calls", "reasoning_content"):
            if message.get(beside):
                conversation.tokens += json_tokens(message[beside])


def tool_tokens(body: Mapping[str, Any]) -> int:
    """What the tools, and the shape that the answer is to have, add to a prompt."""
    sent = [body[name] for name in ("tools", "functions", "response_format") if body.get(name)]
    return json_tokens(sent) if sent else 0
