"""Which tokens a watermark favours: red and green lists after Kirchenbauer et al. (2301.10226), left-hash.

The token before decides, with a key, which share of the vocabulary is green after it. Who writes with the key makes
green tokens likelier; who has the key and the text alone counts them. N pairs of a token and the one before it, V
vocabulary, K keys.

A token is green by itself, not by a permutation of the vocabulary: the green share is `share` on average over contexts,
each pair's colour is independent of every other's, and one pair is coloured under thousands of keys at once. The mixing
is fast, not a cipher: whoever sees enough marked text can learn the list and imitate the mark (2402.19361).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WIDTH = 1
"""Tokens before that decide."""
KEY_BYTES = 16

_MASKS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Mark:
    """How one writer's text is watermarked."""

    key: bytes = field(repr=False)
    """16 bytes, drawn at random."""
    share: float
    """In (0, 1): of the vocabulary that is green."""
    strength: float
    """Above 0: added to the logits of green tokens, in nats."""

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(self.key)}")
        if not (0 < self.share < 1 and self.strength > 0):
            raise ValueError(f"a share of {self.share} and a strength of {self.strength} mark nothing")


@lru_cache(_MASKS_KEPT)
def green_V(mark: Mark, before: int, vocabulary: int) -> NDArray[np.bool_]:
    """Which tokens are green after the token `before`. Not to be written to."""
    token_V = np.arange(vocabulary, dtype=np.uint64)
    print_V = pair_prints(np.full(vocabulary, before, dtype=np.uint64), token_V)
    green: NDArray[np.bool_] = is_green_KN(key_words([mark.key]), print_V, mark.share)[0]
    green.flags.writeable = False
    return green


def pair_prints(before_N: NDArray[np.integer], token_N: NDArray[np.integer]) -> NDArray[np.uint64]:
    """64 bits for each pair, whatever the key; ids below 2**32."""
    return _mixed((before_N.astype(np.uint64) << np.uint64(32)) | token_N.astype(np.uint64))


def key_words(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    """The keys as word_K2."""
    return np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2).astype(np.uint64)


def is_green_KN(word_K2: NDArray[np.uint64], print_N: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Whether each pair's token is green under each key."""
    below = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    return np.less(_mixed((print_N[None, :] ^ word_K2[:, :1]) + word_K2[:, 1:]), below)


def _mixed(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), in place on a copy."""
    mixed = word ^ (word >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
