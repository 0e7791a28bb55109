"""How surprising it is that so many of a group share a key, given how many of all organisations have it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln


def rarity(
    with_key_in_set: npt.ArrayLike, set_size: npt.ArrayLike, with_key: npt.ArrayLike, population: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """log10 of a bound on the chance that a set drawn blindly has at least so many members with the key: 0 or below.

    The hypergeometric upper tail, bounded from above by its first term times a geometric series, since its terms fall
    faster than one. Counts are of organisations for which the key is known: `population` of them, `with_key` of these
    with the key (those in the set included), `set_size` in the set. Arrays are taken together as numpy does. A set
    that was chosen because of the key itself makes the number meaningless; where the rarest of many keys was picked,
    log10 of how many is to be added.

    Raises ValueError where the counts contradict each other.
    """
    inside, size, holders, everyone = (
        np.asarray(values, np.float64) for values in (with_key_in_set, set_size, with_key, population)
    )
    is_possible = (
        (inside >= 0)
        & (inside <= np.minimum(size, holders))
        & (np.maximum(size, holders) <= everyone)
        & (size - inside <= everyone - holders)
    )
    if not np.all(is_possible):
        raise ValueError("a set cannot have more members with the key, or without it, than there are")
    first = _log_choose(holders, inside) + _log_choose(everyone - holders, size - inside) - _log_choose(everyone, size)
    next_to_first = (holders - inside) * (size - inside)
    ratio = next_to_first / ((inside + 1) * (everyone - holders - size + inside + 1))
    is_tail = (ratio < 1) & (inside > 0)
    nats = first - np.log1p(-np.where(is_tail, ratio, 0.0))
    log10_p: npt.NDArray[np.float64] = np.where(is_tail, np.minimum(nats, 0.0), 0.0) / np.log(10)
    return log10_p


def _log_choose(of: npt.NDArray[np.float64], taken: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    chosen: npt.NDArray[np.float64] = gammaln(of + 1) - gammaln(taken + 1) - gammaln(of - taken + 1)
    return chosen
