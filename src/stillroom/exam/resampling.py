"""Several samples of each question: pass@k, and how sure a mean over questions is.

The samples of one question are alike, so that it is the questions that are drawn anew, never the samples. Rates and
pass@k take few different values: drawing questions with replacement is then one multinomial draw of how often each
value comes, whatever the number of questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm, t
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from stillroom.exam.statistics import ALPHA, distance

RESAMPLES = 10_000
SEED = 20_261_126
MOST_STEPS = 3e8
"""Additions up to which the distribution of a sum of signs is computed, and not approximated: about a second."""

Values = NDArray[np.float64]
Counts = NDArray[np.int64]


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The chance that of k samples at least one is right, estimated without bias from `samples` of which `right` are.

    1 - C(samples - right, k) / C(samples, k), with 1 <= k <= samples (Chen et al. 2021, arXiv:2107.03374).
    """
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def powers_up_to(samples: int) -> list[int]:
    """The k of which pass@k is told: 1, 2, 4, ... and `samples`."""
    powers = [2**power for power in range(samples.bit_length()) if 2**power < samples]
    return [*powers, samples]


def mean_interval(parts: Sequence[Values]) -> tuple[float, float]:
    """The 95 % interval of the mean over all questions of values in [0, 1]; `parts` are the questions of each set.

    The bootstrap's, but never narrower than Wilson's score interval for as many independent answers as would give the
    mean the same variance: near 0 and 1 the bootstrap alone covers 83 % of the time with 15 questions, and where all
    values are the same it would claim to be certain.
    """
    low, high = bootstrap_interval(parts)
    wilson_low, wilson_high = _effective_wilson(parts)
    return min(low, wilson_low), max(high, wilson_high)


def difference_interval(parts_a: Sequence[Values], parts_b: Sequence[Values], replies: int) -> tuple[float, float]:
    """The 95 % interval of a's mean minus b's, on the same questions in the same order; each was asked `replies` times.

    The paired bootstrap's, but never narrower than what follows from the two single intervals and the correlation of
    the two (Newcombe's method 10 for paired proportions, 1998, Statistics in Medicine 17: 2635-2650, with rates in the
    place of proportions).
    """
    low, high = bootstrap_interval([a - b for a, b in zip(parts_a, parts_b, strict=True)])
    a, b = np.concatenate(list(parts_a)), np.concatenate(list(parts_b))
    low_a, high_a = _effective_wilson(parts_a)
    low_b, high_b = _effective_wilson(parts_b)
    difference = float(a.mean() - b.mean())
    correlation = _correlation(a, b, replies)
    below = distance(float(a.mean()) - low_a, high_b - float(b.mean()), correlation)
    above = distance(high_a - float(a.mean()), float(b.mean()) - low_b, correlation)
    return max(-1.0, min(low, difference - below)), min(1.0, max(high, difference + above))


def bootstrap_interval(parts: Sequence[Values]) -> tuple[float, float]:
    """The 95 % interval of the mean over all questions, from questions drawn anew within their set.

    The percentiles are as much wider than 2.5 and 97.5 as Student's t is wider than the normal distribution: alone they
    are too narrow for few questions (the expanded percentiles of Hesterberg 2015, The American Statistician 69:
    371-386). Where all values are the same, it has no width.
    """
    draw = np.random.default_rng(SEED)
    total = sum(part.size for part in parts)
    sums: Values = np.zeros(RESAMPLES)
    for part in parts:
        levels, counts = np.unique(part, return_counts=True)
        sums += draw.multinomial(part.size, counts / part.size, size=RESAMPLES) @ levels
    tail = norm.cdf(t.ppf(ALPHA / 2, total - 1) * sqrt(total / (total - 1))) if total > 1 else 0.0
    low, high = np.quantile(sums / total, [tail, 1 - tail])
    return float(low), float(high)


def _effective_wilson(parts: Sequence[Values]) -> tuple[float, float]:
    total = sum(part.size for part in parts)
    mean = float(sum(part.sum() for part in parts)) / total
    variance = sum(part.size * float(part.var(ddof=1)) for part in parts if part.size > 1) / total**2
    independent = max(float(total), mean * (1 - mean) / variance) if variance > 0 else float(total)
    if total > 1:
        independent *= (norm.ppf(ALPHA / 2) / t.ppf(ALPHA / 2, total - 1)) ** 2
    low, high = proportion_confint(mean * independent, independent, alpha=ALPHA, method="wilson")
    return min(max(float(low), 0.0), mean), max(min(float(high), 1.0), mean)


def _correlation(a: Values, b: Values, replies: int) -> float:
    """Of the rates of a and b, a positive one taken down a little as Newcombe does; 0 where one of them is constant."""
    if a.std() == 0 or b.std() == 0:
        return 0.0
    correlation = float(np.corrcoef(a, b)[0, 1])
    return max(0.0, correlation - 2 / replies) if correlation > 0 else correlation


def sign_flip_p_value(differences: Counts) -> float:
    """How often a sum of paired differences this far from 0 comes about if each might as well have the other sign.

    Two-sided. Exact where it can be computed in about a second, else by the normal distribution. Of differences that
    are all 1, 0 or -1 this is McNemar's exact test. Rates are made whole numbers by their common denominator.
    """
    magnitudes = np.abs(differences[differences != 0])
    if magnitudes.size == 0:
        return 1.0
    observed = abs(int(differences.sum()))
    magnitudes //= (unit := int(np.gcd.reduce(magnitudes)))
    reach = int(magnitudes.sum())
    if float(reach) * magnitudes.size > MOST_STEPS:
        return float(2 * norm.sf(observed / unit / sqrt(float(np.square(magnitudes).sum()))))
    distribution = _sums_of_random_signs(magnitudes)
    # Place i of the distribution is the sum 2 * i - reach.
    sums = 2 * np.arange(distribution.size) - reach
    return min(1.0, float(distribution[np.abs(sums) * unit >= observed].sum()))


def _sums_of_random_signs(magnitudes: Counts) -> Values:
    """The distribution of the sum, from all minus to all plus in steps of 2.

    Sums of positive terms only: a small probability is as exact as a large one.
    """
    distribution = np.ones(1)
    for size, count in zip(*np.unique(magnitudes, return_counts=True), strict=True):
        wider = np.zeros(distribution.size + size * count)
        for plus, weight in enumerate(binom.pmf(np.arange(count + 1), count, 0.5)):
            wider[plus * size : plus * size + distribution.size] += weight * distribution
        distribution = wider
    return distribution
