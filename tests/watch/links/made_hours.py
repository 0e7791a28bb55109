"""Members that live by habits: office hours of a time zone, working days, good and bad days, pauses, bursts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DAYS, SINCE_DAY = 28, 20_000
Rates = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def habits(random: np.random.Generator, members: int, zone: int | None = None, calls_a_day: float = 40) -> Rates:
    """[members, days, 24] calls an hour; without a zone each member has its own."""
    hour, rates = np.arange(24), np.zeros((members, DAYS, 24))
    for one in rates:
        begin = random.integers(24) if zone is None else zone
        profile = ((hour - begin) % 24 >= 9) & ((hour - begin) % 24 < 18)
        local_day = SINCE_DAY + (np.arange(DAYS)[:, None] * 24 + hour - begin) // 24
        one[:] = (profile + 0.05) * np.where((local_day + 3) % 7 >= 5, 0.1, 1.0)
        one *= random.lognormal(np.log(calls_a_day), 1) / one.sum(axis=1).mean()
    return rates


def lived(random: np.random.Generator, rates: Rates) -> Counts:
    """[members, hours of the window]: what came of it."""
    busy = rates * random.gamma(1, 1, (*rates.shape[:2], 1)) * random.gamma(0.5, 2, rates.shape)
    counts = random.poisson(busy * 2 * (random.random(rates.shape) < 0.5))
    return counts.reshape(len(rates), -1)


def population(random: np.random.Generator, event: Rates | float = 1.0) -> Rates:
    """The share of 300 organisations all over the world that were active in each hour."""
    share: Rates = (lived(random, habits(random, 300) * event) > 0).mean(axis=0)
    return share
