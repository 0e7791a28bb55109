"""Runs of words that many questions share, as those of one template do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stillroom.text.flat import Codes, mixed

_SLOTS = 1 << 27
_MOST = 255


class RunCounts:
    """In how many texts each run stands, up to 255, by its hash: a fixed 128 MB, and now and then a count too large."""

    def __init__(self) -> None:
        self._counts = np.zeros(_SLOTS, np.uint8)

    def add(self, runs: Codes) -> None:
        """`runs` of some texts, each text's without repetition."""
        slots, counts = np.unique(_slots(runs), return_counts=True)
        self._counts[slots] = np.minimum(self._counts[slots] + counts, _MOST)

    def of(self, runs: Codes) -> NDArray[np.uint8]:
        return self._counts[_slots(runs)]


def _slots(runs: Codes) -> NDArray[np.int64]:
    return (mixed(runs) >> np.uint64(37)).astype(np.int64)
