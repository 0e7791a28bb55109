"""Whether a threshold fitted on two weeks keeps its budget of alarms on later ones, whatever scores are like.

    python benchmarks/watch_threshold.py [--fits 200]

Scores are drawn from known distributions, so that what a threshold lets through is exact: the alarms of a week, for a
budget, of 2,000 organisations. `median` and `95 %` are over fits; `said so` is the share of fits that warned that two
weeks cannot support the budget.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from stillroom.watch.calibration.threshold import fit

Values = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Values]

ORGANISATIONS, WEEKS, SEED = 2_000, 2, 20_261_126
BUDGETS = (0.1, 0.5, 1.0, 5.0)
MANY = 2_000_000
DISTRIBUTIONS: Mapping[str, Draw] = {
    "exponential": lambda draw, count: draw.exponential(1.0, count),
    "gamma of shape 3": lambda draw, count: draw.gamma(3.0, 1.0, count),
    "four families of evidence, each capped": lambda draw, count: np.asarray(
        np.minimum(-np.log10(draw.random((count, 4))), 3.0).sum(axis=1)
    ),
    "lognormal": lambda draw, count: draw.lognormal(0.0, 1.0, count),
    "Pareto, index 3.3": lambda draw, count: draw.pareto(1 / 0.3, count),
    "one in ten scores": lambda draw, count: draw.exponential(1.0, count) * (draw.random(count) < 0.1),
    "one in a hundred, far above": lambda draw, count: draw.exponential(1.0, count) + 6 * (draw.random(count) < 0.01),
    "three score at all": lambda draw, count: (3 + draw.exponential(2.0, count)) * (draw.random(count) < 0.0015),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=200)
    options = parser.parse_args()
    print(f"{ORGANISATIONS:,} organisations, fitted on {WEEKS} weeks, {options.fits} fits each; alarms a week\n")
    print(f"{'scores':42}{'budget':>8}{'mean':>8}{'median':>8}{'95 %':>8}{'said so':>9}")
    for name, draw_scores in DISTRIBUTIONS.items():
        for budget in BUDGETS:
            alarms, warned = alarms_a_week(draw_scores, budget, options.fits)
            figures = f"{alarms.mean():8.2f}{np.median(alarms):8.2f}{np.quantile(alarms, 0.95):8.2f}"
            print(f"{name:42}{budget:8.1f}{figures}{warned:8.0%}")


def alarms_a_week(draw_scores: Draw, budget: float, fits: int) -> tuple[Values, float]:
    """What each fit lets through, and the share of fits that warned."""
    draw = np.random.default_rng(SEED)
    many = np.sort(draw_scores(draw, MANY))
    alarms, warned = np.empty(fits), 0
    for number in range(fits):
        scores = dict(enumerate(draw_scores(draw, ORGANISATIONS).tolist()))
        threshold = fit({0: {str(name): score for name, score in scores.items()}, 1: {}}, budget)
        passed = 1 - np.searchsorted(many, threshold.score) / MANY
        alarms[number] = passed * ORGANISATIONS / WEEKS
        warned += bool(threshold.caveats)
    return alarms, warned / fits


if __name__ == "__main__":
    main()
