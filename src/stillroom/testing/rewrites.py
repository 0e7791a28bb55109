"""What some faults do to a right reply before it is sent. Each changes the reply that it is handed."""

from __future__ import annotations

import json
from typing import Any

Completion = dict[str, Any]
"""A chat completion as a server sends it."""


def choices_removed(reply: Completion, prompt_tokens: int) -> Completion:
    return reply | {"choices": [], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 0}}


def content_nulled(reply: Completion, finish_reason: str) -> Completion:
    for choice in reply["choices"]:
        choice["message"] = {"role": "assistant", "content": None}
        choice["finish_reason"] = finish_reason
    return reply | {"usage": None}


def usage_removed(reply: Completion) -> Completion:
    del reply["usage"]
    return reply


def usage_written_as_text(reply: Completion) -> Completion:
    return reply | {"usage": {name: json.dumps(value) for name, value in reply["usage"].items()}}


def types_mixed_up(reply: Completion) -> Completion:
    return reply | {"id": 1, "model": ["a"], "choices": {"0": "text"}, "usage": [1, 2, 3]}


def content_split_into_parts(reply: Completion) -> Completion:
    for choice in reply["choices"]:
        message = choice["message"]
        parts: list[dict[str, Any]] = [{"type": "text", "text": message["content"] or ""}]
        reasoning = message.pop("reasoning_content", None)
        if reasoning is not None:
            parts.insert(0, {"type": "thinking", "thinking": [{"type": "text", "text": reasoning}]})
        message["content"] = parts
    return reply


def think_block_opened(reply: Completion) -> Completion:
    """Reasoning in the content, in a block that never closes, and no answer."""
    for choice in reply["choices"]:
        message = choice["message"]
        message["content"] = f"<think>\n{message.pop('reasoning_content', None) or message['content']}"
    return reply


def think_block_written(reply: Completion) -> Completion:
    """Reasoning in the content, in a think block, and the answer after it."""
    for choice in reply["choices"]:
        message = choice["message"]
        reasoning = message.pop("reasoning_content", None) or ""
        message["content"] = f"<think>\n{reasoning}\n</think>\n\n{message['content'] or ''}"
    return reply


def content_padded(reply: Completion, megabytes: float) -> Completion:
    """One very long word at the end of each choice."""
    for choice in reply["choices"]:
        message = choice["message"]
        message["content"] = (message["content"] or "") + "x" * int(megabytes * 1e6)
    return reply


def content_filtered_out(reply: Completion) -> Completion:
    for choice in reply["choices"]:
        choice["message"] = {"role": "assistant", "content": ""}
        choice["finish_reason"] = "content_filter"
    prompt = reply["usage"]["prompt_tokens"]
    return reply | {"usage": {"prompt_tokens": prompt, "completion_tokens": 0, "total_tokens": prompt}}


def served_by(reply: Completion, model: str, fingerprint: str) -> Completion:
    return reply | {"model": model, "system_fingerprint": fingerprint}


def finish_reason_removed(reply: Completion) -> Completion:
    for choice in reply["choices"]:
        choice["finish_reason"] = None
    return reply


# -- streams: a list of events, each of them the bytes `data: ...` with the empty line that ends it ------------------


def with_comments(events: list[bytes]) -> list[bytes]:
    return [line for event in events for line in (event, b": keep-alive\n\n")]


def ended_half_way(events: list[bytes]) -> list[bytes]:
    return events[: max(1, len(events) // 2)]


def with_error_half_way(events: list[bytes], code: int | str | None, message: str) -> list[bytes]:
    error = json.dumps({"error": {"message": message, "type": "error", "code": code}}).encode()
    return [*ended_half_way(events), b"data: " + error + b"\n\n"]
