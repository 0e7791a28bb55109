"""Several samples of each question: estimators by brute force, intervals and tests on simulated examinations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from stillroom.exam import resampling
from stillroom.exam.resampling import (
    Values,
    bootstrap_interval,
    difference_interval,
    mean_interval,
    pass_at_k,
    powers_up_to,
    sign_flip_p_value,
)
from stillroom.exam.statistics import share


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_all_choices_of_k_samples(case: tuple[int, int, int]) -> None:
    samples, right, k = case
    outcomes = [True] * right + [False] * (samples - right)
    choices = [any(chosen) for chosen in combinations(outcomes, k)]
    assert pass_at_k(samples, right, k) == pytest.approx(sum(choices) / len(choices), abs=1e-12)


def test_pass_at_k_is_unbiased_where_the_simple_estimate_is_not() -> None:
    draw = np.random.default_rng(3)
    chance, samples, k = 0.3, 8, 4
    right = draw.binomial(samples, chance, size=40_000)
    truth = 1 - (1 - chance) ** k
    unbiased = np.mean([pass_at_k(samples, count, k) for count in range(samples + 1)] @ np.eye(samples + 1)[right].T)
    simple = np.mean(1 - (1 - right / samples) ** k)
    assert unbiased == pytest.approx(truth, abs=0.004)
    assert simple < truth - 0.02


def test_the_k_that_are_told() -> None:
    assert powers_up_to(1) == [1]
    assert powers_up_to(4) == [1, 2, 4]
    assert powers_up_to(10) == [1, 2, 4, 8, 10]


# The test of paired differences


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=40))
def test_of_single_answers_it_is_mcnemars(differences: list[int]) -> None:
    ahead, behind = differences.count(1), differences.count(-1)
    expected = binomtest(ahead, ahead + behind, 0.5).pvalue if ahead + behind else 1.0
    assert sign_flip_p_value(np.array(differences)) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=10))
def test_it_is_the_share_of_all_signs(differences: list[int]) -> None:
    observed = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    expected = sum(total >= observed for total in sums) / len(sums)
    assert sign_flip_p_value(np.array(differences)) == pytest.approx(expected, rel=1e-9)


def test_a_small_p_value_is_as_exact_as_a_large_one() -> None:
    assert sign_flip_p_value(np.full(300, 8)) == pytest.approx(2 / 2.0**300, rel=1e-9)


def test_beyond_what_can_be_computed_it_is_the_normal_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(5)
    differences = draw.integers(-8, 9, size=400) + draw.integers(0, 2, size=400)
    exact = sign_flip_p_value(differences)
    monkeypatch.setattr(resampling, "MOST_STEPS", 0)
    assert 1e-4 < exact < 0.9
    assert sign_flip_p_value(differences) == pytest.approx(exact, rel=0.03)


# Intervals


def test_the_bootstrap_is_scipys_but_for_its_percentiles() -> None:
    draw = np.random.default_rng(11)
    values = draw.binomial(8, draw.beta(1, 1, 200)) / 8
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    low, high = bootstrap_interval([values])
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)
    assert bootstrap_interval([values]) == (low, high)


def test_questions_are_drawn_within_their_set() -> None:
    easy, hard = np.array([0.9, 1.0] * 20), np.array([0.0, 0.1] * 20)
    low, high = bootstrap_interval([easy, hard])
    mixed_low, mixed_high = bootstrap_interval([np.concatenate([easy, hard])])
    assert high - low < 0.15 * (mixed_high - mixed_low)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_where_all_questions_came_out_alike_nothing_is_certain(value: float, n: int) -> None:
    low, high = mean_interval([np.full(n, value)])
    once = share(value * n, n)
    assert 0 <= low <= once.low + 1e-9 <= value + 2e-9
    assert value - 2e-9 <= once.high - 1e-9 <= high <= 1
    assert low < high


def test_two_models_that_came_out_alike_may_differ() -> None:
    rates = np.array([0.0, 0.25, 0.5, 1.0] * 10)
    low, high = difference_interval([rates], [rates], 160)
    assert -0.15 < low < -0.01
    assert low == pytest.approx(-high)


def test_swapping_the_takers_mirrors_the_interval() -> None:
    draw = np.random.default_rng(2)
    a, b = draw.binomial(4, 0.6, 50) / 4, draw.binomial(4, 0.5, 50) / 4
    low, high = difference_interval([a], [b], 200)
    mirrored_low, mirrored_high = difference_interval([b], [a], 200)
    assert (mirrored_low, mirrored_high) == pytest.approx((-high, -low), abs=0.004)


EASY, EVEN, HARD = (9, 0.5), (1, 1), (0.2, 1.5)
"""How hard the questions of a simulated examination are: each has a chance drawn from this beta distribution."""


@pytest.mark.parametrize("difficulty", [EASY, EVEN, HARD])
@pytest.mark.parametrize(("questions", "samples"), [(15, 4), (30, 16), (200, 4)])
def test_the_interval_of_a_mean_covers_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch, difficulty: tuple[float, float], questions: int, samples: int
) -> None:
    a, b = difficulty
    covered = _share_covered(
        monkeypatch, a / (a + b), lambda draw: mean_interval([_rates(draw, draw.beta(a, b, questions), samples)])
    )
    assert 0.93 <= covered <= 1.0 if questions < 30 else 0.92 <= covered <= 0.985


@pytest.mark.parametrize("difficulty", [EASY, EVEN, HARD])
@pytest.mark.parametrize(("questions", "samples"), [(15, 4), (30, 16), (200, 4)])
def test_the_interval_of_a_difference_covers_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch, difficulty: tuple[float, float], questions: int, samples: int
) -> None:
    a, b = difficulty
    population = np.random.default_rng(0).beta(a, b, 1_000_000)
    truth = float((population - population**1.5).mean())

    def interval(draw: np.random.Generator) -> tuple[float, float]:
        chances = draw.beta(a, b, questions)
        ours, theirs = _rates(draw, chances, samples), _rates(draw, chances**1.5, samples)
        return difference_interval([ours], [theirs], questions * samples)

    covered = _share_covered(monkeypatch, truth, interval)
    assert 0.93 <= covered <= 1.0 if questions < 30 else 0.92 <= covered <= 0.99


@pytest.mark.parametrize("difficulty", [EASY, EVEN])
def test_equally_good_models_are_called_different_as_seldom_as_the_test_says(difficulty: tuple[float, float]) -> None:
    draw = np.random.default_rng(7)
    calls = 0
    for _ in range(400):
        chances = draw.beta(*difficulty, 60)
        a, b = draw.binomial(8, chances), draw.binomial(8, chances)
        calls += sign_flip_p_value(a - b) < 0.05
    assert 0.015 <= calls / 400 <= 0.075


def _rates(draw: np.random.Generator, chances: Values, samples: int) -> Values:
    rates: Values = draw.binomial(samples, chances) / samples
    return rates


def _share_covered(
    monkeypatch: pytest.MonkeyPatch, truth: float, interval: Callable[[np.random.Generator], tuple[float, float]]
) -> float:
    """Of 300 simulated examinations, those whose interval holds the truth."""
    monkeypatch.setattr(resampling, "RESAMPLES", 600)
    draw = np.random.default_rng(20)
    intervals = [interval(draw) for _ in range(300)]
    return sum(low <= truth <= high for low, high in intervals) / 300
