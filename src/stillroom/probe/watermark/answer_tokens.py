"""A suspect's answers as tokens of the tokenizer that marked the replies, whatever tokenizer the suspect has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import orjson

from stillroom.base.errors import DataError
from stillroom.probe.asked import is_usable
from stillroom.probe.watermark.token_pairs import TokenPairs, token_pairs
from stillroom.store.siblings import Answer

Encode = Callable[[str], list[int]]
"""A text's tokens, and no others (`generate.prompt.encode`)."""


def pairs_of_answers(answers: Iterable[Answer], questions: Mapping[str, str], encode: Encode) -> TokenPairs:
    """What is scored of the answers that say something. `questions`: messages as JSON, by question id.

    Raises DataError for an answer to a question that is not among them: what it copies could not be told.
    """
    usable = [answer for answer in answers if is_usable(answer)]
    unknown = {answer.question_id for answer in usable} - questions.keys()
    if unknown:
        raise DataError(
            f"{len(unknown):,} of the answered questions are not among the questions, such as {min(unknown)}.",
            "Name the folder or pack whose questions were asked.",
        )
    asked = {each: encode(_text(each, questions[each])) for each in {answer.question_id for answer in usable}}
    return token_pairs((asked[answer.question_id], encode(answer.text)) for answer in usable)


def pairs_of_texts(texts: Iterable[str], encode: Encode) -> TokenPairs:
    """Of texts that answer nothing that is known."""
    return token_pairs(((), encode(text)) for text in texts)


def _text(question_id: str, messages: str) -> str:
    try:
        return "\n\n".join(str(message["content"]) for message in orjson.loads(messages))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"The question {question_id} is no list of messages.", "Take its file again.") from error
