from __future__ import annotations

import numpy as np
import pytest

from stillroom.base.errors import DataError
from stillroom.probe.power import number_needed
from stillroom.probe.swap_test import p_value_of


def power_of(differences: np.ndarray, n: int, alpha: float, draws: int = 100) -> float:
    """The share of samples of `n` units, drawn with replacement, whose p-value is at most `alpha`."""
    generator = np.random.default_rng(1)
    samples = (generator.integers(0, len(differences), n) for _ in range(draws))
    return sum(p_value_of(differences[sample]) <= alpha for sample in samples) / draws


def suspect(generator: np.random.Generator, n: int) -> np.ndarray:
    """Knows one reply in ten by heart; two in five siblings are equally near to what it says."""
    noise = generator.standard_normal(n) * (generator.random(n) > 0.4)
    return noise + 2 * (generator.random(n) < 0.1)


@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.01, 0.95)])
def test_four_pilots_in_five_give_a_number_that_suffices(alpha: float, power: float) -> None:
    generator = np.random.default_rng(2)
    all_of_it = suspect(generator, 20_000)
    numbers = []
    for _ in range(40):
        try:
            numbers.append(number_needed(suspect(generator, 400), alpha, power))
        except DataError:
            numbers.append(10_000)  # it says that the pilot is too small, and promises nothing
    assert power_of(all_of_it, int(np.quantile(numbers, 0.3)), alpha) >= power - 0.05
    assert power_of(all_of_it, int(np.quantile(numbers, 0.3)) // 3, alpha) < power


def test_a_great_pilot_gives_the_number_itself() -> None:
    differences = suspect(np.random.default_rng(3), 20_000)
    assert power_of(differences, number_needed(differences, 0.05, 0.9), 0.05, draws=400) == pytest.approx(
        0.92, abs=0.05
    )


def test_however_strong_the_effect_a_level_needs_its_coins() -> None:
    assert number_needed(np.ones(1000), 0.01, 0.95) == 7
    assert power_of(np.ones(100), 7, 0.01) == 1.0
    assert power_of(np.ones(100), 6, 0.01) == 0.0


def test_unanswered_pilot_questions_are_left_out() -> None:
    differences = suspect(np.random.default_rng(4), 1000)
    assert number_needed(np.append(differences, [np.nan] * 50), 0.05, 0.9) == number_needed(differences, 0.05, 0.9)


@pytest.mark.parametrize("differences", [np.zeros(30), np.zeros(0), np.full(4, np.nan)])
def test_a_pilot_that_tells_nothing_apart(differences: np.ndarray) -> None:
    with pytest.raises(DataError, match="no two replies"):
        number_needed(differences, 0.05, 0.9)


def test_a_few_pairs_that_all_lean_one_way_are_no_certainty() -> None:
    assert number_needed(np.ones(1000), 0.05, 0.9) < number_needed(np.ones(20), 0.05, 0.9) <= 12
    with pytest.raises(DataError, match="1 questions do not show enough"):
        number_needed(np.ones(1), 0.05, 0.9)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_pilot_without_an_effect_gives_no_number(sign: int) -> None:
    differences = sign * np.tile([1.0, -1.0, 2.0, -2.0], 20)
    with pytest.raises(DataError, match="do not show enough"):
        number_needed(differences, 0.05, 0.9)


def test_power_without_an_effect_is_the_level() -> None:
    differences = np.random.default_rng(5).standard_normal(2000)
    balanced = np.append(differences, -differences)
    assert power_of(balanced, 100, 0.05) == pytest.approx(0.05, abs=0.05)
