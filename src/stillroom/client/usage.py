"""The token counts of a reply, as a dozen providers spell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST = 10**9
"""Beyond this a number is no count of one call's tokens, whatever a server says."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None is unknown."""

    prompt_tokens: int | None = None
    """Cached ones included."""
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    """Reasoning included."""
    reasoning_tokens: int | None = None


_UNKNOWN = Usage()


def read_usage(reply: Mapping[str, Any]) -> Usage:
    """The counts in a reply's `usage`; all unknown where that is missing, null or of another shape.

    A call that used neither prompt nor completion tokens is a server that did not count: unknown too.
    """
    usage = reply.get("usage") or _mapping(reply.get("x_groq")).get("usage")
    if not isinstance(usage, dict):
        return _UNKNOWN
    prompt_details = _mapping(usage.get("prompt_tokens_details"))
    completion_details = _mapping(usage.get("completion_tokens_details"))
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if not prompt and not completion:
        return _UNKNOWN
    cached = _first_count(
        prompt_details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")
    )
    reasoning = _first_count(completion_details.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    completion, reasoning = _with_reasoning(prompt, completion, reasoning, _count(usage.get("total_tokens")))
    return Usage(prompt, cached, completion, reasoning)


def _with_reasoning(
    prompt: int | None, completion: int | None, reasoning: int | None, total: int | None
) -> tuple[int | None, int | None]:
    """Completion tokens with reasoning among them, and reasoning tokens.

    Gemini and xAI count reasoning outside `completion_tokens`, and Gemini gives it no name: only the total shows it.
    """
    if prompt is None or completion is None:
        return completion, reasoning
    if total is None:
        outside = reasoning if reasoning is not None and reasoning > completion else 0
    else:
        outside = max(0, total - prompt - completion)
    return completion + outside, outside if reasoning is None and outside else reasoning


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.strip().isdigit() and len(value) < 20 else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < _MOST else None


def _first_count(*values: object) -> int | None:
    for value in values:
        count = _count(value)
        if count is not None:
            return count
    return None
