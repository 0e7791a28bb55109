"""A request for a chat completion, as far as the teacher looks into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from stillroom.testing.completion import text_of
from stillroom.testing.faults import Fault


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a chat completion."""

    fields: dict[str, Any]
    question: str
    """The text of the last message."""
    headers: dict[str, str]

    @property
    def streams(self) -> bool:
        return self.fields.get("stream") is True

    @property
    def choices(self) -> int:
        return self.fields.get("n") or 1

    @property
    def limit(self) -> int | None:
        return self.fields.get("max_completion_tokens") or self.fields.get("max_tokens")

    def concerns(self, fault: Fault) -> bool:
        if fault.tokens_over_limit is not None and self.limit is None:
            return False
        if fault.only_for == "streams":
            return self.streams
        return fault.only_for == "every request" or self.choices > 1


def read_call(body: bytes, headers: dict[str, str]) -> Call | None:
    """None where the body is no request for a chat completion."""
    try:
        fields = json.loads(body)  # which takes half of a surrogate pair, as many servers do
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("model"), str):
        return None
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        return None
    counts = [fields.get(name) for name in ("n", "max_tokens", "max_completion_tokens")]
    if not all(count is None or (type(count) is int and count > 0) for count in counts):
        return None
    return Call(fields, text_of(messages[-1]), headers)
