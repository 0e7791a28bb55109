"""From replies to marks: one row of answers.parquet for each reply, and what the figures need of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stillroom.base.batches import batched
from stillroom.base.records import Question, Reply, Status, Verdict
from stillroom.client.reply import ParsedReply, read_reply
from stillroom.exam.settings import Paper
from stillroom.verify import Judgement, verify_many

REPLIES_AT_ONCE = 64
"""How many replies are in memory, and are verified side by side."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the figures need of one reply."""

    verdict: Verdict
    status: Status
    family: str | None
    cut_verdict: Verdict | None
    """Of a reply that was cut: what its text would have been judged, had nobody asked whether it is whole."""
    completion_tokens: int | None
    cost_usd: str | None
    latency_us: int


class Marks:
    """One taker's marks in one set of questions: those of each question's samples one after the other."""

    def __init__(self, taker: str, model: str, paper: Paper) -> None:
        self.taker = taker
        self.model = model
        self.paper = paper
        self.marks: list[Mark] = []
        self.newest_us = 0
        """When the newest of the replies was asked for, in microseconds."""

    @property
    def samples(self) -> int:
        return self.paper.samples

    def right(self) -> NDArray[np.int64]:
        """Right replies to each question."""
        return self._by_question([mark.verdict == "right" for mark in self.marks])

    def failed(self) -> NDArray[np.int64]:
        """Calls for each question that brought no reply."""
        return self._by_question([mark.status == "failed" for mark in self.marks])

    def families(self) -> list[str | None]:
        """Of each question."""
        return [mark.family for mark in self.marks[:: self.samples]]

    def _by_question(self, of_replies: list[bool]) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = np.array(of_replies, dtype=np.int64).reshape(-1, self.samples).sum(axis=1)
        return counts


def mark(marks: Marks, answered: Iterable[tuple[Question, Reply]]) -> Iterator[dict[str, Any]]:
    """Rows of answers.parquet, each also added to `marks`. `answered`: each question with its samples in turn."""
    for batch in batched(answered, REPLIES_AT_ONCE):
        parsed = [read_reply(reply) for _, reply in batch]
        for (question, reply), text, judged in zip(batch, parsed, _judged(batch, parsed), strict=True):
            is_cut = reply.status == "truncated"
            marks.newest_us = max(marks.newest_us, reply.asked_at)
            marks.marks.append(
                Mark(
                    verdict="wrong" if is_cut else judged.verdict,
                    status=reply.status,
                    family=question.family,
                    cut_verdict=judged.verdict if is_cut else None,
                    completion_tokens=reply.completion_tokens,
                    cost_usd=reply.cost_usd,
                    latency_us=reply.latency_us,
                )
            )
            yield _row(marks, question, reply, text, judged)


def _judged(batch: Sequence[tuple[Question, Reply]], parsed: Sequence[ParsedReply]) -> list[Judgement]:
    """What the verifier says of each reply that holds text, and of the others what they are."""
    with_text = [
        (question, text.answer)
        for (question, reply), text in zip(batch, parsed, strict=True)
        if reply.status in ("ok", "truncated")
    ]
    verified = iter(verify_many(with_text))
    return [next(verified) if reply.status in ("ok", "truncated") else _without_text(reply) for _, reply in batch]


def _without_text(reply: Reply) -> Judgement:
    if reply.status == "failed":
        return Judgement("unsure", f"the call failed: {reply.error_kind or 'no more is known'}")
    return Judgement("wrong", "the model refused" if reply.status == "refused" else "there is no answer")


def _row(marks: Marks, question: Question, reply: Reply, text: ParsedReply, judged: Judgement) -> dict[str, Any]:
    entry = question.meta.get("entry")
    is_cut = reply.status == "truncated"
    return {
        "taker": marks.taker,
        "set": marks.paper.name,
        "question_id": question.id,
        "sample": reply.sample,
        "family": question.family,
        "question": next((each.content for each in reversed(question.messages) if each.role == "user"), None),
        "expected": entry.get("answer") if question.answer is None and isinstance(entry, dict) else question.answer,
        "reasoning": text.reasoning,
        "answer": text.answer,
        "verdict": "wrong" if is_cut else judged.verdict,
        "reason": f"cut by the limit of {reply.max_tokens} tokens" if is_cut else judged.reason,
        "extracted": judged.extracted,
        "cut_verdict": judged.verdict if is_cut else None,
        "status": reply.status,
        "completion_tokens": reply.completion_tokens,
        "latency_us": reply.latency_us,
        "cost_usd": reply.cost_usd,
    }
