from __future__ import annotations

import random
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from stillroom.exam.statistics import compare, holm, paired_interval, share


def test_wilson_by_its_formula() -> None:
    z, right, n = 1.959963984540054, 340, 400
    centre = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(right * (n - right) / n + z * z / 4)
    interval = share(right, n)
    assert interval.low == pytest.approx(centre - half, abs=1e-12)
    assert interval.high == pytest.approx(centre + half, abs=1e-12)
    assert (interval.accuracy, interval.n) == (0.85, 400)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(counts: tuple[int, int]) -> None:
    interval = share(*counts)
    assert 0 <= interval.low <= interval.accuracy <= interval.high <= 1
    assert interval.low < interval.high


def test_none_and_all_right_are_not_certain() -> None:
    assert share(0, 10).high == pytest.approx(0.2775, abs=1e-4)
    assert share(10, 10).low == pytest.approx(0.7225, abs=1e-4)


def test_newcombe_on_published_counts() -> None:
    # Airway hyper-responsiveness before and after a transplantation (Bentur 2009), as worked in Fagerland, Lydersen and
    # Laake, Statistical Analysis of Contingency Tables, chapter 8: (-0.507, -0.026).
    assert paired_interval(1, 1, 7, 12) == pytest.approx((-0.5069, -0.0256), abs=1e-4)


table = st.tuples(*[st.integers(0, 300)] * 4).filter(lambda counts: sum(counts) > 0)


@given(table)
def test_swapping_the_takers_mirrors_the_interval(counts: tuple[int, int, int, int]) -> None:
    both_right, only_a, only_b, both_wrong = counts
    low, high = paired_interval(both_right, only_a, only_b, both_wrong)
    mirrored = paired_interval(both_right, only_b, only_a, both_wrong)
    assert mirrored == pytest.approx((-high, -low), abs=1e-12)
    assert -1 <= low <= (only_a - only_b) / sum(counts) + 1e-12
    assert (only_a - only_b) / sum(counts) - 1e-12 <= high <= 1


def test_the_interval_covers_as_often_as_it_says() -> None:
    draw = random.Random(7)
    chances = {(True, True): 0.5, (True, False): 0.25, (False, True): 0.1, (False, False): 0.15}
    covered = 0
    for _ in range(400):
        pairs = draw.choices(list(chances), list(chances.values()), k=100)
        comparison = compare([a for a, _ in pairs], [b for _, b in pairs])
        covered += comparison.low <= 0.15 <= comparison.high
    assert 0.92 <= covered / 400 <= 0.99


def test_comparison_counts_pairs() -> None:
    comparison = compare([True, True, True, False, False], [True, False, False, True, False])
    assert (comparison.both_right, comparison.only_a, comparison.only_b, comparison.both_wrong) == (1, 2, 1, 1)
    assert comparison.difference == pytest.approx(0.2)


def test_mcnemar_by_hand() -> None:
    # 1 of 9 differing questions: 2 * (1 + 9) / 2**9.
    assert compare([True] * 1 + [False] * 8, [False] * 1 + [True] * 8).p_value == pytest.approx(20 / 512)
    assert compare([True, False], [True, False]).p_value == 1.0
    assert compare([True] * 20, [False] * 20).p_value == pytest.approx(2 / 2**20)


def test_takers_with_different_questions_are_not_compared() -> None:
    with pytest.raises(ValueError):
        compare([True], [True, False])


@pytest.mark.parametrize(
    "p_values", [[], [0.04], [0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.02], [1.0, 1e-300, 0.9], [0.0, 0.0]]
)
def test_holms_rule_is_that_of_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1].tolist() if p_values else []
    assert holm(p_values) == pytest.approx(expected)
