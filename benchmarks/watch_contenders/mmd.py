"""The window test of arXiv:2606.05725, on sketches of texts: is an account's window unlike the fit weeks' traffic?

The paper compares sentence embeddings of a window with those of a benign reference by the maximum mean discrepancy, and
takes its threshold from benign windows of the same size. Here there are no texts to embed: a text is its sketch, with
one place of 64 * 256 set for each of the 64 values. The kernel is Gaussian with the median distance for its width, as
is usual; between such vectors the squared distance is twice the number of places that differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.watch_contenders.contender import (
    LONGEST_WINDOW,
    SHORTEST_WINDOW,
    Sketches,
    Window,
    agreements,
    by_week,
    calls_in,
    sketched,
    windows,
)

from stillroom.store.calls import SKETCH_BYTES
from stillroom.testing.traffic import Traffic
from stillroom.watch.calibration.threshold import Scores

REFERENCE_CALLS, NULL_WINDOWS, SEED = 500, 50, 20_261_126
SIZES = (SHORTEST_WINDOW, 150, LONGEST_WINDOW)


class MaximumMeanDiscrepancy:
    """The squared discrepancy, in deviations of random windows of all customers' calls of the same size."""

    name = "MMD on sketches"

    def learn(self, traffic: Traffic, fit_days: range) -> Scores:
        draw = np.random.default_rng(SEED)
        _, sketches = sketched(traffic, calls_in(traffic, fit_days))
        chosen = draw.permutation(len(sketches))
        self._reference, others = sketches[chosen[:REFERENCE_CALLS]], sketches[chosen[REFERENCE_CALLS:]]
        distances = SKETCH_BYTES - np.arange(SKETCH_BYTES + 1)
        median = SKETCH_BYTES - np.median(agreements(self._reference, others[:REFERENCE_CALLS]))
        self._kernel = np.exp(-distances / median)  # by the number of places that agree
        self._within_reference = self._within(self._reference)
        null = [
            [self._discrepancy(others[draw.choice(len(others), size, replace=False)]) for _ in range(NULL_WINDOWS)]
            for size in SIZES
        ]
        self._means, self._deviations = np.mean(null, axis=1), np.std(null, axis=1)
        return self.scores(traffic, fit_days)

    def scores(self, traffic: Traffic, days: range) -> Scores:
        return by_week(days, self._scored(windows(traffic, days)))

    def _scored(self, found: Iterator[Window]) -> Iterator[tuple[int, str, float]]:
        for window in found:
            size = np.log(len(window.sketches))
            mean = np.interp(size, np.log(SIZES), self._means)
            deviation = np.exp(np.interp(size, np.log(SIZES), np.log(self._deviations)))
            yield window.week, window.organisation, float((self._discrepancy(window.sketches) - mean) / deviation)

    def _discrepancy(self, sketches: Sketches) -> float:
        """Without bias (Gretton and others 2012, Journal of Machine Learning Research 13: 723-773), so also below 0."""
        across = self._sum(sketches, self._reference) / (len(sketches) * len(self._reference))
        return self._within(sketches) + self._within_reference - 2 * across

    def _within(self, sketches: Sketches) -> float:
        """The mean over pairs of two different calls."""
        size = len(sketches)
        return (self._sum(sketches, sketches) - size * float(self._kernel[-1])) / (size * (size - 1))

    def _sum(self, one: Sketches, other: Sketches) -> float:
        return float(np.bincount(agreements(one, other).ravel(), minlength=SKETCH_BYTES + 1) @ self._kernel)
