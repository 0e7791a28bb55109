"""Asking on until enough replies to a question are right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from stillroom.base.records import Question, Reply
from stillroom.client.reply import read_reply
from stillroom.client.request import ChatRequest

IsRight = Callable[[Question, str], bool]
"""Whether an answer to a question is right, as far as anyone can tell. Any thread may call it."""


class AskUntilRight:
    """Hears of each request that is complete, and asks for as many more samples as could still be needed.

    `wanted` right replies are enough for a question; `most` samples are asked at most. A question that nobody can judge
    is asked `wanted` times.
    """

    def __init__(self, wanted: int, most: int, is_right: IsRight) -> None:
        self._wanted, self._most, self._is_right = wanted, most, is_right
        self._right: dict[str, int] = {}
        """Right replies so far, of the questions that are being asked now."""

    async def __call__(self, request: ChatRequest, replies: Sequence[Reply]) -> ChatRequest | None:
        question = request.question
        if question is None or question.kind == "none":
            return None
        right = self._right.pop(question.id, 0) + await asyncio.to_thread(self._count_right, question, replies)
        asked = request.samples[-1] + 1
        more = min(self._wanted - right, self._most - asked)
        if more <= 0:
            return None
        self._right[question.id] = right
        return request.only(range(asked, asked + more))

    def _count_right(self, question: Question, replies: Sequence[Reply]) -> int:
        return sum(reply.status == "ok" and self._is_right(question, read_reply(reply).answer) for reply in replies)
