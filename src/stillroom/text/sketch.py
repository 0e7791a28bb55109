"""A sketch of a text: 64 small numbers from which two texts' likeness can be estimated, and neither text read.

One permutation hashing (Li, Owen, Zhang, "One Permutation Hashing", 2012): every run of five characters is hashed
once, with a key; the upper six bits of the hash choose one of 64 places, and each place keeps its lowest hash. Places
that got none borrow from another one, in an order that is the same for every text ("optimal densification":
Shrivastava, 2017). Of each hash 8 bits are kept (Li and König, "b-bit minwise hashing", 2010).

The hash is fast and keyed, not cryptographic: it keeps a sketch from being compared with texts by whoever has the log
without the key, not from being studied by somebody who has thousands of chosen texts sketched and also reads the log.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PLACES = 64
GRAM = 5
"""Characters in a run."""
LONGEST = 20_000
"""Characters of a text that are sketched, from the first: the time is that of the longest prompt otherwise."""

_PLACE_BITS = 6
_POWERS = np.array([pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(GRAM)], np.uint64)
"""A run is the polynomial of its characters at the golden ratio, modulo 2**64."""
_BOUNDARIES = np.arange(PLACES, dtype=np.uint32) << np.uint32(32 - _PLACE_BITS)
# Where a place borrows from, nearest first: fixed, for all keys and texts.
_LENDERS = np.argsort(np.random.default_rng(20170601).random((PLACES, PLACES)), axis=1)


class Sketcher:
    """Sketches with one key. Those of two keys have nothing to do with each other."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes."""
        words = np.frombuffer(key, dtype="<u8", count=4).astype(np.uint64)
        self._masks = words[0], words[1]
        self._factors = words[2] | np.uint64(1), words[3] | np.uint64(1)  # odd: multiplying loses nothing

    def sketch(self, text: str) -> bytes | None:
        """64 bytes, of a text as `normal.normalised` gives it; None for an empty one."""
        if not text:
            return None
        hashes = (self._hash(_grams(text[:LONGEST])) >> np.uint64(32)).astype(np.uint32)  # half as long to sort
        hashes.sort()
        first = hashes.searchsorted(_BOUNDARIES)
        is_filled = np.empty(PLACES, np.bool_)
        np.less(first[:-1], first[1:], out=is_filled[:-1])
        is_filled[-1] = first[-1] < len(hashes)
        lowest = hashes.take(first, mode="clip").astype(np.uint8)  # the lower 8 bits
        if not is_filled.all():
            lender = _LENDERS[np.arange(PLACES), is_filled[_LENDERS].argmax(axis=1)]
            lowest = np.where(is_filled, lowest, lowest[lender])
        return lowest.tobytes()

    def _hash(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        for mask, factor in zip(self._masks, self._factors, strict=True):
            values ^= mask
            values *= factor
            values ^= values >> np.uint64(32)
        values *= self._factors[0]
        values ^= values >> np.uint64(29)
        return values


def likeness(one: bytes, other: bytes) -> float:
    """The estimated Jaccard similarity of two texts' runs of characters, by their sketches under one key: 0 to 1.

    The standard error is at most 0.063, for a similarity of a half.
    """
    same = sum(map(int.__eq__, one, other)) / PLACES
    chance = 1 / 256
    return max(0.0, (same - chance) / (1 - chance))


def _grams(text: str) -> npt.NDArray[np.uint64]:
    """A number for each run of GRAM characters; a shorter text is one run. Equal for equal runs, whatever the key."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if len(codes) < GRAM:
        codes = np.pad(codes, (0, GRAM - len(codes)))
    return np.convolve(codes, _POWERS, "valid")
