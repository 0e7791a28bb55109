"""Where each question is asked once: intervals for shares, and paired comparisons of two takers.

All intervals are at 95 %. Several samples of a question are the business of `resampling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Share:
    """How many of `n` were right, as a share in [0, 1] with its interval."""

    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two takers on the same questions. `difference` is a's accuracy minus b's, in [-1, 1], with its interval."""

    difference: float
    low: float
    high: float
    only_a: int
    only_b: int
    both_right: int
    both_wrong: int
    p_value: float
    """Two-sided, exact: how often a difference this large comes about if neither is better."""


def share(right: float, n: int) -> Share:
    """Wilson's score interval (Wilson 1927, JASA 22: 209-212). `n` is at least 1; `right` may be a mean of counts."""
    low, high = proportion_confint(right, n, alpha=ALPHA, method="wilson")
    # Rounding can leave the bound a hair on the wrong side of the estimate when none or all are right.
    return Share(right / n, min(max(float(low), 0.0), right / n), max(min(float(high), 1.0), right / n), n)


def compare(right_a: Sequence[bool], right_b: Sequence[bool]) -> Comparison:
    """Compare two takers question by question; the sequences are equally long, not empty, and in the same order.

    The p-value is McNemar's exact test (McNemar 1947, Psychometrika 12: 153-157): among the questions that only one of
    them got right, it asks how unlike a fair coin the split is. The interval of the difference is Newcombe's for paired
    proportions (Newcombe 1998, Statistics in Medicine 17: 2635-2650, method 10).
    """
    pairs = list(zip(right_a, right_b, strict=True))
    both_right = sum(a and b for a, b in pairs)
    only_a = sum(a and not b for a, b in pairs)
    only_b = sum(b and not a for a, b in pairs)
    both_wrong = len(pairs) - both_right - only_a - only_b
    low, high = paired_interval(both_right, only_a, only_b, both_wrong)
    differing = only_a + only_b
    p_value = float(binomtest(only_a, differing, 0.5).pvalue) if differing else 1.0
    difference = (only_a - only_b) / len(pairs)
    return Comparison(difference, low, high, only_a, only_b, both_right, both_wrong, p_value)


def paired_interval(both_right: int, only_a: int, only_b: int, both_wrong: int) -> tuple[float, float]:
    """Newcombe's method 10 for the difference of a's and b's shares, from the four counts of the paired table."""
    n = both_right + only_a + only_b + both_wrong
    a, b = share(both_right + only_a, n), share(both_right + only_b, n)
    difference = (only_a - only_b) / n
    correlation = _correlation(both_right, only_a, only_b, both_wrong)
    low = difference - distance(a.accuracy - a.low, b.high - b.accuracy, correlation)
    high = difference + distance(a.high - a.accuracy, b.accuracy - b.low, correlation)
    return max(low, -1.0), min(high, 1.0)


def distance(of_a: float, of_b: float, correlation: float) -> float:
    """How far the end of a difference's interval lies from the difference, from how far those of the two lie."""
    return sqrt(max(0.0, of_a**2 - 2 * correlation * of_a * of_b + of_b**2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value, corrected for all those beside it (Holm 1979, Scandinavian Journal of Statistics 6: 65-70).

    statsmodels has the same, and collects all of the interpreter's garbage at every call: half a second.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = largest
    return corrected


def _correlation(both_right: int, only_a: int, only_b: int, both_wrong: int) -> float:
    """The phi coefficient of the paired table with Newcombe's correction for continuity; 0 where a margin is empty."""
    margins = (both_right + only_a) * (only_b + both_wrong) * (both_right + only_b) * (only_a + both_wrong)
    if margins == 0:
        return 0.0
    n = both_right + only_a + only_b + both_wrong
    cross = both_right * both_wrong - only_a * only_b
    return (max(cross - n / 2, 0.0) if cross > 0 else cross) / sqrt(margins)
