"""The right reply to a request: a completion, and the events of a stream that brings the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import orjson

from stillroom.testing.answer import Answer
from stillroom.testing.faults import Fault
from stillroom.testing.rewrites import Completion

ODD = "\ufffd"
"""Stands in a text where a fault's odd bytes are to be."""

_WORDS = re.compile(r"\S+\s*|^\s+")


def prompt_tokens(messages: list[dict[str, Any]]) -> int:
    return sum(len(text_of(message).split()) for message in messages)


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whose content is text, a list of parts, or null."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def completion(request: dict[str, Any], answers: Sequence[Answer], serial: int) -> Completion:
    """The reply with one choice for each answer. `serial` makes its id."""
    prompt = prompt_tokens(request["messages"])
    completed = sum(answer.tokens for answer in answers)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
    }
    cached = answers[0].cached_tokens
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": min(cached, prompt)}
    return {
        "id": f"chatcmpl-{serial}",
        "object": "chat.completion",
        "created": 0,
        "model": f"{request['model']}-served",
        "system_fingerprint": "fp_teacher",
        "choices": [_choice(index, answer) for index, answer in enumerate(answers)],
        "usage": usage,
    }


def billed_tokens(usage: Any) -> tuple[int, int, int] | None:
    """Prompt, cached and completion tokens of a usage; None where it does not tell them as numbers."""
    if not isinstance(usage, dict):
        return None
    prompt, completed = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completed, int):
        return None
    return prompt, (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0), completed


def body_of(reply: Completion, fault: Fault) -> bytes:
    if fault.odd_bytes is None:
        return orjson.dumps(reply)
    for choice in reply["choices"]:
        choice["message"]["content"] = (choice["message"]["content"] or "") + ODD
    return orjson.dumps(reply).replace(ODD.encode(), fault.odd_bytes)


def events_of(reply: Completion, request: dict[str, Any], fault: Fault, receipt: str | None = None) -> list[bytes]:
    """The events of the stream that brings `reply`, `data: [DONE]` at its end, and before it the receipt in a comment.

    The usage comes in a last chunk without choices, where the request's stream_options ask for it.
    """
    options = request.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    common = {name: reply[name] for name in ("id", "created", "model", "system_fingerprint")}
    common["object"] = "chat.completion.chunk"
    chunks = [common | {"choices": [delta]} for delta in _deltas(reply["choices"], fault)]
    if with_usage:
        chunks = [chunk | {"usage": None} for chunk in chunks]
        if "usage" in reply:
            chunks.append(common | {"choices": [], "usage": reply["usage"]})
    events = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    if fault.odd_bytes is not None:
        events = [event.replace(ODD.encode(), fault.odd_bytes) for event in events]
    if receipt is not None:
        events.append(b": stillroom-receipt " + receipt.encode() + b"\n\n")
    events.append(b"data: [DONE]\n\n")
    return events if fault.rewrite_events is None else fault.rewrite_events(events)


def _choice(index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.reasoning_content is not None:
        message["reasoning_content"] = answer.reasoning_content
    return {"index": index, "message": message, "finish_reason": answer.finish_reason}


def _deltas(choices: Any, fault: Fault) -> Iterator[dict[str, Any]]:
    """The choices of the chunks; several choices in turn, as they come from a server that makes them at once."""
    each = [list(_deltas_of(choice, fault)) for choice in choices] if isinstance(choices, list) else []
    for in_turn in zip_longest(*each):
        yield from (delta for delta in in_turn if delta is not None)


def _deltas_of(choice: dict[str, Any], fault: Fault) -> Iterator[dict[str, Any]]:
    message = choice["message"]
    pieces: list[dict[str, Any]] = [{"role": message["role"], "content": ""}]
    for name in ("reasoning_content", "content"):
        pieces += [{name: piece} for piece in _pieces(message.get(name), fault, ends_oddly=name == "content")]
    for piece in pieces:
        yield {"index": choice["index"], "delta": piece, "finish_reason": None}
    if choice["finish_reason"] is not None:
        yield {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}


def _pieces(content: Any, fault: Fault, *, ends_oddly: bool) -> list[Any]:
    """What the deltas of a text hold; a list of parts comes part by part."""
    if isinstance(content, list):
        return [[part] for part in content]
    text = (content or "") + (ODD if fault.odd_bytes is not None and ends_oddly else "")
    if fault.delta_characters is not None:
        size = fault.delta_characters
        return [text[at : at + size] for at in range(0, len(text), size)]
    if fault.deltas is None or not ends_oddly:
        return _WORDS.findall(text)
    size = max(1, math.ceil(len(text) / fault.deltas))
    return [text[at * size : (at + 1) * size] for at in range(fault.deltas)]
