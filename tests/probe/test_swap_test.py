"""Nothing but the coins is random: an innocent is accused as often as the level says, whatever else holds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import binom

from stillroom.base.errors import DataError
from stillroom.probe.swap_test import SwapTest, swap_distribution, swap_test, toward_served

Differences = NDArray[np.float64]
Coins = NDArray[np.int8]
Units = NDArray[np.int64]
finite = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0]))


@st.composite
def cases(draw: st.DrawFn, most: int = 8) -> tuple[Differences, Coins, Units]:
    """Differences, coins and units of a few pairs: ties, zeros, unanswered ones and merged units among them."""
    pairs = draw(st.integers(1, most))
    differences = draw(arrays(np.float64, pairs, elements=st.one_of(finite, st.just(float("nan")))))
    coins = draw(arrays(np.int8, pairs, elements=st.integers(0, 1)))
    return differences, coins, draw(arrays(np.int64, pairs, elements=st.integers(0, pairs - 1)))


def every_swap(differences: Differences, coins: Coins, units: Units) -> list[SwapTest]:
    """The test for each way in which the units' coins can be swapped."""
    numbers, unit_of = np.unique(units, return_inverse=True)
    swaps = product((0, 1), repeat=len(numbers))
    return [swap_test(differences, coins ^ np.array(swap, dtype=np.int8)[unit_of], units) for swap in swaps]


@settings(max_examples=40)
@given(cases(6))
def test_of_all_swaps_exactly_a_share_p_has_a_p_value_as_small(case: tuple[Differences, Coins, Units]) -> None:
    values = np.array([test.p_value for test in every_swap(*case)])
    for value in values:
        assert np.mean(values <= value * (1 + 1e-9)) == pytest.approx(value, rel=1e-9)


@settings(max_examples=40)
@given(cases(6))
def test_the_swap_distribution_is_that_of_all_swaps(case: tuple[Differences, Coins, Units]) -> None:
    statistics = np.array([test.statistic for test in every_swap(*case)])
    values, probabilities = swap_distribution(*case)
    for value, probability in zip(values, probabilities, strict=True):
        assert np.mean(statistics == value) == pytest.approx(probability, abs=1e-12)
    assert np.std(statistics) == pytest.approx(swap_test(*case).spread)


@settings(max_examples=40)
@given(cases(), st.data())
def test_the_order_of_two_siblings_says_nothing(case: tuple[Differences, Coins, Units], data: st.DataObject) -> None:
    differences, coins, units = case
    turned = np.array(data.draw(st.lists(st.booleans(), min_size=len(coins), max_size=len(coins))))
    other = swap_test(np.where(turned, -differences, differences), np.where(turned, 1 - coins, coins), units)
    assert other == swap_test(differences, coins, units)


@settings(max_examples=40)
@given(cases(), st.integers(0, 5))
def test_identical_siblings_add_nothing(case: tuple[Differences, Coins, Units], more: int) -> None:
    differences, coins, units = case
    zeros = np.zeros(more)
    new = np.arange(more) + len(units)
    other = swap_test(np.append(differences, zeros), np.append(coins, zeros.astype(np.int8)), np.append(units, new))
    test = swap_test(differences, coins, units)
    assert (other.p_value, other.statistic, other.informative) == (test.p_value, test.statistic, test.informative)


@settings(max_examples=40)
@given(cases(), st.integers(0, 5))
def test_unanswered_pairs_are_left_out_and_counted(case: tuple[Differences, Coins, Units], more: int) -> None:
    differences, coins, units = case
    unanswered = np.full(more, np.nan)
    other = swap_test(
        np.append(differences, unanswered),
        np.append(coins, np.zeros(more, np.int8)),
        np.append(units, units[:1].repeat(more)),
    )
    test = swap_test(differences, coins, units)
    assert (other.p_value, other.statistic, other.units) == (test.p_value, test.statistic, test.units)
    assert other.unanswered == test.unanswered + more
    assert other.pairs == test.pairs


@settings(max_examples=40)
@given(cases(), st.sampled_from([2.0**-40, 0.5, 4.0, 2.0**30]))
def test_no_unit_of_measurement_matters(case: tuple[Differences, Coins, Units], factor: float) -> None:
    differences, coins, units = case
    assert swap_test(differences * factor, coins, units) == swap_test(differences, coins, units)


@settings(max_examples=40)
@given(cases())
def test_last_bits_do_not_matter(case: tuple[Differences, Coins, Units]) -> None:
    differences, coins, units = case
    nudged = differences * (1 + 2.0**-52)
    assert swap_test(np.where(coins == 0, nudged, differences), coins, units) == swap_test(differences, coins, units)


def test_what_is_left_of_rounding_is_no_difference() -> None:
    test = swap_test(np.array([0.1 + 0.2, -0.3, 5.0]), np.zeros(3, np.int8), np.array([0, 0, 1]))
    assert (test.units, test.informative) == (2, 1)


def test_all_on_the_served_side() -> None:
    test = swap_test(np.array([3.0, -1.0, 2.0, -5.0]), np.array([0, 1, 0, 1], np.int8), np.arange(4))
    assert test.p_value == pytest.approx(1 / 16)
    assert (test.nearer_served, test.nearer_sealed, test.share) == (4, 0, 1.0)
    assert test.statistic == sum(round(-8 * np.log(1 - (rank - 0.5) / 4)) for rank in (1, 2, 3, 4))


def test_all_on_the_sealed_side_is_no_evidence() -> None:
    test = swap_test(np.array([3.0, -1.0]), np.array([1, 0], np.int8), np.arange(2))
    assert (test.p_value, test.sign_p_value, test.share) == (1.0, 1.0, 0.0)


def test_nothing_to_tell_apart() -> None:
    test = swap_test(np.array([0.0, np.nan]), np.array([0, 1], np.int8), np.arange(2))
    assert (test.p_value, test.sign_p_value, test.share, test.informative) == (1.0, 1.0, None, 0)
    assert (test.share_low, test.share_high, test.spread) == (0.0, 1.0, 0.0)


def test_of_no_pairs() -> None:
    test = swap_test(np.zeros(0), np.zeros(0, np.int8), np.zeros(0, np.int64))
    assert (test.p_value, test.units, test.pairs) == (1.0, 0, 0)


def test_a_strong_result_keeps_its_digits() -> None:
    generator = np.random.default_rng(2)
    coins = generator.integers(0, 2, 20_000).astype(np.int8)
    differences = np.where(coins == 0, 1.0, -1.0) * np.where(generator.random(20_000) < 0.6, 1.0, -1.0)
    test = swap_test(differences, coins, np.arange(20_000))
    assert 1e-300 < test.p_value < 1e-100
    assert test.p_value == pytest.approx(float(binom.sf(test.nearer_served - 1, 20_000, 0.5)), rel=1e-9)


def test_units_are_swapped_together() -> None:
    """Two pairs that speak for the served reply are one piece of evidence, where they have a reply in common."""
    differences, coins = np.array([1.0, 1.0, 1.0]), np.zeros(3, np.int8)
    assert swap_test(differences, coins, np.array([0, 1, 2])).p_value == pytest.approx(1 / 8)
    assert swap_test(differences, coins, np.array([0, 0, 2])).p_value == pytest.approx(1 / 4)


def test_pairs_of_a_unit_that_disagree_cancel() -> None:
    served = toward_served(np.array([1.0, 1.0, 2.0]), np.array([0, 1, 0], np.int8), np.array([5, 5, 6]))
    assert served.tolist() == [0.0, 2.0]


def test_an_infinite_difference_is_named() -> None:
    with pytest.raises(DataError, match="pair 2 is infinite"):
        swap_test(np.array([1.0, -np.inf]), np.zeros(2, np.int8), np.arange(2))


@pytest.mark.parametrize(
    ("coins", "units", "problem"), [([0, 2], [0, 1], "0 or 1"), ([0], [0, 1], "one each"), ([0, 1], [0], "one each")]
)
def test_what_does_not_fit_together(coins: list[int], units: list[int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        swap_test(np.ones(2), np.array(coins, np.int8), np.array(units))


# Innocents: whatever their answers are like, they are like them without the coins.


def _always_nearer_to_the_first(generator: np.random.Generator, n: int) -> Differences:
    return np.abs(generator.standard_normal(n))


def _wildly_heavy_tails(generator: np.random.Generator, n: int) -> Differences:
    return np.sign(generator.standard_normal(n)) * np.exp(30 * generator.standard_normal(n))


def _mostly_ties(generator: np.random.Generator, n: int) -> Differences:
    return generator.integers(-1, 2, n).astype(np.float64)


def _questions_that_resemble_one_another(generator: np.random.Generator, n: int) -> Differences:
    """Ten kinds of question; to all of one kind the suspect is as near, on the same side."""
    return generator.standard_normal(10)[generator.integers(0, 10, n)]


def _hardly_any_sibling_differs(generator: np.random.Generator, n: int) -> Differences:
    return np.where(generator.random(n) < 0.9, 0.0, generator.standard_normal(n))


def _one_great_difference(generator: np.random.Generator, n: int) -> Differences:
    return np.where(np.arange(n) == 0, 1e12, generator.standard_normal(n))


@pytest.mark.parametrize(
    "innocent",
    [
        _always_nearer_to_the_first,
        _wildly_heavy_tails,
        _mostly_ties,
        _questions_that_resemble_one_another,
        _hardly_any_sibling_differs,
        _one_great_difference,
    ],
)
def test_an_innocent_is_not_accused_beyond_the_level(
    innocent: Callable[[np.random.Generator, int], Differences],
) -> None:
    trials, pairs = 150, 40
    generator = np.random.default_rng(7)
    values = np.empty(trials)
    for trial in range(trials):
        units = generator.integers(0, pairs, pairs)
        coins = generator.integers(0, 2, pairs).astype(np.int8)
        values[trial] = swap_test(innocent(generator, pairs), coins, units).p_value
    for level in (0.01, 0.05, 0.25):
        assert np.sum(values <= level) <= binom.ppf(0.9999, trials, level)


def test_asking_on_by_what_was_served_breaks_the_test_and_not_the_bare_count() -> None:
    """Why requests that an earlier reply may have brought about are left out: here a client asks nothing more that
    matters as soon as the coins are a little ahead."""
    trials, pairs, level, generator = 150, 60, 0.25, np.random.default_rng(11)
    by_score, by_count = 0, 0
    for _ in range(trials):
        coins = generator.integers(0, 2, pairs).astype(np.int8)
        differences = np.empty(pairs)
        ahead = 0.0
        for pair, coin in enumerate(coins):
            differences[pair] = generator.uniform(1, 2) * (1e-6 if ahead > 0.7 * np.sqrt(pair + 1) else 1)
            ahead += differences[pair] * (1 if coin == 0 else -1)
        test = swap_test(differences, coins, np.arange(pairs))
        by_score += test.p_value <= level
        by_count += test.sign_p_value <= level
    assert by_score > binom.ppf(0.9999, trials, level)
    assert by_count <= binom.ppf(0.9999, trials, level)


def test_a_guilty_one_is_found() -> None:
    generator = np.random.default_rng(8)
    coins = generator.integers(0, 2, 300).astype(np.int8)
    learned = generator.standard_normal(300) + 0.5 * np.where(coins == 0, 1, -1)
    assert swap_test(learned, coins, np.arange(300)).p_value < 1e-6
