"""Takers against each other, question by question, and models that differ by a seed against other such models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import lcm, sqrt
from typing import Any

import numpy as np
from scipy.stats import t, ttest_ind

from stillroom.exam.marking import Marks
from stillroom.exam.resampling import Values, difference_interval, sign_flip_p_value
from stillroom.exam.statistics import ALPHA, compare, holm

_FIRST = {"student": 0, "teacher": 1, "answers_only": 2, "base": 3}


def comparisons(takers: Mapping[str, Sequence[Marks]]) -> list[dict[str, Any]]:
    """Every two takers, the student first where there is one, with p-values as they are and corrected by Holm's rule.

    A question for which a call failed, of either taker, is left out of their comparison; two takers without a question
    in common are not compared.
    """
    names = sorted(takers, key=lambda name: _FIRST.get(name, len(_FIRST)))
    pairs = ((a, b, _compared(takers[a], takers[b])) for a, b in combinations(names, 2))
    return _with_holm([{"a": a, "b": b, **compared} for a, b, compared in pairs if compared is not None])


def _compared(a: Sequence[Marks], b: Sequence[Marks]) -> dict[str, Any] | None:
    answered = [(of_a.failed() == 0) & (of_b.failed() == 0) for of_a, of_b in zip(a, b, strict=True)]
    right_a = [part.right()[kept] for part, kept in zip(a, answered, strict=True)]
    right_b = [part.right()[kept] for part, kept in zip(b, answered, strict=True)]
    n = sum(part.size for part in right_a)
    if n == 0:
        return None
    samples = [part.samples for part in a]
    ahead = np.concatenate([of_a - of_b for of_a, of_b in zip(right_a, right_b, strict=True)])
    counts = {
        "n": n,
        "left_out": sum(kept.size for kept in answered) - n,
        "better_a": int((ahead > 0).sum()),
        "better_b": int((ahead < 0).sum()),
    }
    if set(samples) == {1}:
        paired = compare((np.concatenate(right_a) > 0).tolist(), (np.concatenate(right_b) > 0).tolist())
        return {**asdict(paired), **counts, "test": "mcnemar", "interval": "newcombe"}
    return _several_samples(right_a, right_b, samples) | counts


def _several_samples(
    right_a: Sequence[np.ndarray[Any, Any]], right_b: Sequence[np.ndarray[Any, Any]], samples: Sequence[int]
) -> dict[str, Any]:
    common = lcm(*samples)
    differences = np.concatenate(
        [(a - b) * (common // each) for a, b, each in zip(right_a, right_b, samples, strict=True)]
    )
    rates_a, rates_b = (
        [right / each for right, each in zip(parts, samples, strict=True) if right.size] for parts in (right_a, right_b)
    )
    replies = sum(part.size * each for part, each in zip(right_a, samples, strict=True))
    low, high = difference_interval(rates_a, rates_b, replies)
    return {
        "difference": float(differences.mean()) / common,
        "low": low,
        "high": high,
        "only_a": None,
        "only_b": None,
        "both_right": None,
        "both_wrong": None,
        "p_value": sign_flip_p_value(differences),
        "test": "sign_flip",
        "interval": "paired_bootstrap",
    }


@dataclass(frozen=True, slots=True)
class Seeds:
    """Accuracies of models that differ by their training's seed. `low` and `high` are None for a single one."""

    takers: list[str]
    accuracy: float
    """The mean."""
    deviation: float | None
    """The standard deviation over the seeds."""
    low: float | None
    high: float | None


def groups(takers: Mapping[str, Sequence[Marks]], group_of: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Each group's accuracy with the interval of its mean over further seeds, on these very questions.

    Student's t with one degree of freedom less than there are seeds. It takes the accuracies for normally distributed.
    """
    return {name: asdict(_over_seeds(members, takers)) for name, members in _members(takers, group_of).items()}


def group_comparisons(takers: Mapping[str, Sequence[Marks]], group_of: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every two groups of at least two seeds each: Welch's t-test of their mean accuracies (Welch 1947, Biometrika 34:
    28-35). Where all seeds of both came out the same, there is nothing to test with, and `p_value` is None.
    """
    accuracies = {
        name: [_accuracy(takers[member]) for member in members]
        for name, members in _members(takers, group_of).items()
        if len(members) > 1
    }
    return _with_holm(
        [{"a": a, "b": b, **_welch(accuracies[a], accuracies[b])} for a, b in combinations(accuracies, 2)]
    )


def _members(takers: Mapping[str, Sequence[Marks]], group_of: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for taker in takers:
        if taker in group_of:
            found.setdefault(group_of[taker], []).append(taker)
    return found


def _accuracy(parts: Sequence[Marks]) -> float:
    rates: Values = np.concatenate([part.right() / part.samples for part in parts])
    return float(rates.mean())


def _over_seeds(members: list[str], takers: Mapping[str, Sequence[Marks]]) -> Seeds:
    accuracies = [_accuracy(takers[member]) for member in members]
    middle = float(np.mean(accuracies))
    if len(accuracies) == 1:
        return Seeds(members, middle, None, None, None)
    deviation = float(np.std(accuracies, ddof=1))
    half = float(t.ppf(1 - ALPHA / 2, len(accuracies) - 1)) * deviation / sqrt(len(accuracies))
    return Seeds(members, middle, deviation, max(0.0, middle - half), min(1.0, middle + half))


def _welch(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    difference = float(np.mean(a) - np.mean(b))
    if np.ptp(a) == np.ptp(b) == 0:
        return {"difference": difference, "low": None, "high": None, "p_value": None, "test": "welch"}
    result = ttest_ind(a, b, equal_var=False)
    interval = result.confidence_interval(1 - ALPHA)
    return {
        "difference": difference,
        "low": max(-1.0, float(interval.low)),
        "high": min(1.0, float(interval.high)),
        "p_value": float(result.pvalue),
        "test": "welch",
    }


def _with_holm(compared: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each with `p_holm`: its p-value, corrected for all those beside it."""
    corrected = iter(holm([one["p_value"] for one in compared if one["p_value"] is not None]))
    return [{**one, "p_holm": None if one["p_value"] is None else next(corrected)} for one in compared]
