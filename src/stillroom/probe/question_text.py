"""A question as a reader sees it."""

from __future__ import annotations

import orjson

from stillroom.base.errors import DataError
from stillroom.store.siblings import Pair


def question_text(pair: Pair) -> str:
    """The contents of the pair's messages, one after the other. Raises DataError where they are no messages."""
    remedy = "Take the file again from whoever made it."
    try:
        messages = orjson.loads(pair.messages)
    except orjson.JSONDecodeError as error:
        raise DataError(f"The messages of pair {pair.pair_id} are not JSON.", remedy) from error
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError(f"The messages of pair {pair.pair_id} are no list of messages.", remedy)
    contents = [message.get("content") for message in messages]
    return "\n\n".join(content if isinstance(content, str) else orjson.dumps(content).decode() for content in contents)
