"""PRADA (Juuti, Szyller, Marchal and Asokan, "PRADA: Protecting against DNN Model Stealing Attacks", arXiv:1805.02628),
on sketches of texts.

The paper: of each query of an account, the distance to the nearest of its earlier queries is taken; honest accounts'
distances are nearly normal, those of made-up queries are not, and Shapiro and Wilk's W tells them apart. Here a
distance is the share of a sketch's 64 places in which two texts differ, and an account's queries are taken in windows.
Which side of the honest W campaigns lie on is not known for texts, so it alarms on both.
"""

from __future__ import annotations

import numpy as np
from benchmarks.watch_contenders.contender import Sketches, agreements, by_week, windows
from scipy.stats import shapiro

from stillroom.store.calls import SKETCH_BYTES
from stillroom.testing.traffic import Traffic
from stillroom.watch.calibration.threshold import Scores

OUTLIER_DEVIATIONS = 3.0
"""The paper leaves out distances so far from their mean."""


class Prada:
    """How far an account's W is from the middle one, in deviations to its side."""

    name = "PRADA on sketches"

    def learn(self, traffic: Traffic, fit_days: range) -> Scores:
        found = _normalities(traffic, fit_days)
        below, self._middle, above = np.quantile([normality for *_, normality in found], [0.16, 0.5, 0.84])
        self._deviations = max(self._middle - below, 1e-6), max(above - self._middle, 1e-6)
        return self._scored(found, fit_days)

    def scores(self, traffic: Traffic, days: range) -> Scores:
        return self._scored(_normalities(traffic, days), days)

    def _scored(self, found: list[tuple[int, str, float]], days: range) -> Scores:
        distances = ((week, name, normality - self._middle) for week, name, normality in found)
        return by_week(
            days, ((week, name, float(abs(far) / self._deviations[int(far > 0)])) for week, name, far in distances)
        )


def _normalities(traffic: Traffic, days: range) -> list[tuple[int, str, float]]:
    """The week, organisation and W of each window."""
    return [(window.week, window.organisation, _normality(window.sketches)) for window in windows(traffic, days)]


def _normality(sketches: Sketches) -> float:
    """W of the distances to the nearest earlier query: 1 is normal; also 1 where all distances are the same."""
    with_earlier = np.tril(agreements(sketches, sketches), -1)
    distances = 1 - with_earlier[1:].max(axis=1) / SKETCH_BYTES
    spread = distances.std()
    kept = distances[np.abs(distances - distances.mean()) <= OUTLIER_DEVIATIONS * spread]
    return float(shapiro(kept).statistic) if np.ptp(kept) > 0 else 1.0
