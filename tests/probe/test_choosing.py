"""Which pairs a plan takes: by both replies alike, whole units, and never by a coin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.probe.probes import gathered

from stillroom.base.errors import DataError
from stillroom.probe.choosing import Chosen, choose, how_different
from stillroom.store.siblings import Opening, Pair


def taken(
    pairs: list[Pair],
    openings: list[Opening],
    number: int | None = None,
    *,
    at_random: bool = False,
    accounts: tuple[str, ...] = ("acct_1",),
    spent: set[str] | None = None,
    reserved: set[str] | None = None,
) -> Chosen:
    return choose(
        pairs,
        openings,
        accounts=accounts,
        spent=spent or set(),
        reserved=reserved or set(),
        number=number,
        at_random=at_random,
    )


@given(st.integers(min_value=1, max_value=20), st.booleans(), st.integers(min_value=0, max_value=1000))
@settings(max_examples=30, deadline=None)
def test_neither_coins_nor_the_order_of_the_two_replies_choose(number: int, at_random: bool, seed: int) -> None:
    found = gathered(20)
    chosen = {pair.pair_id for pair in taken(found.pairs, found.openings, number, at_random=at_random).pairs}
    random = np.random.default_rng(seed)
    swapped = [
        replace(pair, first=pair.second, second=pair.first) if random.integers(2) else pair for pair in found.pairs
    ]
    turned = [replace(opening, coin=1 if random.integers(2) else 0) for opening in found.openings]
    again = taken(swapped, turned, number, at_random=at_random)
    assert {pair.pair_id for pair in again.pairs} == chosen
    assert len(chosen) + again.left_out.total() == 20


def test_those_that_differ_most_come_first_and_length_alone_is_no_difference() -> None:
    found = gathered(6)
    alike = [replace(pair, second=pair.first + " and so on and on and on") for pair in found.pairs[:3]]
    pairs = [*alike, *found.pairs[3:]]
    assert [how_different(pair) for pair in alike] == [0, 0, 0]
    assert {pair.pair_id for pair in taken(pairs, found.openings, 3).pairs} == {"p0003", "p0004", "p0005"}


def test_a_pilots_pairs_are_drawn_whatever_they_say() -> None:
    found = gathered(40)
    drawn = taken(found.pairs, found.openings, 20, at_random=True).pairs
    differences = sorted(map(how_different, found.pairs))
    assert min(map(how_different, drawn)) < differences[20]
    other = gathered(40, seed=2)
    ids = {pair.pair_id for pair in taken(other.pairs, other.openings, 20, at_random=True).pairs}
    assert ids == {pair.pair_id for pair in drawn}


def test_pairs_with_a_common_reply_are_taken_together_or_not_at_all() -> None:
    found = gathered(4)
    twin = replace(found.pairs[0], pair_id="twin", second="something else")
    pairs = [*found.pairs, twin]
    openings = [*found.openings, replace(found.openings[0], pair_id="twin", account="acct_2")]
    both = ("acct_1", "acct_2")
    chosen = taken(pairs, openings, 1, accounts=both)
    assert {"twin", "p0000"} <= {pair.pair_id for pair in chosen.pairs} or len(chosen.pairs) == 1
    for gone, reason in (({"spent": {"twin"}}, "spent"), ({"reserved": {"twin"}}, "of_another_plan")):
        left = taken(pairs, openings, accounts=both, **gone)  # type: ignore[arg-type]
        assert left.left_out == {reason: 2}
    assert taken(pairs, openings).left_out == {"of_another_account": 2}


def test_where_nothing_is_left_it_says_why() -> None:
    found = gathered(3)
    with pytest.raises(DataError, match="None of the 3 pairs can be used: 2 of a plan that waits"):
        taken(found.pairs, found.openings, spent={"p0000"}, reserved={"p0001", "p0002"})
