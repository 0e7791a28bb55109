"""From replies to marks: one row of answers.parquet for each reply, and one taker's figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import islice
from statistics import mean, median
from typing import Any, TypeVar

from stillroom.base.records import Question, Reply
from stillroom.client.reply import ParsedReply, read_reply
from stillroom.exam.statistics import share
from stillroom.verify import Judgement, verify_many

REPLIES_AT_ONCE = 64
"""How many replies are in memory, and are verified side by side."""

_T = TypeVar("_T")


class Marks:
    """One taker's marks, in the order of the questions."""

    def __init__(self, taker: str, model: str) -> None:
        self.taker = taker
        self.model = model
        self.right: list[bool] = []
        self._families: list[str | None] = []
        self._verdicts: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._completion_tokens: list[int] = []
        self._costs_usd: list[str | None] = []

    def add(self, row: dict[str, Any], reply: Reply) -> None:
        self.right.append(row["verdict"] == "right")
        self._families.append(row["family"])
        self._verdicts[row["verdict"]] += 1
        self._statuses[reply.status] += 1
        if reply.status == "failed":
            return  # what a failed call used and cost is not known, and is no property of the taker
        if reply.completion_tokens is not None:
            self._completion_tokens.append(reply.completion_tokens)
        self._costs_usd.append(reply.cost_usd)

    def figures(self) -> dict[str, Any]:
        """What exam.json says of this taker. Shares lie in [0, 1]; tokens and costs that are not known are None."""
        n = len(self.right)
        return {
            **asdict(share(sum(self.right), n)),
            "right": self._verdicts["right"],
            "wrong": self._verdicts["wrong"],
            "unsure": self._verdicts["unsure"],
            "truncated_share": self._statuses["truncated"] / n,
            "failed": self._statuses["failed"],
            "completion_tokens_mean": mean(self._completion_tokens) if self._completion_tokens else None,
            "completion_tokens_median": median(self._completion_tokens) if self._completion_tokens else None,
            "cost_usd_per_1000": self._cost_usd_per_1000(),
            "model": self.model,
            "families": {family: asdict(share(*counts)) for family, counts in self._by_family()},
        }

    def _by_family(self) -> list[tuple[str, tuple[int, int]]]:
        right = Counter(family for family, is_right in zip(self._families, self.right, strict=True) if is_right)
        return sorted((family, (right[family], n)) for family, n in Counter(self._families).items() if family)

    def _cost_usd_per_1000(self) -> str | None:
        known = [Decimal(cost) for cost in self._costs_usd if cost is not None]
        if not known or len(known) < len(self._costs_usd):
            return None  # it costs nothing, or part of it is not known: no sum of the rest stands for the whole
        per_1000 = 1000 * sum(known, Decimal(0)) / len(known)
        return format(per_1000.quantize(Decimal("0.000001")).normalize(), "f")


def mark(marks: Marks, answered: Iterable[tuple[Question, Reply]]) -> Iterator[dict[str, Any]]:
    """Rows of answers.parquet, each also added to `marks`."""
    for batch in _batches(answered, REPLIES_AT_ONCE):
        parsed = [read_reply(reply) for _, reply in batch]
        for (question, reply), text, judgement in zip(batch, parsed, _judged(batch, parsed), strict=True):
            row = _row(marks.taker, question, reply, text, judgement)
            marks.add(row, reply)
            yield row


def _judged(batch: Sequence[tuple[Question, Reply]], parsed: Sequence[ParsedReply]) -> list[Judgement]:
    """A verdict for each reply. One that was cut, refused or is empty is wrong, whatever its first half says."""
    whole = [
        (question, text.answer) for (question, reply), text in zip(batch, parsed, strict=True) if reply.status == "ok"
    ]
    verified = iter(verify_many(whole))
    return [next(verified) if reply.status == "ok" else _unfinished(reply) for _, reply in batch]


def _unfinished(reply: Reply) -> Judgement:
    if reply.status == "failed":
        return Judgement("unsure", f"the call failed: {reply.error_kind or 'no more is known'}")
    if reply.status == "truncated":
        return Judgement("wrong", f"cut by the limit of {reply.max_tokens} tokens")
    return Judgement("wrong", "the model refused" if reply.status == "refused" else "there is no answer")


def _row(taker: str, question: Question, reply: Reply, text: ParsedReply, judgement: Judgement) -> dict[str, Any]:
    entry = question.meta.get("entry")
    return {
        "taker": taker,
        "question_id": question.id,
        "family": question.family,
        "question": next((each.content for each in reversed(question.messages) if each.role == "user"), None),
        "expected": entry.get("answer") if question.answer is None and isinstance(entry, dict) else question.answer,
        "reasoning": text.reasoning,
        "answer": text.answer,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "extracted": judgement.extracted,
        "status": reply.status,
        "completion_tokens": reply.completion_tokens,
    }


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
