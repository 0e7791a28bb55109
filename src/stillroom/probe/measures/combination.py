"""Several measures in one, and a suspect's likeness relative to that of others.

N pairs. All of it treats the two siblings of a pair alike: exchanged, they change the sign of the outcome alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stillroom.probe.measures.comparison import Numbers, rounded
from stillroom.probe.scores import scores_of


def combined(differences: Sequence[Numbers]) -> Numbers:
    """difference_N: the sum of the measures' scores by rank, each with the sign of its difference.

    By rank, for measures have units of their own. nan where there is no answer.
    """
    total_N = sum(np.sign(difference_N) * scores_of(_magnitudes(difference_N)) for difference_N in differences)
    return np.asarray(total_N, np.float64)


def relative(difference_N: Numbers, reference_N: Numbers) -> Numbers:
    """Without what the difference of a reference, which cannot have learned from the served ones, foretells of it.

    Some siblings are nearer to whatever anybody says to the question. How much of that is in the suspect's differences
    is the slope of the line through the origin that comes nearest to them (least squares; a control variate). Pairs
    without a reference stay as they are.
    """
    known_N = np.where(np.isfinite(difference_N), np.nan_to_num(reference_N), 0.0)
    square = float(known_N @ known_N)
    slope = float(known_N @ np.nan_to_num(difference_N)) / square if square else 0.0
    return rounded(difference_N - slope * known_N)


def _magnitudes(difference_N: Numbers) -> Numbers:
    return np.nan_to_num(np.abs(difference_N))
