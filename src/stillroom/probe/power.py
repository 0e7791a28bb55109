"""How many questions a test needs to find what a pilot shows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from stillroom.base.errors import DataError
from stillroom.probe.scores import scores_of

ASSURANCE = 0.8
_PARTS = 50


def number_needed(pilot_differences: NDArray[np.float64], alpha: float, power: float) -> int:
    """Informative and uninformative questions together, of the pilot's kind, for the test at `alpha` to reach `power`.

    `pilot_differences`: of each unit of the pilot, as `toward_served` gives them: above zero where the suspect is
    nearer to the served reply. The pilot's questions are spent: the test takes others.

    A pilot that was lucky would promise too much. The number is therefore for the lower end of the effect's one-sided
    80 % interval, so that four in five pilots give a number that suffices (Browne 1995, Statistics in Medicine 14:
    1933-1940). Raises DataError where the pilot is too small, or the effect too weak, to give one.
    """
    answered_U = pilot_differences[~np.isnan(pilot_differences)]
    sizes = np.abs(answered_U[answered_U != 0])
    if not len(sizes):
        raise DataError("The pilot has no two replies that are told apart.", "Ask more questions in the pilot.")
    # One more on either side: a few pairs that all lean one way do not show that all others will
    # (Agresti & Coull 1998, The American Statistician 52: 119-126).
    differences_U = np.append(answered_U, [np.median(sizes), -np.median(sizes)])
    effect, deviation = _effect(differences_U), _effect_deviation(differences_U)
    cautious = effect - norm.ppf(ASSURANCE) * deviation / math.sqrt(len(differences_U))
    if cautious <= 0:
        raise DataError(
            f"The pilot's {len(answered_U)} questions do not show enough to say how many a test needs.",
            "Ask more questions in the pilot, or plan the test with all pairs that there are.",
        )
    needed = ((norm.ppf(1 - alpha) + norm.ppf(power) * deviation) / cautious) ** 2
    # However strong the effect, n coins that all fall one way have a p-value of 2^-n.
    return max(math.ceil(needed), math.ceil(math.log2(1 / alpha)))


def _effect(differences_U: NDArray[np.float64]) -> float:
    """Of which the test's standardised statistic is about sqrt(n) times as much, with n such units."""
    scores_U = np.sign(differences_U) * scores_of(np.abs(differences_U))
    return float(scores_U.mean() / np.sqrt(np.mean(scores_U**2)))


def _effect_deviation(differences_U: NDArray[np.float64]) -> float:
    """The standard deviation of the standardised statistic where there is an effect, by the jackknife (Tukey 1958,
    Annals of Mathematical Statistics 29: 614): a part of the units left out at a time."""
    parts = min(_PARTS, len(differences_U))
    part_U = np.arange(len(differences_U)) % parts
    without = [_effect(differences_U[part_U != part]) for part in range(parts)]
    return math.sqrt((parts - 1) * float(np.var(without)) * len(differences_U))
