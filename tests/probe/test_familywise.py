from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from stillroom.probe.familywise import by_account, holm, max_t
from stillroom.probe.swap_test import swap_test


def coins_of(generator: np.random.Generator, n: int) -> np.ndarray:
    return generator.integers(0, 2, n).astype(np.int8)


def test_one_measure_is_its_own_family() -> None:
    generator = np.random.default_rng(1)
    differences, coins, units = generator.standard_normal(50) + 0.2, coins_of(generator, 50), np.arange(50)
    adjusted = max_t(differences[None], coins, units, seed=1)
    assert adjusted == pytest.approx([swap_test(differences, coins, units).p_value], abs=0.02)


def test_a_measure_that_is_there_twice_costs_nothing() -> None:
    generator = np.random.default_rng(2)
    differences, coins, units = generator.standard_normal(50), coins_of(generator, 50), np.arange(50) // 2
    once = max_t(differences[None], coins, units, seed=1)
    assert max_t(np.stack([differences, 3 * differences]), coins, units, seed=1).tolist() == [*once, *once]


def test_it_is_the_share_of_all_swaps_whose_greatest_reaches_it() -> None:
    """Four units: few enough to swap in every way by hand."""
    differences = np.array([[3.0, -1.0, 2.0, 0.5], [1.0, 1.0, -1.0, np.nan]])
    coins, units = np.zeros(4, np.int8), np.arange(4)

    def standardised(swapped: np.ndarray) -> list[float]:
        tests = [swap_test(each, swapped, units) for each in differences]
        return [test.statistic / test.spread for test in tests]

    swaps = [np.array([number >> bit & 1 for bit in range(4)], np.int8) for number in range(16)]
    greatest = np.array([max(standardised(swap)) for swap in swaps])
    exact = [np.mean(greatest >= real - 1e-9) for real in standardised(coins)]
    assert max_t(differences, coins, units, seed=3) == pytest.approx(exact, abs=0.02)


def test_the_seed_decides() -> None:
    generator = np.random.default_rng(4)
    differences, coins, units = generator.standard_normal((3, 40)), coins_of(generator, 40), np.arange(40)
    assert max_t(differences, coins, units, seed=5).tolist() == max_t(differences, coins, units, seed=5).tolist()


def test_measures_without_any_answer_do_not_count() -> None:
    differences = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [np.nan] * 5, [0.0] * 5])
    adjusted = max_t(differences, np.zeros(5, np.int8), np.arange(5), seed=6)
    assert adjusted == pytest.approx([1 / 32, 1, 1], abs=0.01)


def test_no_pairs_no_evidence() -> None:
    assert max_t(np.zeros((2, 0)), np.zeros(0, np.int8), np.zeros(0, np.int64), seed=1).tolist() == [1.0, 1.0]


def test_among_many_measures_an_innocent_is_rarely_accused_by_any() -> None:
    """Measures that are nearly one and the same, and measures that are not."""
    trials, generator = 150, np.random.default_rng(9)
    accused = 0
    for trial in range(trials):
        common = generator.standard_normal(30)
        differences = np.stack(
            [common + 0.1 * generator.standard_normal(30), common, *generator.standard_cauchy((4, 30))]
        )
        adjusted = max_t(differences, coins_of(generator, 30), np.arange(30), seed=trial, draws=199)
        accused += adjusted.min() <= 0.05
    assert accused <= binom.ppf(0.9999, trials, 0.05)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_step_by_step(values: list[float]) -> None:
    """His procedure as he gives it: from the smallest on, until one fails."""
    adjusted = holm(values)
    for level in (0.01, 0.05, 0.3):
        order, rejected = np.argsort(values, kind="stable"), set()
        for step, index in enumerate(order):
            if values[index] * (len(values) - step) > level:
                break
            rejected.add(int(index))
        assert rejected == {index for index, value in enumerate(adjusted) if value <= level}


def test_each_account_is_tested_by_its_own_coins() -> None:
    differences = np.array([1.0, 2.0, 3.0, 4.0, -1.0, -2.0])
    found = by_account(differences, np.zeros(6, np.int8), np.arange(6), ["b", "b", "b", "b", "a", "a"])
    assert list(found) == ["a", "b"]
    assert found["b"].test == swap_test(differences[:4], np.zeros(4, np.int8), np.arange(4))
    assert found["b"].adjusted_p_value == pytest.approx(2 / 16)
    assert found["a"].adjusted_p_value == 1.0
    assert (found["a"].shared_units, found["a"].shared_with) == (0, ())


def test_accounts_that_may_have_been_served_the_same_words_are_named() -> None:
    found = by_account(np.ones(4), np.zeros(4, np.int8), np.array([0, 0, 1, 1]), ["a", "b", "b", "c"])
    assert {name: (each.shared_units, each.shared_with) for name, each in found.items()} == {
        "a": (1, ("b",)),
        "b": (2, ("a", "c")),
        "c": (1, ("b",)),
    }


def test_what_one_account_passed_on_is_not_held_against_another_that_asked_the_same() -> None:
    """Both asked the same questions and have one of their two siblings in common; the suspect learned from one only."""
    trials, questions, generator = 100, 20, np.random.default_rng(10)
    accused = {"guilty": 0, "innocent": 0}
    units = np.tile(np.arange(questions), 2)
    accounts = ["guilty"] * questions + ["innocent"] * questions
    for _ in range(trials):
        coins = coins_of(generator, 2 * questions)
        learned = np.where(coins[:questions] == 0, 1.0, -1.0)  # near to the text that the guilty one was served
        differences = np.append(learned, learned + 0.1 * generator.standard_normal(questions))
        for name, found in by_account(differences, coins, units, accounts).items():
            accused[name] += found.adjusted_p_value <= 0.05
    assert accused["guilty"] == trials
    assert accused["innocent"] <= binom.ppf(0.9999, trials, 0.05)
