"""What remains of a text when its numbers are taken out: two questions of one template have the same skeleton."""

from __future__ import annotations

import numpy as np

from stillroom.text.codes import NUMBER, SORT
from stillroom.text.flat import Flat

HOLE = np.uint64(NUMBER)
"""What stands in the place of every number: no token has this code, for its upper bits are empty."""


def skeletons(texts: Flat) -> Flat:
    """The texts with a hole in place of each number."""
    is_number = (texts.values & np.uint64(SORT)) == NUMBER
    return Flat(np.where(is_number, HOLE, texts.values), texts.starts)
