"""How often questions of a bank come again: as by chance, as popular ones do, or each as often as the next.

Who samples every question four times repeats a lot, and is no school: what tells them apart is how unlike each other
the counts of the questions are.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.stats import poisson

from stillroom.watch.signals.organisations import Column, Organisations, Rows

FEWEST_REPEATS = 10
_MOST_COUNTED = 400
"""A question's count beyond it tells no more."""


def dispersion(organisations: Organisations, owner: Rows, counts: Column) -> Column:
    """By how many standard errors the counts of the asked questions vary more than by chance; nan of few repeats.

    `owner`, `counts`: a row for each question that an organisation asked. Chance is a Poisson distribution of the same
    mean without zero, since what was never asked is not here. Popular questions make it positive, a fixed number of
    samples for each question negative.
    """
    counts = np.minimum(counts, _MOST_COUNTED)
    questions, calls = organisations.total(owner), organisations.total(owner, counts)
    mean = calls / np.maximum(questions, 1)
    variance = organisations.total(owner, counts**2) / np.maximum(questions, 1) - mean**2
    means, variances, errors = _by_chance()
    expected, error = np.interp(mean, means, variances), np.interp(mean, means, errors)
    deviation = (variance - expected) / (error / np.sqrt(np.maximum(questions, 1)))
    return np.where(calls - questions >= FEWEST_REPEATS, deviation, np.nan)


@cache
def _by_chance() -> tuple[Column, Column, Column]:
    """Mean, variance and the variance's standard error (of one value), of Poisson distributions without zero."""
    rate = np.geomspace(1e-4, _MOST_COUNTED / 2, 300)[:, None]
    value = np.arange(1, 2 * _MOST_COUNTED)[None, :]
    share = poisson.pmf(value, rate) / -np.expm1(-rate)
    mean = (share * value).sum(axis=1)
    from_mean = value - mean[:, None]
    variance, fourth = ((share * from_mean**power).sum(axis=1) for power in (2, 4))
    return mean, variance, np.sqrt(fourth - variance**2)
