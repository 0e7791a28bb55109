"""How many organisations alarm, and how sure that is.

The unit is the organisation: all its accounts are one customer. Organisations of one kind (driven by the same client
program, or drawn from the same client model) alarm together, so that kinds are what is drawn anew, not organisations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, t

from stillroom.watch.calibration.threshold import WEEKS_A_MONTH

Counts = NDArray[np.int64]

ALPHA = 0.05
RESAMPLES, SEED = 10_000, 20_261_126


@dataclass(frozen=True, slots=True)
class Share:
    """Of `organisations`, `alarmed` did so at least once in `weeks` weeks; the interval is at 95 %."""

    share: float
    low: float
    high: float
    alarmed: int
    organisations: int
    clusters: int
    weeks: float

    @property
    def expected_per_month(self) -> float:
        return self.alarmed * WEEKS_A_MONTH / self.weeks

    @property
    def expected_per_month_interval(self) -> tuple[float, float]:
        a_month = self.organisations * WEEKS_A_MONTH / self.weeks
        return self.low * a_month, self.high * a_month


def alarm_share(
    alarms: Collection[str],
    organisations: Collection[str],
    *,
    weeks: float,
    clusters: Mapping[str, str] | None = None,
) -> Share:
    """The share of `organisations` that are among `alarms`, on traffic whose truth nobody knows.

    `clusters` says of each organisation which kind it is of; None: each is of its own. The interval is the bootstrap's
    over kinds, and never narrower than that of Korn and Graubard (1998, Survey Methodology 24: 193-201), which is exact
    for rare events: where nobody alarmed, the bootstrap alone would claim to be certain. Raises ValueError where there
    is no organisation, one alarmed that is not among them, or one is of no kind.
    """
    names = sorted(set(organisations))
    alarmed = set(alarms)
    if not names or not weeks > 0:
        raise ValueError("A share needs organisations and weeks.")
    if unknown := alarmed.difference(names):
        raise ValueError(f"{min(unknown)} alarmed and is not among the organisations.")
    if clusters is not None and (missing := [name for name in names if name not in clusters]):
        raise ValueError(f"{missing[0]} is in no cluster.")
    kinds = names if clusters is None else [clusters[name] for name in names]
    _, kind_of = np.unique(kinds, return_inverse=True)
    sizes = np.bincount(kind_of)
    hits = np.bincount(kind_of, weights=[name in alarmed for name in names]).astype(np.int64)
    low, high = interval(hits, sizes)
    return Share(len(alarmed) / len(names), low, high, len(alarmed), len(names), len(sizes), weeks)


def interval(hits: Counts, sizes: Counts) -> tuple[float, float]:
    """The 95 % interval of sum(hits) / sum(sizes), where only the pairs are independent."""
    low, high = _bootstrap(hits, sizes)
    exact_low, exact_high = _korn_graubard(hits, sizes)
    return min(low, exact_low), max(high, exact_high)


def exact_interval(hits: float, of: float) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson (1934, Biometrika 26: 404-413), for numbers that need not be whole."""
    low = float(beta.ppf(ALPHA / 2, hits, of - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - ALPHA / 2, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def _bootstrap(hits: Counts, sizes: Counts) -> tuple[float, float]:
    """Percentiles, as much wider as Student's t is than the normal distribution (Hesterberg 2015, The American
    Statistician 69: 371-386). Equal pairs are drawn together: one multinomial draw of how often each comes."""
    count = len(sizes)
    if count < 2:
        return 0.0, 1.0  # one kind says nothing of how kinds differ
    pairs, times = np.unique(np.stack([hits, sizes]), axis=1, return_counts=True)
    drawn = np.random.default_rng(SEED).multinomial(count, times / count, size=RESAMPLES)
    shares = (drawn @ pairs[0]) / (drawn @ pairs[1])
    tail = norm.cdf(t.ppf(ALPHA / 2, count - 1) * sqrt(count / (count - 1)))
    low, high = np.quantile(shares, [tail, 1 - tail])
    return float(low), float(high)


def _korn_graubard(hits: Counts, sizes: Counts) -> tuple[float, float]:
    """The exact interval of as many independent organisations as would give the share the same variance."""
    total, count = int(sizes.sum()), len(sizes)
    share = float(hits.sum()) / total
    if count < 2:
        return 0.0, 1.0
    variance = float(np.square(hits - share * sizes).sum()) * count / (count - 1) / total**2
    independent = min(float(total), share * (1 - share) / variance) if variance > 0 else float(total)
    if total > count:
        independent *= (t.ppf(ALPHA / 2, total - 1) / t.ppf(ALPHA / 2, count - 1)) ** 2
    return exact_interval(share * independent, independent)
