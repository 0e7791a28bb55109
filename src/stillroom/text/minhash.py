"""MinHash: texts whose sets of hashes overlap much get signatures that agree in many places.

Broder, "On the resemblance and containment of documents" (1997). The signatures are rensa's. Two texts with the Jaccard
similarity J meet in at least one of `BANDS` bands of `ROWS` values each with the probability 1 - (1 - J^ROWS)^BANDS:
0.996 for 0.7, and 0.002 for 0.1.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
from rensa import RMinHash  # type: ignore[import-untyped]

from stillroom.text.flat import Codes, Flat, mixed

BANDS = 20
ROWS = 4
_SEED = 42


def band_keys(sets: Flat) -> Codes:
    """A key for each text and band (shape: texts, BANDS). Texts with the same key in a band are worth a comparison.

    Whether a value stands once or twice in a set makes no difference. Empty sets have the same keys.
    """
    if not len(sets):
        return np.empty((0, BANDS), np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.ascontiguousarray(sets.values), sets.starts.astype(np.uint64), BANDS * ROWS, _SEED
    )
    signatures = np.fromiter(chain.from_iterable(matrix.to_rows()), np.uint64, len(sets) * BANDS * ROWS)
    bands = signatures.reshape(len(sets), BANDS, ROWS)
    keys = np.zeros((len(sets), BANDS), np.uint64)
    for row in range(ROWS):
        keys = mixed(keys + bands[:, :, row])
    return keys
