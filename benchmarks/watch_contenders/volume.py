"""The rule that every gateway has: who calls more than others is looked at."""

from __future__ import annotations

from collections import Counter

import numpy as np
from benchmarks.watch_contenders.contender import by_week, calls_in, weeks_of

from stillroom.testing.traffic import Traffic
from stillroom.watch.calibration.threshold import Scores


class Volume:
    """The logarithm of an organisation's calls in a week: volumes of customers are nearly lognormal."""

    name = "volume"

    def learn(self, traffic: Traffic, fit_days: range) -> Scores:
        return self.scores(traffic, fit_days)

    def scores(self, traffic: Traffic, days: range) -> Scores:
        calls = calls_in(traffic, days)
        weeks = weeks_of(calls, days).tolist()
        counts = Counter(zip(weeks, calls["organisation"].to_pylist(), strict=True))
        return by_week(days, ((week, str(name), float(np.log1p(count))) for (week, name), count in counts.items()))
