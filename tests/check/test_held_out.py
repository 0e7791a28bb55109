from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from stillroom.check.held_out import HeldOut

IDS = [f"question {number}" for number in range(4000)]


def test_the_share_is_of_the_questions() -> None:
    for share in (0.0, 0.05, 0.5, 0.999):
        found = sum(name in HeldOut(share) for name in IDS) / len(IDS)
        assert abs(found - share) < 0.02
    assert not any(name in HeldOut(0.0) for name in IDS)


def test_a_larger_share_holds_out_the_same_and_more() -> None:
    few, many = ({name for name in IDS if name in HeldOut(share)} for share in (0.05, 0.2))
    assert few < many


def test_another_seed_holds_out_others() -> None:
    first, second = ({name for name in IDS if name in HeldOut(0.05, seed)} for seed in (0, 1))
    assert len(first & second) < 0.3 * len(first)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.randoms())
def test_what_pairs_join_stands_on_one_side_whatever_their_order(
    pairs: list[tuple[int, int]], rng: random.Random
) -> None:
    named = [(IDS[a], IDS[b]) for a, b in pairs]
    shuffled = [(b, a) if rng.random() < 0.5 else (a, b) for a, b in rng.sample(named, len(named))]
    one, other = HeldOut(0.5, pairs=named), HeldOut(0.5, pairs=shuffled)
    assert all((name in one) == (name in other) for name in IDS[:31])
    assert all((a in one) == (b in one) for a, b in named)


def test_a_question_that_is_added_moves_only_its_near_copies() -> None:
    before, after = HeldOut(0.5), HeldOut(0.5, pairs=[("question 0", "a near copy")])
    moved = [name for name in IDS if (name in before) != (name in after)]
    assert moved in ([], ["question 0"])
