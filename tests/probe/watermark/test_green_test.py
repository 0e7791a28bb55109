"""Whom the test of green tokens accuses: nobody by chance alone, however their text repeats itself, and who learned."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from stillroom.base.errors import DataError
from stillroom.probe.watermark import green_test as module
from stillroom.probe.watermark.green_test import RANDOM_KEYS, green_test
from stillroom.probe.watermark.token_pairs import token_pairs
from stillroom.probe.watermark.weights import Weights, against_unmarked, each_once
from stillroom.text.green_list import Mark, green_V

VOCABULARY = 120
Text = tuple[Sequence[int], Sequence[int]]
_LOGITS = np.random.default_rng(0).normal(0, 2, (VOCABULARY, VOCABULARY))
"""Of a language in which each token depends on the one before."""


def _key(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(16)


def _mark(seed: int, strength: float = 2.0) -> Mark:
    return Mark(_key(seed), 0.25, strength)


def _written(count: int, length: int, seed: int, mark: Mark | None = None) -> list[Text]:
    """Texts of that language, with a mark if so said."""
    logits = _LOGITS.copy()
    if mark is not None:
        logits += mark.strength * np.stack([green_V(mark, before, VOCABULARY) for before in range(VOCABULARY)])
    share = np.exp(logits)
    cumulated = (share / share.sum(axis=1, keepdims=True)).cumsum(axis=1)
    random = np.random.default_rng(seed)
    token_T = np.zeros((count, length), dtype=int)
    token_T[:, 0] = random.integers(0, VOCABULARY, count)
    for place in range(1, length):
        drawn = random.random((count, 1)) < cumulated[token_T[:, place - 1]]
        token_T[:, place] = np.minimum(drawn.argmax(axis=1), VOCABULARY - 1)
    return [((), row.tolist()) for row in token_T]


def _p(weights: Weights, mark: Mark, seed: int = 0) -> float:
    return green_test(weights, {"acct_1": mark}, seed).p_value


def test_a_marked_text_is_found_and_names_whose_it_is() -> None:
    texts = _written(20, 40, 1, _mark(1))
    found = green_test(each_once(token_pairs(texts)), {f"acct_{seed}": _mark(seed) for seed in range(1, 9)}, 0)
    assert found.p_value == 1 / (RANDOM_KEYS + 1)
    assert found.at_most < 0.001
    assert next(score.account for score in found.scores) == "acct_1"
    assert all(score.p_value > 0.01 for score in found.scores[1:])
    assert found.scores[0].green > 0.4
    assert len(found.null) == RANDOM_KEYS


def test_an_unmarked_text_is_accused_as_often_as_said() -> None:
    """For one text and many keys: p is below 0.05 for one key in twenty, and below 0.01 for one in a hundred."""
    weights = each_once(token_pairs(_written(10, 40, 2)))
    found = green_test(weights, {f"acct_{seed}": _mark(seed) for seed in range(1000)}, 0, accounts=1)
    p_values = np.array([score.p_value for score in found.scores])
    assert abs((p_values <= 0.05).mean() - 0.05) < 4 * (0.05 * 0.95 / 1000) ** 0.5
    assert abs((p_values <= 0.01).mean() - 0.01) < 4 * (0.01 * 0.99 / 1000) ** 0.5


def test_the_best_of_many_accounts_is_no_evidence_by_itself() -> None:
    """Of forty owners with ten accounts each: the best account of each is no more often accused than said."""
    weights = each_once(token_pairs(_written(5, 40, 3)))
    marks: dict[str | None, Mark] = {
        f"{owner} {account}": _mark(1000 * owner + account) for owner in range(40) for account in range(10)
    }
    corrected = {score.account: score.p_value for score in green_test(weights, marks, 0, accounts=10).scores}
    alone = {score.account: score.p_value for score in green_test(weights, marks, 0, accounts=1).scores}
    best = [min(corrected[f"{owner} {account}"] for account in range(10)) for owner in range(40)]
    uncorrected = [min(alone[f"{owner} {account}"] for account in range(10)) for owner in range(40)]
    assert sum(p <= 0.05 for p in best) <= 6  # two expected
    assert sum(p <= 0.05 for p in uncorrected) > 8  # sixteen expected


class TestRepeatedContexts:
    def test_saying_the_same_again_adds_nothing(self) -> None:
        once = _written(1, 80, 4)
        often = [((), [*once[0][1]] * 500)]
        first, again = each_once(token_pairs(once)), each_once(token_pairs(often))
        # The pair where it starts anew is the one that is new.
        assert len(again[0]) - len(first[0]) in (0, 1)
        for seed in range(12):
            assert abs(_p(again, _mark(seed)) - _p(first, _mark(seed))) < 0.25

    @pytest.mark.parametrize("against", [False, True])
    def test_a_loop_is_not_accused_where_every_token_was_counted(self, against: bool) -> None:
        """A model stuck in a loop whose pairs happen to be green: by tokens it would be 40 standard deviations off."""
        period = [text for _, text in _written(2, 40, 5)]
        loop = [((), [*text] * 100) for text in period]
        pairs = token_pairs(loop)
        weights = against_unmarked(pairs, token_pairs(_written(50, 40, 6))) if against else each_once(pairs)
        found = green_test(weights, {f"acct_{seed}": _mark(seed) for seed in range(500)}, 0, accounts=1)
        accused = np.mean([score.p_value <= 0.05 for score in found.scores])
        assert accused < 0.05 + 4 * (0.05 * 0.95 / 500) ** 0.5
        once_around: list[Text] = [((), [*text, text[0]]) for text in period]
        green_K = np.array([_share_of_tokens(once_around, _mark(seed)) for seed in range(200)])
        naive_z = (green_K - 0.25) / (0.25 * 0.75 / 7800) ** 0.5
        assert (naive_z > 1.645).mean() > 0.3


class TestPromptIncluded:
    def test_who_copies_marked_questions_is_not_accused(self) -> None:
        """A suspect that repeats the question, and the questions came from the marked model."""
        mark = _mark(7)
        own = _written(40, 60, 8)
        asked = [text for _, text in _written(40, 30, 9, mark)]
        copies = [(question, [*question, *text]) for question, (_, text) in zip(asked, own, strict=True)]
        scored = token_pairs(copies)
        assert scored.from_question >= 40 * 29
        assert _p(each_once(scored), mark) > 0.05
        # What the same test says where the questions are scored, too.
        assert _p(each_once(token_pairs([((), text) for _, text in copies])), mark) == 1 / (RANDOM_KEYS + 1)

    def test_a_pair_of_another_question_is_scored(self) -> None:
        scored = token_pairs([([1, 2], [5, 1, 2]), ([3, 4], [1, 2])])
        pairs = zip(scored.before_N.tolist(), scored.token_N.tolist(), scored.count_N.tolist(), strict=True)
        assert list(pairs) == [(1, 2, 1), (5, 1, 1)]
        assert (scored.from_question, scored.answers, scored.tokens) == (1, 2, 5)


class TestAgainstUnmarked:
    def test_it_finds_what_language_hides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A weak mark in a text that has nearly every pair of its language: how often they come tells more."""
        monkeypatch.setattr(module, "RANDOM_KEYS", 9)  # z does not hang on them
        mark = _mark(10, strength=0.2)
        marked, unmarked = token_pairs(_written(200, 100, 11, mark)), token_pairs(_written(200, 100, 12))
        each = green_test(each_once(marked), {None: mark}, 0).scores[0].z
        against = green_test(against_unmarked(marked, unmarked), {None: mark}, 0).scores[0].z
        assert against > each + 2

    def test_weights_after_each_token_add_up_to_zero(self) -> None:
        pairs, weight_N = against_unmarked(token_pairs(_written(5, 50, 13)), token_pairs(_written(9, 50, 14)))
        sums = np.bincount(pairs.before_N, weight_N)
        assert np.abs(sums).max() < 1e-9

    def test_as_often_as_the_unmarked_is_nothing_to_score(self) -> None:
        texts = _written(10, 60, 15)
        with pytest.raises(DataError, match="nothing is left to score"):
            green_test(against_unmarked(token_pairs(texts), token_pairs(texts)), {None: _mark(1)}, 0)

    def test_what_the_unmarked_never_wrote_is_left_out(self) -> None:
        pairs, weight_N = against_unmarked(token_pairs([((), [1, 2, 1, 3, 9, 8])]), token_pairs([((), [1, 2])]))
        told = {
            (before, token): weight
            for before, token, weight in zip(pairs.before_N.tolist(), pairs.token_N.tolist(), weight_N, strict=True)
        }
        assert told == {(1, 2): -1, (1, 3): 1}


def test_a_student_s_words_lean_to_the_mark_of_those_it_was_taught_with() -> None:
    """Half of a suspect's words are as its teacher marked them: it is found; by another key it is not."""
    mark = _mark(20)
    words = _written(60, 60, 21, mark)[:30] + _written(60, 60, 22)[:30]
    weights = each_once(token_pairs(words))
    assert _p(weights, mark) < 0.001
    assert _p(weights, _mark(23)) > 0.01


def test_too_little_is_not_judged() -> None:
    with pytest.raises(DataError, match="different pairs of tokens to score, and 50 are the fewest"):
        green_test(each_once(token_pairs([((), list(range(20)))])), {None: _mark(1)}, 0)
    enough = each_once(token_pairs([((), list(range(200)))]))
    with pytest.raises(DataError, match="no key"):
        green_test(enough, {}, 0)
    with pytest.raises(DataError, match="10,001 accounts are too many"):
        green_test(enough, {None: _mark(1)}, 0, accounts=10_001)


def _share_of_tokens(texts: Sequence[Text], mark: Mark) -> float:
    """Green among all tokens, each time that they come: what is not to be counted."""
    green = [
        green_V(mark, before, VOCABULARY)[token] for _, text in texts for before, token in itertools.pairwise(text)
    ]
    return float(np.mean(green))
