"""Whether answers favour a key's green tokens more than those of 9,999 keys drawn like it, on the same text.

For a text that came about without the key, the key is one more random one: the chance that its score is among the best
R of R_all is R / R_all, exactly, however the text repeats itself, whatever the tokenizer, and though the colours of one
text may depend on each other. Where there are several keys, the best of them is compared with the best of as many
random ones (the maximum over accounts on both sides), and so is each account's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillroom.base.errors import DataError
from stillroom.probe.watermark.weights import Weights
from stillroom.text.green_list import Mark, is_green_KN, key_words, pair_prints

RANDOM_KEYS = 9_999
FEWEST_PAIRS = 50
"""Different pairs without which nothing is said."""
MOST_ACCOUNTS = 10_000
"""Whose keys are tried at once: each takes the time of 9,999 random ones."""
_AT_ONCE = 1 << 18
"""Colours that are computed at once: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class GreenScore:
    """Of one account's key, or of the owner's (None)."""

    account: str | None
    z: float
    """The score in standard deviations over keys: 0 on average for a text that came about without the key."""
    green: float
    """Of the scored pairs, each counted once: the share that is green. Expected without the mark: `share`."""
    share: float
    p_value: float
    """Against the best of as many random keys as there are accounts, so that it holds for all accounts at once."""


@dataclass(frozen=True, slots=True)
class GreenTest:
    p_value: float
    """One-sided, of the best account's score: 1 / 10,000 at the least."""
    at_most: float
    """A bound on the p-value that random keys can't resolve (Hoeffding's inequality and the union bound over
    accounts); it takes the colours of different pairs to be independent, as the mixing makes them."""
    accounts: int
    """Whose keys were tried."""
    scores: tuple[GreenScore, ...]
    """The best first."""
    null: tuple[float, ...]
    """z of the best of the random keys, sorted: one for each draw of as many keys as there are accounts."""
    pairs: int
    """Scored: different ones."""
    tokens: int
    answers: int
    from_question: int
    seed: int


def green_test(
    weights: Weights,
    marks: Mapping[str | None, Mark],
    seed: int,
    *,
    accounts: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GreenTest:
    """`marks`: by account, None for the owner's; of one share and strength. `seed`: of the random keys. `accounts`: how
    many were tried, where others were than those of `marks`. `on_progress` is told (random keys tried, of so many).

    Raises DataError where there are no marks or too many, or too few pairs for anything to be said.
    """
    pairs, weight_N = weights
    if not marks:
        raise DataError("There is no key to look for.", "Name an account, or a model whose replies are marked.")
    if len(pairs) < FEWEST_PAIRS:
        raise DataError(
            f"The answers have {len(pairs)} different pairs of tokens to score, and {FEWEST_PAIRS} are the fewest.",
            "Ask more questions, or longer answers.",
        )
    length = math.sqrt(float(weight_N @ weight_N))
    if length == 0:
        raise DataError("The answers are as often what the unmarked ones are, pair for pair: nothing is left to score.")
    print_N = pair_prints(pairs.before_N, pairs.token_N)
    (share,) = {mark.share for mark in marks.values()}
    tried = accounts or len(marks)
    if tried > MOST_ACCOUNTS:
        raise DataError(
            f"{tried:,} accounts are too many to be looked for at once: {MOST_ACCOUNTS:,} are the most.",
            "Name those that matter with --account.",
        )
    null_D = _null(print_N, weight_N, share, tried, seed, on_progress)
    scores = []
    for account, mark in marks.items():
        z = float(_z(key_words([mark.key]), print_N, weight_N, share)[0])
        scores.append(GreenScore(account, z, _green(mark, print_N), share, _p_value(z, null_D)))
    scores.sort(key=lambda score: (-score.z, score.account or ""))
    return GreenTest(
        p_value=scores[0].p_value,
        at_most=_bound(scores[0], tried),
        accounts=tried,
        scores=tuple(scores),
        null=tuple(np.sort(null_D).tolist()),
        pairs=len(pairs),
        tokens=pairs.tokens,
        answers=pairs.answers,
        from_question=pairs.from_question,
        seed=seed,
    )


def _null(
    print_N: NDArray[np.uint64],
    weight_N: NDArray[np.float64],
    share: float,
    accounts: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """The best z of as many random keys as there are accounts, for each draw."""
    random = np.random.Generator(np.random.PCG64(seed))
    best_D = np.full(RANDOM_KEYS, -np.inf)
    step = max(1, _AT_ONCE // len(print_N))
    for account in range(accounts):
        word_D2 = random.integers(0, 2**64, (RANDOM_KEYS, 2), dtype=np.uint64)
        for first in range(0, RANDOM_KEYS, step):
            some = slice(first, first + step)
            best_D[some] = np.maximum(best_D[some], _z(word_D2[some], print_N, weight_N, share))
            if on_progress is not None:
                on_progress(account * RANDOM_KEYS + min(first + step, RANDOM_KEYS), accounts * RANDOM_KEYS)
    return best_D


def _z(
    word_K2: NDArray[np.uint64], print_N: NDArray[np.uint64], weight_N: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    score_K = (is_green_KN(word_K2, print_N, share) - share) @ weight_N
    z_K: NDArray[np.float64] = score_K / math.sqrt(share * (1 - share) * float(weight_N @ weight_N))
    # What is equal but for rounding is equal: a key that scores as a random one does is no better than it.
    return np.round(z_K, 9)


def _green(mark: Mark, print_N: NDArray[np.uint64]) -> float:
    return float(is_green_KN(key_words([mark.key]), print_N, mark.share).mean())


def _p_value(z: float, null_D: NDArray[np.float64]) -> float:
    return float(1 + np.count_nonzero(null_D >= z)) / (1 + len(null_D))


def _bound(score: GreenScore, accounts: int) -> float:
    if score.z <= 0:
        return 1.0
    # A sum of independent variables, each as wide as its weight; z is that over sqrt(share (1 - share)) times their
    # root sum of squares.
    return min(1.0, accounts * math.exp(-2 * score.share * (1 - score.share) * score.z**2))
