"""A question as a reader sees it."""

from __future__ import annotations

from stillroom.base.errors import DataError
from stillroom.probe.pack_messages import messages_of
from stillroom.store.siblings import Pair


def question_text(pair: Pair) -> str:
    """The contents of the pair's messages, one after the other. Raises DataError where they are no messages."""
    try:
        messages = messages_of(pair.question_id, pair.messages)
    except DataError as error:
        raise DataError(
            f"The messages of pair {pair.pair_id} are no list of messages with a role and a text.",
            "Take the file again from whoever made it.",
        ) from error
    return "\n\n".join(message["content"] for message in messages)
