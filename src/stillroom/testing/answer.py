"""What the teacher says when it behaves, and how it counts: one word is one token."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FILLER = "hm"
"""The word that an answer is made longer with."""


@dataclass(frozen=True, slots=True)
class Answer:
    content: str | None
    reasoning_content: str | None = None
    finish_reason: str = "stop"
    completion_tokens: int | None = None
    """None: the number of words, reasoning included."""
    cached_tokens: int | None = None
    """How many tokens of the prompt came from a cache; None: the reply says nothing about it."""

    @property
    def tokens(self) -> int:
        if self.completion_tokens is not None:
            return self.completion_tokens
        return len((self.reasoning_content or "").split()) + len((self.content or "").split())


Answers = Answer | Sequence[Answer]
"""One answer for every time, or several to be given in turn: to the choices of one request and to later requests."""


def short_answer(question: str) -> Answer:
    """The same question always gets the same answer, and two questions different ones."""
    number = hashlib.sha256(question.encode("utf-8", errors="replace")).hexdigest()[:8]
    return Answer(f"The answer is {number}.", f"I looked at {question!r} and found {number}.")


def within_limit(answer: Answer, limit: int | None) -> Answer:
    """The answer, cut after `limit` tokens with finish reason `length` where it is longer."""
    if limit is None or answer.tokens <= limit:
        return answer
    reasoning, left = _first_words(answer.reasoning_content, limit)
    content, _ = _first_words(answer.content, left)
    return replace(
        answer,
        content=content,
        reasoning_content=reasoning,
        finish_reason="length",
        completion_tokens=limit if answer.completion_tokens is not None else None,
    )


def beyond_limit(answer: Answer, limit: int, tokens: int) -> Answer:
    """The answer, with as many words at its end as make it `tokens` longer than `limit`."""
    missing = limit + tokens - answer.tokens
    if missing <= 0:
        return answer
    content = " ".join([*(answer.content or "").split(" "), *[FILLER] * missing]).strip()
    told = answer.completion_tokens
    return replace(answer, content=content, completion_tokens=None if told is None else told + missing)


def _first_words(text: str | None, count: int) -> tuple[str | None, int]:
    """The first `count` words of the text, and how many of `count` are left."""
    words = [] if text is None else text.split()
    if len(words) <= count:
        return text, count - len(words)
    return " ".join(words[:count]), 0
