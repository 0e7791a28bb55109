"""What a suspect's likelihoods say beside its base's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from stillroom.probe.relative import relative_to_base
from stillroom.probe.swap_test import swap_test

finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 3))


def power(kept: float, noise: float, learned: float, pairs: int = 50, trials: int = 60) -> tuple[int, int, int]:
    """How often it is found at 0.05: by the suspect alone, by all of the base taken off, and by this share of it."""
    random = np.random.default_rng(3)
    found = [0, 0, 0]
    for _ in range(trials):
        coins_N = random.integers(0, 2, pairs).astype(np.int8)
        base_N = random.normal(0, 30, pairs)
        suspect_N = kept * base_N + random.normal(0, noise, pairs) + learned * (1 - 2 * coins_N)
        each = (suspect_N, suspect_N - base_N, relative_to_base(suspect_N, base_N))
        for place, differences_N in enumerate(each):
            found[place] += swap_test(differences_N, coins_N, np.arange(pairs)).p_value <= 0.05
    return found[0], found[1], found[2]


@pytest.mark.parametrize("kept", [1.0, 0.5, 0.05])
def test_it_finds_more_than_either_alone_however_much_of_its_base_a_suspect_has_kept(kept: float) -> None:
    alone, less_all, less_share = power(kept, noise=5, learned=3)
    assert less_share >= 55
    assert less_share >= max(alone, less_all) - 2
    if kept == 0.5:
        assert max(alone, less_all) < 30


def test_an_innocent_is_accused_no_more_often_than_the_level_says() -> None:
    assert power(0.5, noise=5, learned=0, trials=200)[2] <= binom.isf(1e-5, 200, 0.05)


@given(st.lists(st.tuples(finite, finite, st.booleans()), min_size=1, max_size=30))
def test_siblings_that_change_places_change_their_own_sign_alone(rows: list[tuple[float, float, bool]]) -> None:
    suspect_N = np.array([row[0] for row in rows])
    base_N = np.array([row[1] for row in rows])
    turned_N = np.where([row[2] for row in rows], -1.0, 1.0)
    plain = relative_to_base(suspect_N, base_N)
    assert np.array_equal(relative_to_base(suspect_N * turned_N, base_N * turned_N), plain * turned_N)


def test_what_is_not_known_stays_so_and_a_base_that_prefers_nothing_takes_nothing_off() -> None:
    found = relative_to_base(np.array([1.0, np.nan, 2.0]), np.array([np.nan, 1.0, 4.0]))
    assert np.isnan(found[:2]).all()
    assert found[2] == 0
    assert relative_to_base(np.array([1.0, -2.0]), np.zeros(2)).tolist() == [1.0, -2.0]
