"""One taker's figures in exam.json: how much was right, how sure that is, what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from math import sqrt
from statistics import fmean, mean, median
from typing import Any

import numpy as np

from stillroom.exam.marking import Mark, Marks
from stillroom.exam.resampling import Values, mean_interval, pass_at_k, powers_up_to
from stillroom.exam.statistics import Share, share


def figures(parts: Sequence[Marks]) -> dict[str, Any]:
    """Of one taker in one set of questions, or in several together, in which every question weighs the same.

    Shares lie in [0, 1]; what is not known is None. `right + wrong + unsure = replies`, failed calls among the unsure.
    """
    marks = [mark for part in parts for mark in part.marks]
    verdicts = Counter(mark.verdict for mark in marks)
    statuses = Counter(mark.status for mark in marks)
    return {
        **_accuracy(parts),
        "replies": len(marks),
        "right": verdicts["right"],
        "wrong": verdicts["wrong"],
        "unsure": verdicts["unsure"],
        "failed": statuses["failed"],
        "truncated_share": statuses["truncated"] / len(marks),
        **_split_by_limit(parts),
        "pass_at": _pass_at(parts),
        **_tokens(marks, verdicts["right"]),
        **_costs(marks, verdicts["right"]),
        **_latency(marks),
        "model": parts[0].model,
        "families": _families(parts),
    }


def _accuracy(parts: Sequence[Marks]) -> dict[str, Any]:
    """The mean over questions of the share of right samples. Where calls failed, the interval covers whatever they
    would have brought: from its lower end if all were wrong, to its upper end if all were right.
    """
    found = _mean([part.right() / part.samples for part in parts], are_single=_are_single(parts))
    at_most = found
    if any(part.failed().any() for part in parts):
        at_most = _mean(
            [(part.right() + part.failed()) / part.samples for part in parts], are_single=_are_single(parts)
        )
    return {**asdict(found), "high": at_most.high, "accuracy_at_most": at_most.accuracy}


def _mean(parts: Sequence[Values], *, are_single: bool) -> Share:
    """`are_single`: each question was asked once, so that values are 0 or 1."""
    n = sum(part.size for part in parts)
    total = sum(float(part.sum()) for part in parts)
    if are_single:
        return share(round(total), n)
    low, high = mean_interval(parts)
    return Share(total / n, low, high, n)


def _are_single(parts: Sequence[Marks]) -> bool:
    return all(part.samples == 1 for part in parts)


def _pass_at(parts: Sequence[Marks]) -> dict[str, dict[str, Any]] | None:
    """pass@k for k = 1, 2, 4, ... up to the number of samples; None where a question was asked only once."""
    least = min(part.samples for part in parts)
    if least == 1:
        return None
    found = {}
    for k in powers_up_to(least):
        chances = [[pass_at_k(part.samples, right, k) for right in range(part.samples + 1)] for part in parts]
        values = [np.array(table)[part.right()] for table, part in zip(chances, parts, strict=True)]
        found[str(k)] = asdict(_mean(values, are_single=False))
    return found


def _split_by_limit(parts: Sequence[Marks]) -> dict[str, Any]:
    """Replies that ended by themselves, and those cut by the limit, these judged as if they were whole.

    Their intervals are as wide as if each question had been asked once.
    """
    whole, cut = [0, 0, 0], [0, 0, 0]
    for part in parts:
        for start in range(0, len(part.marks), part.samples):
            samples = part.marks[start : start + part.samples]
            _count(whole, [mark.verdict == "right" for mark in samples if mark.status not in ("truncated", "failed")])
            _count(cut, [mark.cut_verdict == "right" for mark in samples if mark.status == "truncated"])
    return {"complete": _part_of(*whole), "cut": _part_of(*cut)}


def _count(counts: list[int], are_right: list[bool]) -> None:
    counts[0] += len(are_right)
    counts[1] += sum(are_right)
    counts[2] += bool(are_right)


def _part_of(replies: int, right: int, questions: int) -> dict[str, Any] | None:
    if not replies:
        return None
    part = share(right / replies * questions, questions)
    return {"replies": replies, "right": right, "accuracy": right / replies, "low": part.low, "high": part.high}


def _tokens(marks: Sequence[Mark], right: int) -> dict[str, Any]:
    answered = [mark.completion_tokens for mark in marks if mark.status != "failed"]
    known = [tokens for tokens in answered if tokens is not None]
    is_whole = len(known) == len(answered) > 0
    return {
        "completion_tokens_mean": mean(known) if known else None,
        "completion_tokens_median": median(known) if known else None,
        "tokens_per_right": sum(known) / right if right and is_whole else None,
    }


def _costs(marks: Sequence[Mark], right: int) -> dict[str, str | None]:
    """USD. None where it costs nothing, or a part is not known: no sum of the rest stands for the whole.

    What a failed call used and cost is not known, and is no property of the taker.
    """
    answered = [mark.cost_usd for mark in marks if mark.status != "failed"]
    known = [Decimal(cost) for cost in answered if cost is not None]
    if not known or len(known) < len(answered):
        return {"cost_usd_per_1000": None, "cost_usd_per_right": None}
    total = sum(known, Decimal(0))
    return {
        "cost_usd_per_1000": _usd(1000 * total / len(known)),
        "cost_usd_per_right": _usd(total / right) if right else None,
    }


def _usd(amount: Decimal) -> str:
    return format(amount.quantize(Decimal("0.000001")).normalize(), "f")


def _latency(marks: Sequence[Mark]) -> dict[str, float | None]:
    """Seconds from a call to its whole reply, as many calls side by side as the examination made."""
    seconds = [mark.latency_us / 1e6 for mark in marks if mark.status != "failed"]
    if not seconds:
        return {"latency_median_s": None, "latency_p95_s": None}
    middle, late = np.quantile(seconds, [0.5, 0.95])
    return {"latency_median_s": round(float(middle), 6), "latency_p95_s": round(float(late), 6)}


def _families(parts: Sequence[Marks]) -> dict[str, dict[str, Any]]:
    found: dict[str, list[Values]] = {}
    for part in parts:
        rates = part.right() / part.samples
        families = np.array([family or "" for family in part.families()])
        for family in set(families.tolist()) - {""}:
            found.setdefault(family, []).append(rates[families == family])
    return {family: asdict(_mean(found[family], are_single=_are_single(parts))) for family in sorted(found)}


def mean_of_sets(of_sets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of a taker's accuracies in several sets, each weighing the same, from its figures in each.

    The interval is put together from those of the sets, which have no question in common (Zou and Donner 2008,
    Statistics in Medicine 27: 1693-1702).
    """
    accuracy = fmean(figures["accuracy"] for figures in of_sets)
    below = sqrt(sum((figures["accuracy"] - figures["low"]) ** 2 for figures in of_sets)) / len(of_sets)
    above = sqrt(sum((figures["high"] - figures["accuracy"]) ** 2 for figures in of_sets)) / len(of_sets)
    n = sum(figures["n"] for figures in of_sets)
    return asdict(Share(accuracy, max(0.0, accuracy - below), min(1.0, accuracy + above), n))
