"""Refusals that come whatever the pace: a server in trouble, not a limit. To go slower and slower would not help."""

from __future__ import annotations

import math

_SMOOTHED_OVER = 100
_FEW = 0.15
"""A limit that is passed by far refuses more than this share; one that is passed by little is learned at once."""
_LOWERED = 4
"""Times in a row that the rate was lowered, and as many calls are refused as before."""
_IN_A_ROW_S = 60.0
_BELIEVED_S = 300.0


class Chance:
    def __init__(self) -> None:
        self._share = 0.0
        """Of calls refused, lately."""
        self._lowered = 0
        self._lowered_at = -math.inf
        self._until = -math.inf

    def count(self, *, is_refused: bool) -> None:
        self._share += (is_refused - self._share) / _SMOOTHED_OVER

    def explains(self, now: float) -> bool:
        """Whether a refusal tells nothing about the pace."""
        return now < self._until and self._share < _FEW

    def lowered(self, now: float) -> bool:
        """The rate is about to be lowered once more. Returns whether that is of no use, for some minutes."""
        self._lowered = self._lowered + 1 if now - self._lowered_at < _IN_A_ROW_S else 1
        self._lowered_at = now
        if self._lowered < _LOWERED or self._share >= _FEW:
            return False
        self._lowered = 0
        self._until = now + _BELIEVED_S
        return True
