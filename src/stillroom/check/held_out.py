"""Which questions are held out: by the id alone, so that rows that are added later move nobody to the other side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


class HeldOut:
    """`question_id in HeldOut(0.05, seed)`: whether all of that question's rows are held out of training.

    `share` lies in 0 to 1: of the questions, on average. `pairs` are ids of questions that are near copies of each
    other: whatever is joined by pairs stands on one side, that of the id which sorts first among them.
    """

    def __init__(self, share: float, seed: int = 0, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._share = share
        self._seed = seed
        self._parents: dict[str, str] = {}
        for one, other in pairs:
            first, last = sorted((self._first(one), self._first(other)))
            if first != last:
                self._parents[last] = first

    def __contains__(self, question_id: str) -> bool:
        drawn = hashlib.sha256(f"held out {self._seed} {self._first(question_id)}".encode()).digest()
        return int.from_bytes(drawn[:8]) < self._share * 2**64

    def _first(self, question_id: str) -> str:
        """The id that stands for the group; the way to it is made shorter as it is walked."""
        first = question_id
        while (parent := self._parents.get(first)) is not None:
            first = parent
        while (parent := self._parents.get(question_id)) is not None:
            self._parents[question_id], question_id = first, parent
        return first
