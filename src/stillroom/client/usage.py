"""The token counts of a reply, as a dozen providers spell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST = 2**53
"""Beyond this a number is no count of tokens, whatever a server says."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None is unknown."""

    prompt_tokens: int | None = None
    """Cached ones included."""
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    """Reasoning included."""
    reasoning_tokens: int | None = None


def read_usage(reply: Mapping[str, Any]) -> Usage:
    """The counts in a reply's `usage`; all unknown where that is missing, null or of another shape."""
    usage = _mapping(reply.get("usage"))
    prompt_details = _mapping(usage.get("prompt_tokens_details"))
    completion_details = _mapping(usage.get("completion_tokens_details"))
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_first_count(
            prompt_details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")
        ),
        completion_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_first_count(completion_details.get("reasoning_tokens"), usage.get("reasoning_tokens")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _MOST else None


def _first_count(*values: object) -> int | None:
    return next((count for value in values if (count := _count(value)) is not None), None)
