from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse
from scipy.stats import hypergeom

from stillroom.watch.links.shards import lower_tail_nats, prune, shards

BANK = 7_473
Questions = npt.NDArray[np.int64]


def matrix(members: Sequence[Questions], bank_size: int = BANK) -> scipy.sparse.csr_matrix:
    rows = np.repeat(np.arange(len(members)), [len(member) for member in members])
    columns = np.concatenate([*members, np.empty(0, np.int64)])
    return scipy.sparse.csr_matrix((np.ones(len(rows), np.int64), (rows, columns)), shape=(len(members), bank_size))


def cut_up(random: np.random.Generator, members: int, questions: int, repeated: float = 0.0) -> list[Questions]:
    """Disjoint parts; of each also so large a share of the others' questions."""
    chosen = random.permutation(BANK)[:questions]
    parts = np.array_split(chosen, members)
    return [np.union1d(part, random.choice(chosen, int(repeated * len(part)), replace=False)) for part in parts]


def by_chance(random: np.random.Generator, members: int, each: int, skew: float = 0.0) -> list[Questions]:
    popularity = 1 / np.arange(1, BANK + 1) ** skew
    weights = popularity / popularity.sum()
    return [random.choice(BANK, each, replace=False, p=weights) for _ in range(members)]


def chance_of_at_most(collisions: int, sizes: Sequence[int], bank_size: int) -> float:
    """Exact, member after member."""
    covered = {0: 1.0}
    for size in sizes:
        after: dict[int, float] = {}
        for before, chance in covered.items():
            for again in range(max(0, size + before - bank_size), min(size, before) + 1):
                both = chance * float(hypergeom.pmf(again, bank_size, before, size))
                after[before + size - again] = after.get(before + size - again, 0.0) + both
        covered = after
    return sum(chance for questions, chance in covered.items() if sum(sizes) - questions <= collisions)


@pytest.mark.parametrize("bank_size", [28, 40, 90])
def test_the_bound_is_never_below_the_exact_chance(bank_size: int) -> None:
    sizes = (7, 3, 9, 5, 4)
    apart = np.split(np.arange(28), np.cumsum(sizes)[:-1])
    for collisions in range(5):
        members = [*apart[:2], np.concatenate([apart[0][:collisions], apart[2][collisions:]]), *apart[3:]]
        found = shards(matrix(members, bank_size), bank_size)
        assert (found.collisions, found.common) == (collisions, 0)
        exact = np.log10(chance_of_at_most(collisions, sizes, bank_size))
        assert exact <= found.log10_p_without_topics + 1e-9
        assert found.log10_p_without_topics <= max(min(0.0, exact + 0.8), 0.6 * exact)


def test_expected_collisions_are_those_of_members_that_choose_by_themselves() -> None:
    random = np.random.default_rng(3)
    seen = [shards(matrix(by_chance(random, 20, 150)), BANK) for _ in range(40)]
    mean = np.mean([one.collisions for one in seen])
    assert mean == pytest.approx(seen[0].expected_collisions, rel=0.01)
    assert np.mean([one.covered for one in seen]) == pytest.approx(seen[0].expected_covered, rel=0.01)


@pytest.mark.parametrize(
    ("members", "each", "skew"),
    [(2, 900, 0.0), (12, 120, 0.0), (60, 60, 0.2), (30, 200, 0.3), (30, 200, 0.8), (60, 60, 1.1)],
)
def test_members_that_choose_by_themselves_are_seldom_shards(members: int, each: int, skew: float) -> None:
    random = np.random.default_rng(4)
    found = []
    for _ in range(15):
        questions = matrix(by_chance(random, members, each, skew))
        tested = shards(questions, BANK)
        kept = prune(questions, BANK)
        pruned = shards(questions[kept], BANK, chosen_from=tested.members)
        found += [tested.log10_p_without_topics, pruned.log10_p_without_topics]
    assert np.mean(np.array(found) <= -1) <= 0.1
    assert min(found) > -3


def test_customers_of_different_topics_are_no_shards() -> None:
    random = np.random.default_rng(5)
    topics = np.array_split(np.arange(BANK), 16)
    found = [
        shards(
            matrix([random.choice(topics[topic], 300, replace=False) for topic in random.permutation(16)[:members]]),
            BANK,
        )
        for members in (2, 3, 4, 6)
    ]
    assert all(one.collisions == 0 for one in found)
    assert all(one.log10_p > -1 for one in found)
    assert found[-1].log10_p_without_topics < -50  # what would be claimed were there no topics


def test_customers_that_keep_to_topics_of_their_own_choice_are_seldom_shards() -> None:
    random = np.random.default_rng(12)
    topics = np.array_split(np.arange(BANK), 16)
    for members, each in [(4, 400), (10, 250), (25, 100), (60, 30)]:
        found = np.array(
            [
                shards(
                    matrix([random.choice(topics[t], each, replace=False) for t in random.integers(16, size=members)]),
                    BANK,
                )
                for _ in range(40)
            ]
        )
        log10_p = np.array([one.log10_p for one in found])
        assert np.mean(log10_p <= -1) <= 0.15, (members, each)
        assert log10_p.min() > -2.5, (members, each)


def test_two_small_shards_prove_nothing_and_many_do() -> None:
    random = np.random.default_rng(6)
    small, many = shards(matrix(cut_up(random, 2, 400)), BANK), shards(matrix(cut_up(random, 41, 6_102)), BANK)
    assert small.log10_p > -0.1
    assert many.log10_p < -20
    assert many.sentence == (
        "These 41 accounts asked 6,102 of the 7,473 questions of this bank, no two the same; "
        "accounts that choose by themselves would have met 1,905 times."
    )
    assert many.coverage == pytest.approx(6_102 / BANK)
    assert many.largest_share == pytest.approx(149 / 6_102)


@pytest.mark.parametrize(
    ("members", "questions", "repeated"), [(30, 6_000, 0.1), (100, 5_000, 0.2), (200, 5_000, 0.5), (2_000, 5_000, 0.3)]
)
def test_some_repeats_do_not_hide_shards(members: int, questions: int, repeated: float) -> None:
    random = np.random.default_rng(7)
    assert shards(matrix(cut_up(random, members, questions, repeated)), BANK).log10_p < -6


def test_questions_that_every_account_is_tried_out_with_do_not_hide_shards() -> None:
    random = np.random.default_rng(8)
    probes = random.choice(BANK, 60, replace=False)
    found = shards(matrix([np.union1d(part, probes) for part in cut_up(random, 30, 6_000)]), BANK)
    assert found.common >= 60 - 5
    assert found.log10_p < -12
    assert "far too many of them asked set aside" in found.sentence


def test_outsiders_are_left_out_and_what_that_is_worth_is_taken_off() -> None:
    random = np.random.default_rng(9)
    parts = cut_up(random, 30, 6_000)
    outsiders = [np.arange(BANK), *by_chance(random, 2, 1_000), np.concatenate(parts[:10])]
    questions = matrix([*parts, *outsiders])
    kept = prune(questions, BANK)
    assert not kept[30:].any()
    assert kept[:30].all()
    of_all, of_kept = shards(questions, BANK), shards(questions[kept], BANK, chosen_from=33)
    assert of_all.log10_p > -1
    assert -15 < of_kept.log10_p < -8
    assert shards(questions[kept], BANK).log10_p < of_kept.log10_p - 3


def test_a_group_without_outsiders_is_kept_whole() -> None:
    random = np.random.default_rng(10)
    assert prune(matrix(cut_up(random, 25, 5_000)), BANK).all()
    assert prune(matrix(cut_up(random, 2, BANK)), BANK).all()


def test_a_question_asked_twice_by_one_member_is_one_and_a_member_without_questions_is_none() -> None:
    questions = matrix([np.array([1, 2, 3]), np.empty(0, np.int64), np.array([4, 5])])
    again = questions.copy()
    again.data[:] = 7
    assert shards(again, BANK) == shards(questions, BANK)
    assert shards(questions, BANK).members == 2
    assert prune(questions, BANK).tolist() == [True, False, True]


def test_stored_zeros_and_doubled_entries_are_not_questions() -> None:
    doubled = scipy.sparse.csr_matrix((np.array([1, 1, 0]), np.array([2, 2, 3]), np.array([0, 3])), shape=(1, BANK))
    found = shards(doubled, BANK)
    assert (found.members, found.covered, found.collisions) == (1, 1, 0)
    assert doubled.nnz == 3, "the caller's own table is left as it was"


@pytest.mark.parametrize(
    "members",
    [[], [np.empty(0, np.int64)], [np.arange(50)], [np.arange(BANK), np.arange(BANK)], [np.arange(BANK), np.arange(9)]],
)
def test_groups_that_can_show_nothing_show_nothing(members: list[Questions]) -> None:
    questions = matrix(members)
    assert shards(questions, BANK).log10_p == 0
    assert len(prune(questions, BANK)) == len(members)


def test_more_questions_than_the_bank_has_are_refused() -> None:
    with pytest.raises(ValueError, match="said to have 7"):
        shards(matrix([np.arange(5)], 9), 7)


def test_a_huge_bank_is_no_trouble_for_the_variance() -> None:
    size = 1_000_000
    random = np.random.default_rng(11)
    found = shards(matrix([random.choice(size, 5, replace=False) for _ in range(8)], size), size)
    assert found.expected_collisions == pytest.approx(28 * 25 / size, rel=1e-3)
    assert -0.01 < found.log10_p <= 0


def test_the_bound_of_few_indicators_is_that_of_the_poisson_distribution_at_most() -> None:
    assert lower_tail_nats(0, 5.0, 5.0) == pytest.approx(5.0)
    assert lower_tail_nats(0, 5.0, 2.5) == pytest.approx(10 * np.log(2))
    assert lower_tail_nats(2, 5.0, 5.0) < lower_tail_nats(2, 5.0, 4.0)
