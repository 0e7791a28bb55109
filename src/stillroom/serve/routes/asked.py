"""What a call asks for, as far as the gateway has to know it; and how its fields are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from stillroom.base.records import Route
from stillroom.serve.meter.estimate import estimated_tokens
from stillroom.serve.routes.errors import ApiError

MOST_CHOICES = 128
MOST_TOKENS = 2**31 - 1
"""Also the highest number that a token may have."""
LONGEST_NAME = 256
_IMAGE_TOKENS = 1000
"""What a picture, a sound or a file among the messages is taken for."""
_MESSAGE_TOKENS = 2
"""What a chat template writes around a message, beyond what every text is given."""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """One request, read. Texts are as they were sent."""

    route: Route
    model: str
    stream: bool
    include_usage: bool
    """The client wants to see the usage of a stream; the other routes always send it."""
    turns: int | None
    """Messages of the user in it; None where the API has none."""
    max_tokens: int | None
    """Of one reply."""
    temperature: float | None
    n: int | None
    """Choices of each prompt, as the client said it."""
    replies: int
    """How many the model will write at most: `n`, or `best_of`, for each prompt."""
    asks_reasoning: bool
    asks_logprobs: bool
    asks_grading: bool
    user: str | None
    """Whom the client says that it asks for: a label, never an identity."""
    prompt: object
    """The field that holds what is asked, as it was sent: `messages`, `prompt` or `input`."""
    last_user_text: str | None
    """Of the last message of the user; None where there is none."""
    new_user_text: str
    """All that the user wrote after the model's last turn."""
    system_text: str
    prompt_token_estimate: int
    """From the length of all that is sent to the model, for a reservation. Not an upper bound."""

    @property
    def most_completion_tokens(self) -> int | None:
        """The most that can be written for this call, over all its replies; None: the request sets no limit."""
        return None if self.max_tokens is None else self.max_tokens * self.replies


@dataclass(slots=True)
class Conversation:
    """The texts of a conversation, message by message."""

    turns: int = 0
    system: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    last: str | None = None
    tokens: int = 0

    @property
    def new_text(self) -> str:
        return "\n\n".join(filter(None, self.new))

    @property
    def system_text(self) -> str:
        return "\n\n".join(filter(None, self.system))

    def add(self, role: str, content: object, param: str) -> None:
        """`content` as the APIs have it: a text, parts, or null. Raises ApiError 400 for anything else."""
        text, tokens = read_content(content, param)
        self.tokens += tokens + _MESSAGE_TOKENS
        if role == "assistant":
            self.new.clear()
        elif role in ("system", "developer"):
            self.system.append(text)
        elif role == "user" and content and not _is_tool_result(content):
            self.last = text
            self.new.append(text)
            self.turns += 1


@dataclass(frozen=True, slots=True)
class Prompts:
    """Of a call that has no messages: one prompt or several, as texts or as tokens."""

    count: int
    texts: list[str]
    tokens: int
    """About as many as there are; exact where tokens were sent."""


def read_prompts(value: object, param: str) -> Prompts:
    """A text, texts, tokens, or lists of tokens. Raises ApiError 400 for anything else, and for none."""
    if isinstance(value, str):
        return Prompts(1, [value], estimated_tokens(value))
    if isinstance(value, list) and value:
        if all(isinstance(each, str) for each in value):
            return Prompts(len(value), value, sum(map(estimated_tokens, value)))
        if all(map(_is_token, value)):
            return Prompts(1, [], len(value))
        if all(isinstance(each, list) and all(map(_is_token, each)) for each in value):
            return Prompts(len(value), [], sum(map(len, value)))
    message = f"{param} must be a text, a list of texts, a list of tokens, or a list of such lists, and not empty."
    raise ApiError(400, message, code="invalid_type", param=param)


def _is_token(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer() and 0 <= value <= MOST_TOKENS
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


def read_content(content: object, param: str) -> tuple[str, int]:
    """The text of a message, its parts joined, and about how many tokens all of it is."""
    if isinstance(content, str):
        return content, estimated_tokens(content)
    if content is None:
        return "", 0
    if not isinstance(content, list):
        raise ApiError(400, f"{param} must be a text or a list of parts.", param=param)
    texts: list[str] = []
    tokens = 0
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            texts.append(text)
            tokens += estimated_tokens(text)
        else:
            tokens += _other_part(part)
    return "".join(texts), tokens


def _is_tool_result(content: object) -> bool:
    """Anthropic sends what tools said as a message of the user, who said nothing."""
    return isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )


def _other_part(part: object) -> int:
    """What a tool's result holds is text too; whatever else there is, is a picture, a sound or a file."""
    content = part.get("content") if isinstance(part, dict) else None
    if isinstance(content, str):
        return estimated_tokens(content)
    if isinstance(content, list):
        texts = [inner.get("text") for inner in content if isinstance(inner, dict)]
        return sum(estimated_tokens(text) if isinstance(text, str) else _IMAGE_TOKENS for text in texts)
    return _IMAGE_TOKENS


def written(value: object) -> bytes:
    """JSON, in the shortest form. Raises ApiError 400 for what nests deeper than anybody could mean."""
    try:
        return orjson.dumps(value)
    except TypeError as error:  # orjson's own limit: 254 levels
        raise too_deep() from error


def too_deep() -> ApiError:
    return ApiError(400, "The body is nested too deeply.", code="not_json")


def json_tokens(value: object) -> int:
    """About how many tokens something takes that is sent as it is."""
    return estimated_tokens(written(value).decode())


# --- fields ----------------------------------------------------------------------------------------------------------


def text_field(body: Mapping[str, Any], name: str, within: str = "") -> str | None:
    """`within`: the field that `body` is, and a dot."""
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(f"{within}{name}", "a text")


def model_field(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_NAME:
        raise _wrong("model", f"the name of a model, of 1 to {LONGEST_NAME} characters")
    return model


def flag_field(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _wrong(name, "true or false")


def count_field(body: Mapping[str, Any], name: str, least: int = 1, most: int = MOST_TOKENS) -> int | None:
    value = body.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(name, f"a whole number from {least} to {most}")
    return value


def number_field(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, "a number")
    return float(value)


def object_field(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Empty where it is missing or null."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "an object")
    return value


def include_usage(body: Mapping[str, Any]) -> bool:
    return object_field(body, "stream_options").get("include_usage") is True


def _wrong(name: str, expected: str) -> ApiError:
    return ApiError(400, f"{name} must be {expected}.", code="invalid_type", param=name)


Where = Literal["messages", "input"]


def message_object(message: object, where: Where, position: int) -> Mapping[str, Any]:
    if isinstance(message, dict):
        return message
    raise ApiError(400, f"{where}[{position}] must be an object.", code="invalid_type", param=f"{where}[{position}]")
