"""How often a score is passed, also by scores higher than any that was seen.

What lies far above a high quantile follows a generalised Pareto distribution, whatever the rest looks like (Pickands
1975, Annals of Statistics 3: 119-131). Its two parameters are not estimated but averaged over, each pair weighted by
how well it fits: a threshold from few scores then lies as high as so few demand, and the expected number of alarms is
right on average instead of in the best case. Prior: the logarithm of the scale is flat; the shape is normal around 0,
which is the shape of sums of -log10 of honest p-values, with a standard deviation of 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import gamma

Values = NDArray[np.float64]

SHAPES = np.linspace(-0.6, 1.0, 65)
SHAPE_DEVIATION = 0.2
SCALE_STEPS = 81
NONE_SEEN = 0.5
"""What Jeffreys' prior adds to a count of rare events: where none was seen, half of one is expected in as much time."""
DRAWS, SEED = 20_000, 20_261_126


@dataclass(frozen=True)
class Tail:
    """Subjects that scored more than `above` in so many `weeks`."""

    above: float
    weeks: float
    peaks: tuple[float, ...]
    """The highest score of each of them, highest first."""

    def expected_per_week(self, score: float) -> float:
        """How many subjects a week reach `score`, which is at least `above`."""
        return self.rate_above * float(self._weights @ self._survival(score))

    def interval_per_week(self, score: float) -> tuple[float, float]:
        """The 95 % interval of the rate at which subjects reach `score`."""
        draw = np.random.default_rng(SEED)
        rates = gamma.rvs(len(self.peaks) + NONE_SEEN, scale=1 / self.weeks, size=DRAWS, random_state=draw)
        at = draw.choice(self._weights.size, size=DRAWS, p=self._weights)
        low, high = np.quantile(rates * self._survival(score)[at], [0.025, 0.975])
        return float(low), float(high)

    def score_for(self, per_week: float) -> float:
        """The score that `per_week` subjects a week are expected to reach; `above` where no more reach that."""
        if self.rate_above <= per_week or not self.peaks:
            return self.above
        distance = self._mean_excess
        while self.expected_per_week(self.above + distance) > per_week:
            distance *= 2
        return self.above + float(
            brentq(lambda excess: self.expected_per_week(self.above + excess) - per_week, 0.0, distance)
        )

    @property
    def rate_above(self) -> float:
        """How many subjects a week score more than `above`."""
        return (len(self.peaks) + NONE_SEEN) / self.weeks

    @property
    def _mean_excess(self) -> float:
        return float(np.mean(np.subtract(self.peaks, self.above)))

    @cached_property
    def _pairs(self) -> tuple[Values, Values]:
        """Shapes and scales: all pairs of a grid that is as wide as so many scores leave it open."""
        spread = 8 / np.sqrt(max(len(self.peaks), 1)) + 1
        middle = np.log(self._mean_excess) if self.peaks else 0.0
        scales = np.exp(np.linspace(middle - spread, middle + spread, SCALE_STEPS))
        shapes, scales = np.meshgrid(SHAPES, scales, indexing="ij")
        return shapes.ravel(), scales.ravel()

    @cached_property
    def _weights(self) -> Values:
        shapes, scales = self._pairs
        likelihood = -0.5 * (shapes / SHAPE_DEVIATION) ** 2 - len(self.peaks) * np.log(scales)
        for peak in self.peaks:
            likelihood += _log_survival(peak - self.above, shapes, scales, density=True)
        weights = np.exp(likelihood - likelihood.max())
        return np.asarray(weights / weights.sum())

    def _survival(self, score: float) -> Values:
        return np.exp(_log_survival(score - self.above, *self._pairs))


def _log_survival(excess: float, shapes: Values, scales: Values, *, density: bool = False) -> Values:
    """Of generalised Pareto distributions; with `density`, the logarithm of the density times the scale."""
    is_exponential = np.abs(shapes) < 1e-9
    safe = np.where(is_exponential, 1.0, shapes)
    reached = 1 + safe * excess / scales
    with np.errstate(divide="ignore", invalid="ignore"):
        power = -np.log(np.maximum(reached, 0.0)) * (1 / safe + density)
    power = np.where(reached > 0, power, -np.inf)  # beyond the end of a distribution that has one
    return np.asarray(np.where(is_exponential, -excess / scales, power))
