"""Which examined questions a question is compared with: those that it shares words or runs of words with."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from stillroom.check.overlap.weights import Weigh, Weights
from stillroom.text.flat import Codes, Flat, Positions, distinct, mixed, ngrams
from stillroom.text.skeleton import HOLE, skeletons

RUN = 5
"""Words of the runs by which copied parts are found."""
_TELLING_RUN = 10.0
"""What the words of such a run weigh at least together, in nats. Stock phrases weigh less."""
_RUNS = 2
"""Runs that a question has in common with one that it is compared with."""
_ALIKE = 0.3
"""Share of all words of both, by weight, that a question has in common with one that it is compared with."""
_TELLING_WORD = 1.5
"""What a word weighs at least that such questions are looked for by, in nats: a frequent one is in too many."""
_AT_ONCE = 4_000_000
"""Words that texts may share with examined questions, counted pair by pair, in one step."""
_LONGEST_START = 5
_NOBODY = np.empty((0, 2), np.int64)


class Holders:
    """Which examined question holds a hash, for many hashes at once."""

    def __init__(self, hashes: Codes, owners: Positions) -> None:
        order = np.argsort(hashes, kind="stable")
        self._owners = owners[order]
        self._hashes, self._starts = np.unique(hashes[order], return_index=True)
        self._counts = np.diff(np.append(self._starts, len(order)))

    def pairs(self, texts: Flat) -> Positions:
        """(text, examined question) for each value that both hold: shape (pairs, 2), with repetitions."""
        if not len(self._hashes) or not len(texts.values):
            return _NOBODY
        at = np.searchsorted(self._hashes, texts.values)
        at[at == len(self._hashes)] = 0
        met = self._hashes[at] == texts.values
        at, owners = at[met], texts.owners()[met]
        counts = self._counts[at]
        starts = np.concatenate(([0], np.cumsum(counts)))
        places = np.repeat(self._starts[at] - starts[:-1], counts) + np.arange(starts[-1])
        return np.stack([np.repeat(owners, counts), self._owners[places]], axis=1)


class SharedRuns:
    """Finds copied parts, whatever their numbers. `words` are those of all examined questions."""

    def __init__(self, words: Flat, weigh: Weigh, stock: Codes) -> None:
        """`stock`: runs that are no sign of anything."""
        words = skeletons(words)
        runs = ngrams(words, RUN)
        weight_before = np.concatenate(([0.0], np.cumsum(np.where(words.values == HOLE, 0, weigh(words.values)))))
        # Run number n of a text begins at its word number n.
        begins = np.arange(len(runs.values)) + (words.starts - runs.starts)[runs.owners()]
        telling = weight_before[begins + RUN] - weight_before[begins] >= _TELLING_RUN
        runs = distinct(runs.where(telling & ~np.isin(runs.values, stock)))
        self._holders = Holders(runs.values, runs.owners())

    def meeting(self, words: Flat) -> Positions:
        pairs, count = np.unique(
            self._holders.pairs(distinct(ngrams(skeletons(words), RUN))), axis=0, return_counts=True
        )
        return pairs[count >= _RUNS]


class SharedWords:
    """Finds rewordings: what has many words in common, whatever their order."""

    def __init__(self, words: Flat, weigh: Weigh) -> None:
        """`words`: of each examined question those that count; none of a question that is not to be found here."""
        self._weigh = weigh
        bags, weight = self._bags(words)
        self._vocabulary, columns = np.unique(bags.values, return_inverse=True)
        shape = (len(bags), len(self._vocabulary))
        held = sparse.csr_array((np.ones(len(columns)), columns, bags.starts), shape=shape)
        self._held = sparse.csr_array(held.T)
        self._holders = np.bincount(columns, minlength=len(self._vocabulary))
        self._totals = np.bincount(bags.owners(), weight, len(bags))

    def alike(self, words: Flat) -> Positions:
        if not len(self._vocabulary):
            return _NOBODY
        bags, weight = self._bags(words)
        totals = np.asarray(np.bincount(bags.owners(), weight, len(bags)), np.float64)
        columns = np.searchsorted(self._vocabulary, bags.values)
        columns[columns == len(self._vocabulary)] = 0
        known = self._vocabulary[columns] == bags.values
        starts, columns, weight = bags.where(known).starts, columns[known], weight[known]
        shape = (len(bags), len(self._vocabulary))
        rows = sparse.csr_array((weight, columns, starts), shape=shape)
        # The product has an entry for each pair that shares a word: as many texts at once as memory is given for.
        work = np.concatenate(([0], np.cumsum(self._holders[columns])))[starts]
        found = [_NOBODY]
        start = 0
        while start < len(bags):
            end = max(int(np.searchsorted(work, work[start] + _AT_ONCE, "right")) - 1, start + 1)
            found.append(np.add(self._alike(rows[start:end], totals[start:end]), (start, 0)))
            start = end
        return np.concatenate(found)

    def _alike(self, rows: sparse.csr_array, totals: Weights) -> Positions:
        shared = sparse.coo_array(rows @ self._held)
        text, examined = shared.coords
        alike = shared.data >= _ALIKE * (totals[text] + self._totals[examined] - shared.data)
        return np.stack([text[alike], examined[alike]], axis=1).astype(np.int64)

    def _bags(self, words: Flat) -> tuple[Flat, Weights]:
        bags = distinct(words)
        weight = self._weigh(bags.values)
        telling = weight >= _TELLING_WORD
        return bags.where(telling), weight[telling]


class SameSkeleton:
    """Finds short questions with other numbers: what has the same words and symbols in the same order."""

    def __init__(self, tokens: Flat, wanted: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(wanted)
        self._holders = Holders(_skeletons(tokens)[rows], rows)

    def meeting(self, tokens: Flat) -> Positions:
        keys = _skeletons(tokens)
        return self._holders.pairs(Flat(keys, np.arange(len(keys) + 1)))


def _skeletons(tokens: Flat) -> Codes:
    """For each text, a hash of its tokens in their order, all numbers being one."""
    places = np.arange(len(tokens.values)) - np.repeat(tokens.starts[:-1], np.diff(tokens.starts))
    values = mixed(skeletons(tokens).values)
    sums = np.cumsum(mixed(values + places.astype(np.uint64)), dtype=np.uint64)
    sums = np.concatenate(([np.uint64(0)], sums))
    return np.asarray(sums[tokens.starts[1:]] - sums[tokens.starts[:-1]], np.uint64)


class WholeInside:
    """Finds short questions that stand in a text from beginning to end, by how they begin."""

    def __init__(self, tokens: Flat, wanted: NDArray[np.bool_]) -> None:
        self._holders: dict[int, Holders] = {}
        lengths = np.minimum(np.diff(tokens.starts), _LONGEST_START)
        for length in range(1, _LONGEST_START + 1):
            rows = np.flatnonzero(wanted & (lengths == length))
            if len(rows):
                starts = ngrams(tokens, length)
                self._holders[length] = Holders(starts.values[starts.starts[rows]], rows)

    def meeting(self, tokens: Flat) -> Positions:
        found = [_NOBODY]
        for length, holders in self._holders.items():
            found.append(holders.pairs(distinct(ngrams(tokens, length))))
        return np.concatenate(found)
