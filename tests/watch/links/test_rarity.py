from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from stillroom.watch.links.rarity import rarity


def test_never_below_the_exact_chance_and_close_to_it_where_it_matters() -> None:
    random = np.random.default_rng(1)
    population = random.integers(5, 3_000, 400)
    with_key = random.integers(0, population + 1)
    size = random.integers(0, population + 1)
    inside = np.array(
        [random.integers(max(0, n + k - m), min(n, k) + 1) for m, k, n in zip(population, with_key, size, strict=True)]
    )
    found = rarity(inside, size, with_key, population)
    exact = hypergeom.logsf(inside - 1, population, with_key, size) / np.log(10)
    is_comparable = exact > -200  # scipy's own tail is a sum of logarithms, and slow to be exact beyond
    assert np.all(found[is_comparable] >= exact[is_comparable] - 1e-6)
    is_rare = is_comparable & (exact < -3)
    assert is_rare.sum() > 50
    assert np.all(found[is_rare] <= 0.75 * exact[is_rare])


def test_a_key_that_only_the_group_has_is_rare_and_one_that_everybody_has_is_not() -> None:
    assert float(rarity(5, 5, 5, 2_000)) < -13
    assert float(rarity(5, 5, 2_000, 2_000)) == 0
    assert float(rarity(5, 5, 1_800, 2_000)) > -0.5


def test_what_nobody_in_the_set_has_is_no_evidence() -> None:
    assert float(rarity(0, 10, 3, 2_000)) == 0
    assert float(rarity(0, 0, 0, 0)) == 0


def test_chance_alone_is_seldom_called_rare() -> None:
    random = np.random.default_rng(2)
    inside = random.hypergeometric(40, 1_960, 60, 20_000)
    found = rarity(inside, 60, 40, 2_000)
    for power in (1, 2, 3):
        assert np.mean(found <= -power) <= 10.0**-power * 1.2


@pytest.mark.parametrize(
    "counts", [(3, 2, 5, 10), (3, 5, 2, 10), (2, 5, 11, 10), (2, 11, 5, 10), (0, 6, 6, 10), (-1, 2, 2, 9)]
)
def test_counts_that_contradict_each_other_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="members with the key"):
        rarity(*counts)
