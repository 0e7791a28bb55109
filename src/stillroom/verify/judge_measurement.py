"""How often a judge errs: counted on answers that a verifier is sure of. All intervals are at 95 %."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from heapq import nsmallest
from typing import Any, Literal, NamedTuple

from stillroom.base.records import Question
from stillroom.verify.judge_reply import JudgeReply
from stillroom.verify.judgement import Judgement

SureVerdict = Literal["right", "wrong"]


class KnownItem(NamedTuple):
    """An answer with the verdict of a verifier that is sure."""

    question: Question
    answer: str
    verdict: SureVerdict


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `n`, with Wilson's score interval (Wilson 1927); the share and its bounds are None where n is 0."""

    count: int
    n: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class JudgeMeasurement:
    """What a judge said of answers whose verdict is known."""

    asked: int
    unsure: int
    """Of these the judge came to no verdict: they are in none of the first two figures below."""
    agreement: Rate
    """Of those that it judged, where it says the same as the verifier."""
    kappa: float | None
    """Cohen's kappa (Cohen 1960) over the same: 1 is full agreement, 0 what chance would give. None where it is not
    defined: with no answer judged, or all of them alike on both sides."""
    called_right: Rate
    """Of the wrong answers, those that it called right."""
    called_wrong: Rate
    """Of the right answers, those that it called wrong."""
    replies: int
    """Of the judge about these answers: two or more for each, where it compares or is asked several times."""
    repaired: int
    """Of the replies: whose JSON had to be mended."""
    unreadable: int
    """Of the replies: that were no verdict."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def known_sample(known: Iterable[KnownItem], size: int) -> list[KnownItem]:
    """At most `size` of them, right and wrong ones in equal numbers as far as there are so many.

    Which ones depends on the texts alone, so that added rows change few of them. Both of a judge's error rates are
    measured equally well so; its agreement is that on such a mixture, not on the answers as they came.
    """
    by_verdict: dict[str, list[KnownItem]] = {"right": [], "wrong": []}
    for item in known:
        by_verdict[item.verdict].append(item)
        if len(by_verdict[item.verdict]) > 4 * size + 1000:  # memory stays bounded, however many there are
            by_verdict[item.verdict] = nsmallest(size, by_verdict[item.verdict], key=_rank)
    right, wrong = (nsmallest(size, listed, key=_rank) for listed in by_verdict.values())
    of_wrong = min(len(wrong), max(size // 2, size - len(right)))
    return right[: size - of_wrong] + wrong[:of_wrong]


def measure_judge(
    pairs: Sequence[tuple[SureVerdict, Judgement]], replies: Sequence[JudgeReply] = ()
) -> JudgeMeasurement:
    """`pairs`: what is known of each answer, and what the judge said of it. `replies`: all that it said."""
    judged = [(known, said.verdict) for known, said in pairs if said.verdict in ("right", "wrong")]
    said_of = {known: [said.verdict for each, said in pairs if each == known] for known in ("right", "wrong")}
    return JudgeMeasurement(
        asked=len(pairs),
        unsure=len(pairs) - len(judged),
        agreement=_rate(sum(known == said for known, said in judged), len(judged)),
        kappa=_kappa(judged),
        called_right=_rate(said_of["wrong"].count("right"), len(said_of["wrong"])),
        called_wrong=_rate(said_of["right"].count("wrong"), len(said_of["right"])),
        replies=len(replies),
        repaired=sum(reply.is_repaired for reply in replies),
        unreadable=sum(reply.verdict is None for reply in replies),
    )


def _rank(item: KnownItem) -> bytes:
    return hashlib.blake2b(f"{item.question.id}\0{item.answer}".encode("utf-8", "replace"), digest_size=16).digest()


def _rate(count: int, n: int) -> Rate:
    from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

    if n == 0:
        return Rate(count, n, None, None, None)
    low, high = proportion_confint(count, n, method="wilson")
    # Rounding can leave the bound a hair on the wrong side of the estimate when none or all are counted.
    return Rate(count, n, count / n, min(max(float(low), 0.0), count / n), max(min(float(high), 1.0), count / n))


def _kappa(judged: Sequence[tuple[str, str]]) -> float | None:
    n = len(judged)
    if n == 0:
        return None
    observed = sum(known == said for known, said in judged) / n
    known_right, said_right = (sum(pair[side] == "right" for pair in judged) / n for side in (0, 1))
    by_chance = known_right * said_right + (1 - known_right) * (1 - said_right)
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)
