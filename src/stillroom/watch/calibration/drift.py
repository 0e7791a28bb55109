"""Whether this week's organisations still look like those that the thresholds were fitted on.

With thousands of organisations everything differs significantly; what counts is how much. So drift is told by two sizes
of effect, and a test only keeps small numbers from looking like drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from stillroom.text.counted import counted

Values = NDArray[np.float64]
Level = Literal["none", "some", "much", "too few"]

POINTS, BINS = 200, 10
SOME, MUCH = 0.1, 0.25
"""The usual marks of the population stability index (Siddiqi 2006, Credit Risk Scorecards)."""
CHANCE = 0.001
FEWEST = 50
"""Organisations below which a distribution says nothing."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The distribution of one signal, or of scores, over organisations in the fit weeks: small, and without names."""

    organisations: int
    present: int
    """Those that have a value. Of the others it is absent, and that share can drift as well."""
    points: tuple[float, ...]
    """Ascending, all different."""
    cumulative: tuple[float, ...]
    """The share of present values that are at most as large as the point."""

    def is_sound(self) -> bool:
        """Whether it can be worked with: its numbers are finite."""
        is_ascending = all(low < high for low, high in pairwise(self.points))
        shares = all(0 <= share <= 1 for share in self.cumulative)
        has_points = bool(self.points) == (self.present > 0) and len(self.points) == len(self.cumulative)
        return is_ascending and shares and has_points and 0 <= self.present <= self.organisations


@dataclass(frozen=True, slots=True)
class Drift:
    name: str
    level: Level
    stability_index: float | None
    """Population stability index over tenths of the earlier values, and the absent: 0 is no drift."""
    distance: float | None
    """Kolmogorov and Smirnov's: the greatest difference of the two cumulative shares, 0 to 1."""
    median_before: float | None
    median_now: float | None
    absent_before: float
    absent_now: float
    sentence: str


def baseline(values: Values) -> Baseline:
    """Of one value per organisation; NaN where it is absent. Raises ValueError for an infinite value."""
    present = _present(values)
    if not present.size:
        return Baseline(len(values), 0, (), ())
    points = np.unique(np.quantile(present, np.linspace(0, 1, POINTS), method="inverted_cdf"))
    cumulative = np.searchsorted(np.sort(present), points, side="right") / present.size
    return Baseline(len(values), present.size, tuple(points.tolist()), tuple(cumulative.tolist()))


def drifts(before: Mapping[str, Baseline], now: Mapping[str, Values]) -> tuple[Drift, ...]:
    """Of each signal that either has, those that drifted most first. A signal that is not there is absent for all."""
    unknown_before = Baseline(max((each.organisations for each in before.values()), default=0), 0, (), ())
    unknown_now = np.full(max(map(len, now.values()), default=0), np.nan)
    found = [drift(name, before.get(name, unknown_before), now.get(name, unknown_now)) for name in {**before, **now}]
    order: tuple[Level, ...] = ("much", "some", "none", "too few")
    return tuple(sorted(found, key=lambda each: (order.index(each.level), -(each.stability_index or 0.0), each.name)))


def drift(name: str, before: Baseline, values: Values) -> Drift:
    """`values` as `baseline` takes them. Raises ValueError for an infinite value."""
    present = _present(values)
    absent_before, absent_now = _absent(before.present, before.organisations), _absent(present.size, len(values))
    index = distance = None
    level: Level = "too few"
    if before.organisations >= FEWEST and len(values) >= FEWEST:
        shares_before, counts_now = _binned(before, values)
        index = _stability_index(shares_before, before.organisations, counts_now)
        if before.present and present.size:
            distance = _distance(before, present)
        level = _level(index, len(counts_now), before.organisations, len(values))
    median_before = float(np.interp(0.5, before.cumulative, before.points)) if before.present else None
    median_now = float(np.median(present)) if present.size else None
    return Drift(
        name, level, index, distance, median_before, median_now, absent_before, absent_now,
        _sentence(name, level, (median_before, median_now), (absent_before, absent_now), index),
    )  # fmt: skip


def _present(values: Values) -> Values:
    present = values[~np.isnan(values)]
    if np.isinf(present).any():
        raise ValueError("A value is infinite.")
    return present


def _absent(present: int, organisations: int) -> float:
    return 1 - present / organisations if organisations else 1.0


def _binned(before: Baseline, values: Values) -> tuple[Values, NDArray[np.int64]]:
    """Shares before, and counts now: below the earlier values, in each tenth of them, above them, and the absent."""
    present = _present(values)
    missing_before, missing_now = _absent(before.present, before.organisations), len(values) - present.size
    if not before.present:
        return np.array([0.0, missing_before]), np.array([present.size, missing_now])
    cumulative = np.array(before.cumulative)
    ends = np.unique(np.searchsorted(cumulative, np.linspace(0, 1, BINS + 1)[1:]))
    edges = np.array([np.nextafter(before.points[0], -np.inf), *np.array(before.points)[ends]])
    counts = np.bincount(np.searchsorted(edges, present), minlength=len(edges) + 1)
    shares = np.diff(cumulative[ends], prepend=0.0) * (1 - missing_before)
    return np.array([0.0, *shares, 0.0, missing_before]), np.append(counts, missing_now)


def _stability_index(shares_before: Values, organisations: int, counts_now: NDArray[np.int64]) -> float:
    """Half of one is added to each count, so that an empty bin is a small share and not an impossible one."""
    before = shares_before * organisations + 0.5
    now = counts_now + 0.5
    before, now = before / before.sum(), now / now.sum()
    return float(((now - before) * np.log(now / before)).sum())


def _distance(before: Baseline, present: Values) -> float:
    cumulative_now = np.searchsorted(np.sort(present), before.points, side="right") / present.size
    return float(np.abs(cumulative_now - before.cumulative).max())


def _level(index: float, bins: int, organisations_before: int, organisations_now: int) -> Level:
    """Without drift the index is chi-square, scaled by both numbers (Yurdakul and Naranjo 2020, Journal of Risk Model
    Validation 14: 89-100); many organisations are the same in both, which makes it smaller still."""
    by_chance = chi2.ppf(1 - CHANCE, bins - 1) * (1 / organisations_before + 1 / organisations_now)
    if index < max(SOME, by_chance):
        return "none"
    return "much" if index >= MUCH else "some"


def _sentence(
    name: str,
    level: Level,
    medians: tuple[float | None, float | None],
    absent: tuple[float, float],
    index: float | None,
) -> str:
    if index is None:
        return f"{name}: fewer than {counted(FEWEST, 'organisation')}, too few to tell."
    if level == "none":
        return f"{name} looks as it did in the fit weeks (stability index {index:.2f})."
    words = [f"{name} has drifted {'much' if level == 'much' else 'somewhat'} (stability index {index:.2f})"]
    if None not in medians:
        words.append(f"its median went from {medians[0]:.3g} to {medians[1]:.3g}")
    if abs(absent[0] - absent[1]) > 0.01:
        words.append(f"it is absent for {absent[1]:.0%} of organisations and was for {absent[0]:.0%}")
    return "; ".join(words) + "."
