"""What of a group's hours its habits leave unexplained, and whether it agrees among members more than chance allows.

A member's habits are its own hours of the day on each day of the week, and how much it does in each week. Office hours,
a time zone, a weekend, a start in mid-month and a change of the clocks are habits. What is left is compared with what
it would be had every member kept its habits and lived through the working days of each week in another order, and
through its weekends: whoever acts alone has no reason to match the others best in the order that really was.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc

Numbers = npt.NDArray[np.float64]
HOURS = 24
ORDERS = 499
"""In how many other orders each member's days are tried: no member is surer than one in 500."""
SHORTEST_DAYS = 14
"""With fewer days a habit of some weekday cannot be told from one day."""
_ROUNDS = 8
_AT_ONCE = 200


def by_day(hours: npt.ArrayLike) -> Numbers:
    """[..., hours of the window] as [..., days, 24]. Raises ValueError where that is not whole days or is negative."""
    counts = np.asarray(hours, np.float64)
    if counts.shape[-1] % HOURS:
        raise ValueError(f"{counts.shape[-1]} hours are not whole days")
    if not np.all(counts >= 0):
        raise ValueError("an hour has a number of calls, 0 or more")
    return counts.reshape(*counts.shape[:-1], -1, HOURS)


def weeks_and_weekdays(days: int, since_day: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each day its week, from 0, and its day of the week, Monday being 0. `since_day` counts from 1970-01-01."""
    since_monday = since_day + 3 + np.arange(days)  # 1970-01-01 was a Thursday
    return since_monday // 7 - (since_day + 3) // 7, since_monday % 7


def unexplained(activity: Numbers, weight: Numbers, since_day: int) -> Numbers:
    """`activity` [members, days, n] less what each member's weeks and weekdays explain, each member's whole being 1.

    Least squares: activity = weight * (a week's row + a weekday's row), `weight` [members, days] being 0 or more.
    """
    week, weekday = weeks_and_weekdays(activity.shape[1], since_day)
    residual = activity.copy()
    for _ in range(_ROUNDS):
        for group in (weekday, week):
            residual -= _fitted(residual, weight, group)
    size = np.sqrt((residual**2).sum(axis=(1, 2), keepdims=True))
    noise = 1e-6 * np.sqrt((activity**2).sum(axis=(1, 2), keepdims=True))
    scaled: Numbers = np.where(size > noise, residual / np.where(size > 0, size, 1.0), 0.0)
    return scaled


def _fitted(residual: Numbers, weight: Numbers, group: npt.NDArray[np.int64]) -> Numbers:
    belongs = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)  # [days, groups]
    total: Numbers = np.einsum("md,mdn,dg->mgn", weight, residual, belongs, optimize=True)
    squares = (weight**2) @ belongs
    row: Numbers = total / np.where(squares > 0, squares, 1.0)[:, :, None]
    fitted: Numbers = weight[:, :, None] * row[:, group]
    return fitted


def orders(days: int, since_day: int) -> npt.NDArray[np.int64]:
    """[1 + ORDERS, days]: the order that was, then others, the same in every run: working days and weekends of a week
    stay such days of that week."""
    week, weekday = weeks_and_weekdays(days, since_day)
    block = 2 * week + (weekday >= 5)
    random = np.random.default_rng(20261126)
    shuffled = np.lexsort((random.random((ORDERS, days)), np.broadcast_to(block, (ORDERS, days))))
    return np.concatenate([np.arange(days)[None], shuffled])


def agreement(residual: Numbers, since_day: int) -> Numbers:
    """[members - 1, 1 + ORDERS]: how well each member but the first agrees with those before it, in each of the orders.

    Members must not be in an order that depends on their hours.
    """
    before = np.cumsum(residual, axis=0)[:-1]
    tried = orders(residual.shape[1], since_day)
    found = np.empty((len(before), len(tried)))
    days = np.arange(residual.shape[1])
    for start in range(0, len(before), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        product = residual[1:][part] @ before[part].swapaxes(1, 2)  # [members, its day, the others' day]
        found[part] = product[:, tried, days].sum(axis=2)
    return found


def log10_chance(standing: Numbers) -> float:
    """log10 of the chance of standings as small as these (Fisher's method), each one uniform in 0 to 1 by chance."""
    count, evidence = len(standing), float(-np.log(standing).sum())
    chance = float(gammaincc(count, evidence)) if count else 1.0
    if chance > 1e-280:
        return float(np.log10(chance))
    # Chernoff's bound of the same distribution.
    return float(count - evidence + count * np.log(evidence / count)) / float(np.log(10))


def standing(agreed: Numbers) -> Numbers:
    """For each member the share of orders, the real one included, in which it agrees as well as in the real one."""
    slack = 1e-9 * np.abs(agreed).max(axis=1, keepdims=True, initial=0.0)
    return np.asarray((agreed >= agreed[:, :1] - slack).mean(axis=1), np.float64)
