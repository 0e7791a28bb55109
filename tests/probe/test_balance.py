from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import binom

from stillroom.probe.balance import balance, uneven_forms
from stillroom.store.siblings import Pair


def pairs_of(generator: np.random.Generator, n: int) -> list[Pair]:
    """Replies of any length."""
    lengths = generator.geometric(0.02, (n, 2))
    return [Pair(f"call_{i}", f"q{i}", "[]", "a" * first, "b" * second) for i, (first, second) in enumerate(lengths)]


def test_fair_coins_are_called_uneven_as_often_as_the_level_says() -> None:
    generator, trials = np.random.default_rng(1), 100
    uneven = np.zeros(2)
    for _ in range(trials):
        pairs = pairs_of(generator, 60)
        found = balance(pairs, generator.integers(0, 2, 60).astype(np.int8), np.arange(60))
        uneven += [found.coins_p_value <= 0.05, found.length_p_value <= 0.05]
    assert (uneven <= binom.ppf(0.9999, trials, 0.05)).all()


def test_clients_that_hang_up_on_long_replies_are_seen() -> None:
    generator = np.random.default_rng(2)
    pairs, coins = pairs_of(generator, 1000), generator.integers(0, 2, 1000).astype(np.int8)
    served = [len(pair.first if coin == 0 else pair.second) for pair, coin in zip(pairs, coins, strict=True)]
    kept = [index for index, length in enumerate(served) if length < 80]
    found = balance([pairs[index] for index in kept], coins[kept], np.arange(len(kept)))
    assert found.length_p_value < 0.001
    assert found.served_shorter > found.served_longer
    assert found.coins_p_value > 0.001


def test_a_coin_that_is_none_is_seen() -> None:
    pairs = pairs_of(np.random.default_rng(3), 100)
    found = balance(pairs, np.zeros(100, np.int8), np.arange(100))
    assert (found.pairs, found.first_served) == (100, 100)
    assert found.coins_p_value < 1e-20


def test_of_no_pairs() -> None:
    found = balance([], np.zeros(0, np.int8), np.zeros(0, np.int64))
    assert (found.coins_p_value, found.length_p_value) == (1.0, 1.0)


def test_served_replies_of_another_form_are_seen() -> None:
    """Written down with the reasoning, drawn again without it: an innocent that does not reason is nearer to these."""
    plain = [Pair(str(number), "q", "[]", f"{number} amber birch", f"{number} cedar delta") for number in range(40)]
    coins_N = np.arange(40, dtype=np.int8) % 2
    assert uneven_forms(plain, coins_N) == []
    thought = [
        replace(pair, second=f"<think>\nwell\n</think>\n{pair.second}")
        if coin
        else replace(pair, first=f"<think>\nwell\n</think>\n{pair.first}")
        for pair, coin in zip(plain, coins_N, strict=True)
    ]
    found = {each.feature: (each.only_served, each.only_sealed) for each in uneven_forms(thought, coins_N)}
    assert found == {"reasoning in a block": (40, 0), "several lines": (40, 0)}
    by_the_order_alone = [replace(pair, first=f"<think>\nwell\n</think>\n{pair.first}") for pair in plain]
    assert uneven_forms(by_the_order_alone, coins_N) == []


def test_of_no_pairs_no_form_is_uneven() -> None:
    assert uneven_forms([], np.array([], dtype=np.int8)) == []
