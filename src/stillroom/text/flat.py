"""Many texts at once, as arrays of codes: what would take a loop over every word takes one over every text's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Flat:
    """Texts one after the other: text `i` is `values[starts[i]:starts[i + 1]]`."""

    values: Codes
    starts: Positions
    """One more than there are texts; the first is 0 and the last is the number of values."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def text(self, index: int) -> Codes:
        return self.values[self.starts[index] : self.starts[index + 1]]

    def owners(self) -> Positions:
        """For each value, the index of its text."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.starts))

    def where(self, keep: NDArray[np.bool_]) -> Flat:
        """The same texts with only those values for which `keep` is true."""
        before = np.concatenate(([0], np.cumsum(keep)))
        return Flat(self.values[keep], before[self.starts].astype(np.int64))


def flat(values: Sequence[int], lengths: Sequence[int]) -> Flat:
    """Texts of these lengths, from all their values one after the other."""
    return Flat(np.array(values, np.uint64), np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64))


def ngrams(texts: Flat, n: int) -> Flat:
    """A 64-bit hash of each run of `n` values within a text, in their order; none for a text shorter than that."""
    count = max(len(texts.values) - n + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for step in range(n):
        hashes = mixed(hashes + texts.values[step : step + count])
    owners = texts.owners()
    inside = owners[:count] == owners[n - 1 : n - 1 + count]
    lengths = np.maximum(np.diff(texts.starts) - n + 1, 0)
    return Flat(hashes[inside], np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))


def distinct(texts: Flat) -> Flat:
    """Each text's values once, sorted."""
    owners = texts.owners()
    order = np.lexsort((texts.values, owners))
    values, owners = texts.values[order], owners[order]
    first = np.ones(len(values), np.bool_)
    first[1:] = (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])
    return Flat(values, texts.starts).where(first)


def mixed(values: Codes) -> Codes:
    """Each value spread over all 64 bits: one to one, so that different values stay different."""
    values = (values ^ (values >> _SHIFT)) * _ODD
    return (values ^ (values >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
