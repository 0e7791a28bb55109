"""What OpenAI's older /v1/completions answers, in the shape of a chat completion."""

from __future__ import annotations

from typing import Any

from stillroom.client.stream import ChunkMerge


class CompletionsMerge:
    """The chunks of a streamed completion."""

    def __init__(self) -> None:
        self._chunks = ChunkMerge()

    def add(self, event: dict[str, Any]) -> None:
        self._chunks.add(_with_messages(event, "delta"))

    def completion(self) -> dict[str, Any]:
        return self._chunks.completion()


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """The body as a chat completion would say it."""
    return _with_messages(body, "message")


def _with_messages(body: dict[str, Any], name: str) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list):
        return body
    said = [
        choice | {name: {"content": choice.get("text")}} if isinstance(choice, dict) else choice for choice in choices
    ]
    return body | {"choices": said}
