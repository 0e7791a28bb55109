"""The messages of a question, read from somebody else's file."""

from __future__ import annotations

from typing import Any

import orjson

from stillroom.base.errors import DataError


def messages_of(question_id: str, messages: str) -> list[dict[str, str]]:
    """Roles and texts. Raises DataError, naming the question, where the JSON is none of messages."""
    try:
        listed = orjson.loads(messages)
    except orjson.JSONDecodeError as error:
        raise DataError(f"The messages of question {question_id} are not JSON: {error}.") from error
    if not isinstance(listed, list) or not listed or not all(map(_is_message, listed)):
        raise DataError(
            f"The messages of question {question_id} are not a list of messages with a role and a text.",
            "Take the questions again from whoever made them.",
        )
    return [{"role": each["role"], "content": each["content"]} for each in listed]


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and isinstance(value.get("content"), str)
