"""What a request's body asks for, as far as a call's row says it. Read as the gateway reads it, but never refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stillroom.text.request_signs import asks_grading, asks_logprobs, asks_reasoning

_MODELS_TURN = ("function_call", "custom_tool_call", "reasoning")


@dataclass(slots=True)
class Texts:
    """Of a conversation."""

    turns: int | None = None
    """Messages of the user; None where there are no messages."""
    new: list[str] = field(default_factory=list)
    """What the user wrote after the model's last turn."""
    system: list[str] = field(default_factory=list)

    @property
    def user_text(self) -> str:
        return "\n\n".join(filter(None, self.new))

    @property
    def system_text(self) -> str:
        return "\n\n".join(filter(None, self.system))

    def add(self, message: Any) -> None:
        """A message of any of the APIs; anything else changes nothing."""
        if not isinstance(message, dict):
            return
        role, content = message.get("role"), message.get("content")
        if role == "assistant" or (not isinstance(role, str) and message.get("type") in _MODELS_TURN):
            self.new.clear()
        elif role in ("system", "developer"):
            self.system.append(_text(content))
        elif role == "user" and content and not _is_tool_result(content):
            self.new.append(_text(content))
            self.turns = (self.turns or 0) + 1


def texts_of_messages(messages: list[Any]) -> Texts:
    """Of `messages`, or of the items of a response's `input`."""
    texts = Texts(turns=0)
    for message in messages:
        texts.add(message)
    return texts


def texts_of_request(body: Mapping[str, Any], route: str | None) -> Texts:
    """Of a body of any of the routes. `route`: None where it is not known."""
    messages, asked = body.get("messages"), body.get("input", body.get("prompt"))
    if isinstance(messages, list):
        texts = texts_of_messages(messages)
    elif isinstance(asked, list) and any(isinstance(each, dict) for each in asked):
        texts = texts_of_messages(asked)
    else:
        prompts = asked if isinstance(asked, list) else [asked]
        texts = Texts(new=[each for each in prompts if isinstance(each, str)])
        if isinstance(body.get("input"), str) and route != "embeddings":
            texts.turns = 1
    texts.system[:0] = [_text(body[name]) for name in ("system", "instructions") if body.get(name)]
    return texts


def fields_of_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the body says beside its texts, by the names of a mapping's columns, as it was sent; none is left out."""
    metadata = body.get("metadata")
    user = body.get("user") or body.get("safety_identifier")
    if user is None and isinstance(metadata, dict):
        user = metadata.get("user_id")
    longest = (body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    return {
        "model": body.get("model"),
        "stream": body.get("stream") is True,
        "max_tokens": next((each for each in longest if each is not None), None),
        "temperature": body.get("temperature"),
        "n": body.get("n"),
        "user": user,
        "asks_reasoning": asks_reasoning(body),
        "asks_logprobs": asks_logprobs(body),
    }


def reads_like_grading(texts: Texts) -> bool:
    return asks_grading(texts.user_text, texts.system_text)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (
        part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None for part in content
    )
    return "".join(text for text in texts if isinstance(text, str))


def _is_tool_result(content: Any) -> bool:
    """Anthropic sends what tools said as a message of the user, who said nothing."""
    return isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )
