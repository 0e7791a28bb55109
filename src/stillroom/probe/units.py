"""Which pairs have their coins swapped together: those of one question that have a reply in common, word for word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stillroom.store.siblings import Pair


def units_of(pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """The number of each pair's unit: 0, 1, ... in the order in which they first occur.

    A reply that was served in one pair may be the sealed one of another, and two accounts may have been served the same
    words. What such a reply does to a suspect can't be told apart by account, nor by which of its pairs it came from:
    those pairs are one unit, which names all of their accounts. White space makes no difference between replies.
    """
    texts: dict[tuple[str, str], int] = {}

    def number_of(question_id: str, reply: str) -> int:
        return texts.setdefault((question_id, " ".join(reply.split())), len(texts))

    firsts = [number_of(pair.question_id, pair.first) for pair in pairs]
    seconds = [number_of(pair.question_id, pair.second) for pair in pairs]
    links = coo_array((np.ones(len(pairs)), (firsts, seconds)), shape=(len(texts), len(texts)))
    _, component_of_text = connected_components(links, directed=False)
    return numbered(component_of_text[firsts])


def numbered(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """The same partition, with 0, 1, ... in the order in which its parts first occur."""
    _, first_at, part = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first_at))[part], dtype=np.int64)


def accounts_by_unit(units_N: NDArray[np.integer], accounts_N: Sequence[str]) -> Mapping[int, tuple[str, ...]]:
    """All accounts that had a reply of the unit, sorted."""
    accounts: dict[int, set[str]] = {}
    for unit, account in zip(units_N.tolist(), accounts_N, strict=True):
        accounts.setdefault(unit, set()).add(account)
    return {unit: tuple(sorted(those)) for unit, those in accounts.items()}
