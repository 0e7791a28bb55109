"""Do the organisations of a set share keys of one kind, more than how common those keys are would explain?

The set was chosen by something else (a bank they all ask, a template they all fill, a key of another family), so what
they share beyond chance is a second tie. Two ways of sharing are seen:

- *one key, many holders*: m of the set's s organisations hold a key that k of all N hold. Under chance m is
  hypergeometric (N, k, s). This sees one card, one address, one client program; a program that a third of all use
  counts only as far as the set uses it more than a third does.
- *many keys, few holders each*: a hundred addresses with two accounts each, where no single one proves anything. The
  number of pairs that share a rare key is held against what chance gives, as a Poisson count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import poisson

from stillroom.watch.links.population import Holding, Integers
from stillroom.watch.links.rarity import rarity

_LOG10_P = -4.0
"""A key links only where chance would do it in fewer than one of ten thousand such sets, all its keys considered."""
_RARE_SHARE = 0.02
"""A key that more organisations hold than this share of all (and more than two) proves nothing in pairs."""
_LEAST_INSIDE = 0.1
"""A key nine of whose ten holders are outside of the set is a popular one: it ties nobody, however surprising."""
_VALUES_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """What a set of organisations shares of one kind of key."""

    kind: str
    linked: Integers
    """The set's organisations that share an accepted key with another one of the set."""
    groups: list[Integers]
    """The same organisations, in the parts that accepted keys connect."""
    log10_p: float
    keys: int
    """How many accepted keys there are."""
    own_values: tuple[str, ...]
    """Those of them that more organisations of the set hold than others (at most `_VALUES_KEPT`)."""
    others: int
    """How many organisations outside of the set hold one of them."""


def shared_keys(kind: str, holding: Holding, members: Integers, population: int) -> SharedKeys | None:
    """`members`: the set's organisations, of `population` in all. None where nothing beyond chance is shared."""
    rows, size = holding.rows_of(members), len(members)
    if size < 2 or not len(rows):
        return None
    value, row_value, holders_in_set = np.unique(holding.value_R[rows], return_inverse=True, return_counts=True)
    shared = np.flatnonzero(holders_in_set >= 2)
    if not len(shared):
        return None
    in_set, everywhere = holders_in_set[shared], holding.holders_V[value[shared]]
    log10_p = rarity(in_set, size, everywhere, population)
    log10_p = np.minimum(log10_p + np.log10(len(shared)), 0.0)
    is_common = in_set < _LEAST_INSIDE * everywhere
    is_accepted = (log10_p <= _LOG10_P) & ~is_common
    best = float(log10_p.min())
    is_rare = everywhere <= max(2, _RARE_SHARE * population)
    if is_rare.any():
        pairs_log10_p = _rare_pairs(holding, in_set[is_rare], size, population)
        if pairs_log10_p <= _LOG10_P:
            is_accepted |= is_rare & ~is_common
            best = min(best, pairs_log10_p)
    accepted = shared[is_accepted]
    if not len(accepted):
        return None
    is_own = 2 * in_set[is_accepted] > everywhere[is_accepted]
    linking = rows[np.isin(row_value, accepted)]
    linked = np.unique(holding.organisation_R[linking])
    holders = np.unique(holding.organisation_R[np.isin(holding.value_R, value[accepted])])
    return SharedKeys(
        kind=kind,
        linked=linked,
        groups=_connected(holding.organisation_R[linking], holding.value_R[linking]),
        log10_p=best,
        keys=len(accepted),
        own_values=tuple(str(holding.values[int(one)]) for one in value[accepted[is_own]][:_VALUES_KEPT]),
        others=len(np.setdiff1d(holders, members)),
    )


def _rare_pairs(holding: Holding, in_set: Integers, size: int, population: int) -> float:
    """How improbable it is (log10) that so many pairs of the set share a rare key."""
    pairs_of_key = in_set * (in_set - 1) / 2
    everywhere = holding.holders_V[holding.holders_V <= max(2, _RARE_SHARE * population)].astype(np.float64)
    in_set_share = size * (size - 1) / max(population * (population - 1), 1)
    expected = float((everywhere * (everywhere - 1) / 2).sum()) * in_set_share
    # The pairs that one key makes are not independent: the largest number that one makes counts as one.
    largest = float(pairs_of_key.max())
    tail = poisson.logsf(pairs_of_key.sum() / largest - 1, max(expected / largest, 1e-12))
    return float(tail / np.log(10))


def _connected(organisation: Integers, value: Integers) -> list[Integers]:
    nodes, place = np.unique(organisation, return_inverse=True)
    _, key = np.unique(value, return_inverse=True)
    size = len(nodes) + int(key.max()) + 1
    edges = coo_matrix((np.ones(len(place), np.int8), (place, key + len(nodes))), shape=(size, size))
    _, label = connected_components(edges, directed=False)
    parts = label[: len(nodes)]
    order = np.argsort(parts, kind="stable")
    cuts = np.flatnonzero(np.diff(parts[order])) + 1
    return [nodes[part] for part in np.split(order, cuts)]
