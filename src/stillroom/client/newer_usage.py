"""Token counts of the newer APIs, in the words of a chat completion, so that one reader reads them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard


def chat_usage(usage: object) -> dict[str, Any] | None:
    """The usage of a response (OpenAI) or a message (Anthropic) as a chat completion would say it.

    Anthropic counts what was read from its cache, and what was written there, beside `input_tokens`; here all of it is
    the prompt. None where it is no object.
    """
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    prompt = usage.get("input_tokens")
    if _is_count(prompt):
        prompt = sum(count for count in (prompt, read, written) if _is_count(count))
    cached = _mapping(usage.get("input_tokens_details")).get("cached_tokens", read)
    details = _mapping(usage.get("output_tokens_details"))
    reasoning = details.get("reasoning_tokens", details.get("thinking_tokens"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
