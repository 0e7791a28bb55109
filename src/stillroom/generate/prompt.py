"""From messages to the tokens of a prompt: the one way, for serving a student and for training it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import DataError
from stillroom.text.think import CLOSE, OPEN

TEMPLATE_ERRORS = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a chat template raises: by itself for messages that it refuses, or because it did not expect what they hold."""


def template_message(
    role: str,
    content: str,
    *,
    reasoning: str | None = None,
    tool_calls: Sequence[dict[str, Any]] | None = None,
    tool_call_id: str | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """A message as chat templates expect it. Reasoning stands beside the answer: the template keeps it or drops it.

    Arguments of a tool call become an object where they are JSON in a string, as OpenAI's API has them: templates write
    them as JSON themselves, and a string would be quoted once more.
    """
    message: dict[str, Any] = {"role": role, "content": content}
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if tool_calls:
        message["tool_calls"] = [_with_arguments_read(call) for call in tool_calls]
    if tool_call_id is not None:
        message["tool_call_id"] = tool_call_id
    if name is not None:
        message["name"] = name
    return message


def conversation_text(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[dict[str, Any]],
    tools: Sequence[dict[str, Any]] | None = None,
    *,
    for_reply: bool = True,
) -> str:
    """The conversation as the chat template writes it; `for_reply` with what comes before the next reply.

    Raises DataError for messages that the template refuses.
    """
    try:
        text = tokenizer.apply_chat_template(
            list(messages), tools=list(tools) if tools else None, tokenize=False, add_generation_prompt=for_reply
        )
    except TEMPLATE_ERRORS as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise DataError(f"The chat template refuses these messages: {reason}.") from error
    assert isinstance(text, str)
    return text


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text that a chat template wrote: whatever begins it (a BOS token) is in the text already."""
    ids: list[int] = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def marks_not_shown(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Special tokens (turn marks, padding) are no part of a text; the think tags are, also where they count as such."""
    return frozenset(tokenizer.all_special_ids) - {tokenizer.convert_tokens_to_ids(mark) for mark in (OPEN, CLOSE)}


def opens_think(prompt: str) -> bool:
    """Whether the prompt has opened the think block, so that a reply begins inside it."""
    return prompt.rstrip().endswith(OPEN)


def _with_arguments_read(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else call
