"""The swap distribution is exact, however far out in its tail."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from stillroom.probe.swap_distribution import SMALLEST_P, fair_masses, upper_tail

levels = st.lists(st.integers(1, 64), min_size=1, max_size=8).map(np.array)


def counted_by_hand(levels_U: np.ndarray, reached: int, odds: int) -> Fraction:
    """Over every way that the coins can fall."""
    total = Fraction(0)
    for coins in product((0, 1), repeat=len(levels_U)):
        if int(np.dot(coins, levels_U)) >= reached:
            total += Fraction(odds ** sum(coins), (1 + odds) ** len(coins))
    return total


@settings(max_examples=40)
@given(levels, st.integers(1, 4), st.data())
def test_it_is_what_counting_every_fall_of_the_coins_gives(levels: np.ndarray, odds: int, data: st.DataObject) -> None:
    reached = data.draw(st.integers(0, int(levels.sum())))
    assert upper_tail(levels, reached, odds) == pytest.approx(float(counted_by_hand(levels, reached, odds)), rel=1e-11)


@settings(max_examples=40)
@given(levels)
def test_masses_are_those_of_every_sum(levels: np.ndarray) -> None:
    sums = [int(np.dot(coins, levels)) for coins in product((0, 1), repeat=len(levels))]
    assert fair_masses(levels) == pytest.approx(np.bincount(sums) / len(sums), abs=1e-12)


@pytest.mark.parametrize("reached", [9_000, 10_000, 10_500, 11_000, 12_000, 12_600])
def test_bare_counts_are_binomial_down_to_1e_300(reached: int) -> None:
    exact = binom.sf(reached - 1, 20_000, 0.5)
    assert upper_tail(np.ones(20_000, dtype=np.int64), reached) == pytest.approx(exact, rel=1e-10)


def test_the_far_tail_of_mixed_levels_is_exact() -> None:
    levels = np.random.default_rng(1).integers(1, 65, 200)
    ways = {0: 1}
    for level in levels.tolist():
        taken = {total + level: count for total, count in ways.items()}
        ways = {total: ways.get(total, 0) + taken.get(total, 0) for total in ways.keys() | taken.keys()}
    for reached in range(int(levels.sum()) // 2, int(levels.sum()) + 1, 97):
        exact = Fraction(sum(count for total, count in ways.items() if total >= reached), 2**200)
        assert upper_tail(levels, reached) == pytest.approx(float(exact), rel=1e-10)


def test_what_no_float_can_hold_is_the_smallest_p() -> None:
    assert upper_tail(np.ones(20_000, dtype=np.int64), 20_000) == SMALLEST_P
    assert upper_tail(np.ones(20_000, dtype=np.int64), 19_000) == SMALLEST_P


def test_no_sum_is_beyond_all() -> None:
    with pytest.raises(ValueError, match="no sum"):
        upper_tail(np.array([1, 2]), 4)
