"""Whether what looks like a limit of concurrency is one: then as many in flight as were refused are never accepted."""

from __future__ import annotations

import math
from collections import deque

_REFUTATIONS = 3
_FORGOTTEN_S = 300.0
"""A limit that was raised refutes itself once; not again and again within so long."""
_REMEMBERED = 4


class Doubt:
    def __init__(self) -> None:
        self._suspects: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        """Of refusals: calls sent before, and the level from which on a call accepted since then refutes the limit."""
        self._refutations = 0
        self._refuted_at = -math.inf

    @property
    def is_settled(self) -> bool:
        """It is no limit of concurrency."""
        return self._refutations >= _REFUTATIONS

    def refused(self, calls_sent: int, level: int, on_their_way: float) -> None:
        """Refused in a row with `level` in flight, when so many calls had been sent.

        `on_their_way`: calls in flight that have not arrived yet, or have left the server. It sees fewer than we do by
        about so many, and by more or less as chance will have it.
        """
        self._suspects.append((calls_sent, level + int(on_their_way + 2 * math.sqrt(on_their_way))))

    def answered(self, now: float, order: int, level: int) -> None:
        """A call was accepted that was sent after `order` others, with `level` in flight."""
        if self._suspects and any(order >= sent and level >= refused for sent, refused in self._suspects):
            self._suspects.clear()
            self.refute(now)

    def refute(self, now: float) -> None:
        self._refutations = 1 if now - self._refuted_at > _FORGOTTEN_S else self._refutations + 1
        self._refuted_at = now

    def clear(self) -> None:
        self._suspects.clear()
        self._refutations = 0
