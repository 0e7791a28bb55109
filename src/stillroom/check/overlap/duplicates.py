"""Questions that say the same as another one, or nearly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom.base.progress import Progress
from stillroom.check.overlap.corpus import BATCH, Corpus
from stillroom.check.overlap.hits import Rule
from stillroom.check.overlap.stock import RunCounts
from stillroom.check.overlap.weights import Weigh, weights
from stillroom.text.codes import SIGNS, SORT
from stillroom.text.flat import Codes, Flat, Positions, distinct, mixed, ngrams
from stillroom.text.minhash import BANDS, band_keys

SHINGLE = 3
"""Words of a run: two texts are compared by the sets of their runs."""
FEWEST_WORDS = 8
"""In a question of fewer words, one other word makes it another question: it is compared by its whole text alone."""
FRAME = 6
"""Words of a run by which a template is known."""
MOST_ALIKE = 8
"""A run of `FRAME` words that more questions have is a template's; what stands in its gaps is the question."""
_NEIGHBOURS = 4
_PAIRS_AT_ONCE = 1 << 16
_PAIR_SHIFT = np.uint64(48)
_HASH_SHIFT = np.uint64(16)


class Pair(NamedTuple):
    """A question and an earlier one (by id) that stays. Positions in the corpus."""

    question: int
    other: int
    rule: Rule
    score: float


def same(keys: Codes, rule: Rule, stays: NDArray[np.bool_]) -> Iterator[Pair]:
    """Each question whose key (not 0) an earlier one has, paired with the first that has it.

    `stays` is changed: false for the questions that are found.
    """
    rows = np.flatnonzero((keys != 0) & stays)
    ordered = rows[np.argsort(keys[rows], kind="stable")]
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = keys[ordered[1:]] != keys[ordered[:-1]]
    firsts = ordered[np.maximum.accumulate(np.where(is_first, np.arange(len(ordered)), 0))]
    for question, other in zip(ordered[~is_first].tolist(), firsts[~is_first].tolist(), strict=True):
        stays[question] = False
        yield Pair(question, other, rule, 1.0)


def near(
    corpus: Corpus, stays: NDArray[np.bool_], at_least: float, overruled: frozenset[int], progress: Progress
) -> Iterator[Pair]:
    """Each question of `stays` that is nearly the same as an earlier one which is kept: `overruled`, or not paired.

    Nearly the same: of the runs of `SHINGLE` words that either has (those apart that belong to a template), and of its
    words, weighed by how rare they are, a share of `at_least` is in both; and numbers, arithmetic and variables are the
    same. The score is the smaller of the two shares.
    """
    counts = _count_runs(corpus, np.flatnonzero(stays), progress)
    pairs = _alike(corpus, np.flatnonzero(stays), counts, progress)
    paired: set[int] = set()
    for earlier, later, score in _compared(corpus, pairs, counts, at_least):
        if later not in paired and (earlier not in paired or earlier in overruled):
            paired.add(later)
            yield Pair(later, earlier, "near_duplicate", score)


def _count_runs(corpus: Corpus, rows: Positions, progress: Progress) -> RunCounts:
    counts = RunCounts()
    for start in range(0, len(rows), BATCH):
        runs = ngrams(plain_words(corpus.words.texts(rows[start : start + BATCH])), FRAME)
        counts.add(distinct(runs).values)
        progress.update("overlap: templates", min(start + BATCH, len(rows)), len(rows))
    return counts


def _alike(corpus: Corpus, rows: Positions, counts: RunCounts, progress: Progress) -> Positions:
    """Pairs (earlier, later) whose signatures meet in a band: shape (pairs, 2), sorted by the later one."""
    keys = np.empty((len(rows), BANDS), np.uint64)
    comparable = np.zeros(len(rows), np.bool_)
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        words = plain_words(corpus.words.texts(some))
        runs = _own_runs(words, counts)
        comparable[start : start + BATCH] = (np.diff(words.starts) >= FEWEST_WORDS) & (np.diff(runs.starts) > 0)
        keys[start : start + BATCH] = band_keys(runs)
        progress.update("overlap: near duplicates", min(start + BATCH, len(rows)), len(rows))
    rows, keys = rows[comparable], keys[comparable]
    found = np.empty(0, np.uint64)
    for band in range(BANDS):
        found = np.union1d(found, _meeting(mixed(keys[:, band] + corpus.facts[rows])))
    later, earlier = (found >> np.uint64(32)).astype(np.int64), (found & np.uint64(0xFFFFFFFF)).astype(np.int64)
    pairs = np.stack([rows[earlier], rows[later]], axis=1)
    # Tasks of one family are compared by their parameters, and by nothing else.
    families = corpus.families[pairs]
    different_tasks: Positions = pairs[(families[:, 0] != families[:, 1]) | (families[:, 0] == 0)]
    return different_tasks


def _meeting(keys: Codes) -> Codes:
    """Pairs of places with the same key, as `later << 32 | earlier`: each with the ones just before, and the first."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    firsts = order[np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
    found = [_packed(order[~is_first], firsts[~is_first])]
    for step in range(1, _NEIGHBOURS + 1):
        meets = ordered[step:] == ordered[:-step]
        found.append(_packed(order[step:][meets], order[: len(order) - step][meets]))
    return np.unique(np.concatenate(found))


def _packed(later: Positions, earlier: Positions) -> Codes:
    return (later.astype(np.uint64) << np.uint64(32)) | earlier.astype(np.uint64)


def _compared(corpus: Corpus, pairs: Positions, counts: RunCounts, at_least: float) -> Iterator[tuple[int, int, float]]:
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        left, right = (plain_words(corpus.words.texts(some[:, side])) for side in (0, 1))
        of_runs = _shared(_own_runs(left, counts), _own_runs(right, counts), lambda run: np.ones(len(run)))
        of_words = _shared(distinct(left), distinct(right), lambda word: weights(word, corpus.counts))
        scores = np.minimum(of_runs, of_words)
        near = (scores >= at_least) & (corpus.facts[some[:, 0]] == corpus.facts[some[:, 1]])
        yield from zip(some[near, 0].tolist(), some[near, 1].tolist(), scores[near].tolist(), strict=True)


def _own_runs(words: Flat, counts: RunCounts) -> Flat:
    """The runs of `SHINGLE` words that are not all a template's, once each."""
    runs, frames = ngrams(words, SHINGLE), ngrams(words, FRAME)
    is_frame = counts.of(frames.values) > MOST_ALIKE
    # A run is inside a template where one of the frames that cover it is frequent: those that begin up to
    # FRAME - SHINGLE words before it. Frames and runs with the number n of a text begin at its word number n.
    first = np.flatnonzero(is_frame) + (runs.starts - frames.starts)[frames.owners()[is_frame]]
    own = np.ones(len(runs.values), np.bool_)
    for step in range(FRAME - SHINGLE + 1):
        own[first + step] = False
    return distinct(runs.where(own))


def _shared(left: Flat, right: Flat, weigh: Weigh) -> NDArray[np.float64]:
    """For each pair of sets, how much of their union is in both, by weight."""
    owners = np.concatenate([left.owners(), right.owners()])
    values = np.concatenate([left.values, right.values])
    # One sort finds what both sets of a pair have: the pair's number above, 48 bits of the hash below.
    keys = (owners.astype(np.uint64) << _PAIR_SHIFT) | (mixed(values) >> _HASH_SHIFT)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    in_both = np.flatnonzero(ordered[1:] == ordered[:-1])
    weight = weigh(values)
    total = np.bincount(owners, weight, len(left))
    both = np.bincount(owners[order[in_both]], weight[order[in_both]], len(left))
    shares: NDArray[np.float64] = both / np.maximum(total - both, 1e-9)
    return shares


def plain_words(texts: Flat) -> Flat:
    """Without the signs."""
    return texts.where(~np.isin(texts.values & np.uint64(SORT), SIGNS))
