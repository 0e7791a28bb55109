"""Clients that know of the escrow: what they cannot turn against an innocent, and what they can hide from a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.probe.probes import WORDS

from stillroom.probe.dependence import independent
from stillroom.probe.exclusions import Siblings, siblings_of_texts
from stillroom.probe.measures import MEASURES
from stillroom.probe.swap_test import swap_test
from stillroom.probe.units import units_of
from stillroom.store.siblings import Opening, Pair, messages_json, question_id_of

QUESTIONS = 300
NEVER = 1e-6
"""So rarely does this file fail by the fall of its coins, which are the same each time."""
Call = tuple[int, Pair, Opening]


def call(at: int, question: int, replies: Sequence[str], coin: int) -> Call:
    messages = [{"role": "user", "content": f"Question {question}"}]
    pair = Pair(f"call-{at:06d}", question_id_of(messages), messages_json(messages), *replies)
    return at, pair, Opening(pair.pair_id, "acct_1", at, 1 if coin else 0)


def served(call: Call) -> str:
    return call[1].second if call[2].coin else call[1].first


def leaning(calls: Sequence[Call]) -> float:
    """Two-sided: how rarely fair coins would serve so many, or so few, of the better of two different replies."""
    differ = [each for each in calls if each[1].first[:4] != each[1].second[:4]]
    return float(binomtest(sum(served(each).startswith("good") for each in differ), len(differ)).pvalue)


def test_who_asks_again_until_it_likes_what_it_is_served_makes_no_coin_unfair() -> None:
    """An innocent that says what most people like would be nearer to the last replies, which are the ones liked."""
    random = np.random.default_rng(1)
    asked: list[list[Call]] = []
    for question in range(QUESTIONS):
        tries: list[Call] = []
        while not tries or not served(tries[-1]).startswith("good"):
            replies = [f"{random.choice(['good', 'poor'])} {random.integers(1 << 30)}" for _ in range(2)]
            tries.append(call(1000 * question + len(tries), question, replies, int(random.integers(2))))
        asked.append(tries)
    kept = independent([each for tries in asked for each in tries], Counter())
    assert [pair.pair_id for pair, _ in kept] == [tries[0][1].pair_id for tries in asked]
    assert leaning([tries[0] for tries in asked]) > NEVER
    assert leaning([tries[-1] for tries in asked]) < NEVER


@pytest.mark.parametrize(("learned", "is_found"), [(0, True), (1, False)])
def test_who_asks_all_twice_and_learns_the_second_replies_is_not_seen(learned: int, is_found: bool) -> None:
    random = np.random.default_rng(2)
    calls: list[Call] = []
    said: dict[str, list[str]] = {}
    for question in range(60):
        for number in range(2):
            replies = [" ".join(random.choice(WORDS, 30)) for _ in range(2)]
            calls.append(call(2 * question + number, question, replies, int(random.integers(2))))
        said[calls[-1][1].question_id] = [served(calls[-2 + learned])]
    kept = independent(calls, Counter())
    pairs, coins_N = [pair for pair, _ in kept], np.array([opening.coin for _, opening in kept], np.int8)
    differences_N = MEASURES["combined"].differences(pairs, said)
    assert (swap_test(differences_N, coins_N, units_of(pairs)).p_value < 1e-4) == is_found


def test_who_hangs_up_with_the_first_word_leaves_no_pair() -> None:
    """Whatever the sealed reply says: what is left out is told as `empty`."""
    for other in ("No, not at all.", "Sure."):
        assert siblings_of_texts([], "Sure", other, 0) == siblings_of_texts([], other, "Sure", 1) == "empty"


def test_of_a_call_that_was_hung_up_on_a_shorter_sealed_reply_may_give_away_which_was_served() -> None:
    read = siblings_of_texts([], "It is the third of the four, which", "The third.", 0)
    assert isinstance(read, Siblings)
    assert (read.first, read.second) == ("It is the third of the four,", "The third.")
