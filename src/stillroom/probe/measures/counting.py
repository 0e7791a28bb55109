"""How often things stand in groups, for many millions of them: what sorting them all would take too long for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stillroom.text.flat import Codes, mixed

_PLACES_EACH = 8
"""Places of the table for each of the things that are looked for: an eighth of all others is looked up in vain."""


def keys(values: Codes, groups: NDArray[np.int64]) -> Codes:
    """One number for a value and the group that it stands in. Values are hashes, and so is this."""
    return mixed(values + mixed(groups.astype(np.uint64)))


def counts_of(wanted: Codes, among: Codes) -> NDArray[np.int64]:
    """For each of `wanted`, how often it stands in `among`."""
    kinds, times = np.unique(among[perhaps_in(among, wanted)], return_counts=True)
    counts = np.zeros(len(wanted), np.int64)
    if len(kinds):
        near = np.flatnonzero(perhaps_in(wanted, kinds))
        place = np.searchsorted(kinds, wanted[near]).clip(max=len(kinds) - 1)
        counts[near] = np.where(kinds[place] == wanted[near], times[place], 0)
    return counts


def first_of_each(values: Codes) -> NDArray[np.int64]:
    """The first place of each different value, rising."""
    order = np.argsort(values)
    in_order = values[order]
    differs = np.ones(len(values), np.bool_)
    differs[1:] = in_order[1:] != in_order[:-1]
    # Sorting keeps no order among equal values.
    first = np.minimum.reduceat(order, np.flatnonzero(differs)) if len(values) else order
    return np.sort(first)


def perhaps_in(values: Codes, wanted: Codes) -> NDArray[np.bool_]:
    """False only for values that are not among the wanted: a look into a table in place of a search."""
    bits = max(int(len(wanted) * _PLACES_EACH).bit_length(), 1)
    shift = np.uint64(64 - bits)
    table = np.zeros(1 << bits, np.bool_)
    table[wanted >> shift] = True
    found: NDArray[np.bool_] = table[values >> shift]
    return found
