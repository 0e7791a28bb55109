"""How often a test accuses: of innocents by blocks of questions, of guilty ones by the number of questions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from benchmarks.probe_students.suspects import Numbers, Suspect
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from stillroom.probe.familywise import max_t
from stillroom.probe.swap_test import swap_test

ALPHAS = (0.05, 0.01)
BLOCKS = 20
TOSSES = 50
NUMBERS = (50, 100, 300, 1000, 2000)
DRAWS = 200
"""Resamples of a power: its standard error is 0.035 at most."""
MAX_T_DRAWS = 999
SEED = 20_261_126

Places = NDArray[np.int64]
Test = Callable[[Suspect, Places], float]
"""The p-value of a suspect from those of its pairs."""


def by_text(suspect: Suspect, places: Places) -> float:
    return _alone(suspect.primary_N, suspect, places)


def by_all_texts(suspect: Suspect, places: Places) -> float:
    """The smallest p-value of all text measures, corrected for their number."""
    adjusted_M = max_t(
        suspect.text_MN[:, places],
        suspect.coins_N[places],
        np.arange(len(places)),
        seed=SEED,
        draws=MAX_T_DRAWS,
    )
    return float(adjusted_M.min())


def by_text_beside_further(suspect: Suspect, places: Places) -> float:
    assert suspect.beside_further_N is not None
    return _alone(suspect.beside_further_N, suspect, places)


def by_likelihood(suspect: Suspect, places: Places) -> float:
    assert suspect.likelihood_N is not None
    return _alone(suspect.likelihood_N, suspect, places)


def _alone(differences_N: Numbers, suspect: Suspect, places: Places) -> float:
    # A pair that is drawn twice is two units here, as two questions would be.
    return swap_test(differences_N[places], suspect.coins_N[places], np.arange(len(places))).p_value


TESTS: Mapping[str, Test] = {
    "text": by_text,
    "text beside further draws": by_text_beside_further,
    "all texts": by_all_texts,
    "likelihood": by_likelihood,
}


def can_be_tested(suspect: Suspect, test: str) -> bool:
    needed = {"likelihood": suspect.likelihood_N, "text beside further draws": suspect.beside_further_N}
    return test not in needed or needed[test] is not None


# --- size ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Size:
    """How often innocents were accused."""

    accused: int
    blocks: int
    exact: tuple[float, float]
    """95 % interval by Clopper & Pearson, as if blocks were independent: they are where every student has its own
    coins."""
    clustered: tuple[float, float]
    """95 % interval by whole students drawn anew."""

    @property
    def rate(self) -> float:
        return self.accused / self.blocks


def block_p_values(suspect: Suspect, test: str) -> Numbers:
    """p of 20 disjoint blocks of questions: every twentieth question, from the first, the second and so on."""
    places = np.arange(len(suspect.coins_N))
    return np.array([TESTS[test](suspect, places[block::BLOCKS]) for block in range(BLOCKS)])


def p_values_tossed_again(suspect: Suspect, test: str) -> Numbers:
    """p of the blocks of an innocent, with other coins each of TOSSES times."""
    generator = np.random.default_rng([SEED, len(suspect.coins_N)])
    tossed = (
        replace(suspect, coins_N=generator.integers(0, 2, len(suspect.coins_N)).astype(np.int8)) for _ in range(TOSSES)
    )
    return np.concatenate([block_p_values(each, test) for each in tossed])


def size(p_values_SB: Sequence[Numbers], alpha: float) -> Size:
    """Of S students with B blocks each."""
    accused_S = np.array([int(np.sum(p_values_B <= alpha)) for p_values_B in p_values_SB])
    blocks = sum(len(p_values_B) for p_values_B in p_values_SB)
    accused = int(accused_S.sum())
    low, high = proportion_confint(accused, blocks, method="beta")
    drawn = np.random.default_rng(SEED).integers(0, len(accused_S), (10_000, len(accused_S)))
    rates = accused_S[drawn].sum(axis=1) / blocks
    spread = np.percentile(rates, (2.5, 97.5))
    return Size(
        accused,
        blocks,
        (0.0 if math.isnan(low) else float(low), 1.0 if math.isnan(high) else float(high)),
        (float(spread[0]), float(spread[1])),
    )


# --- power -----------------------------------------------------------------------------------------------------------


def power(suspect: Suspect, test: str, count: int, among_N: NDArray[np.bool_] | None = None) -> dict[float, float]:
    """By level: the share of `DRAWS` samples of `count` of its questions, with replacement, that accuse this suspect.

    Each question keeps the coin that was recorded for it. What comes out holds for this student, not for another one of
    the same recipe. `among_N`: the questions that are drawn from.
    """
    every = np.flatnonzero(among_N) if among_N is not None else np.arange(len(suspect.coins_N))
    generator = np.random.default_rng([SEED, count])
    p_values = np.array([TESTS[test](suspect, generator.choice(every, count)) for _ in range(DRAWS)])
    return {alpha: float(np.mean(p_values <= alpha)) for alpha in ALPHAS}


def share_of_half(powers: Mapping[float, float]) -> str:
    """Where power drops below one half, as the share of served replies falls: between two shares by their logarithm."""
    shares = sorted(powers, reverse=True)
    if powers[shares[0]] < 0.5:
        return f"below one half already at {shares[0]:.0%}"
    for more, less in itertools.pairwise(shares):
        if powers[less] < 0.5:
            part = (powers[more] - 0.5) / (powers[more] - powers[less])
            return f"{math.exp(math.log(more) + part * (math.log(less) - math.log(more))):.1%}"
    return f"not below one half at {shares[-1]:.0%}"
