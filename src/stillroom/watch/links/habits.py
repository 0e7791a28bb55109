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
ORDERS = ((20, 1_999), (100, 499), (10**9, 99))
"""In how many other orders each member's days are tried, by how many members there are at most: in a small group each
must be able to say more. None is surer than one in so many."""
SHORTEST_DAYS = 14
"""With fewer days a habit of some weekday cannot be told from one day."""
_ROUNDS = 8
_FITTED_AGAIN = 5
_AT_ONCE = 100


def by_day(hours: npt.ArrayLike) -> Numbers:
    """[..., hours of the window] as [..., days, 24]. Raises ValueError where that is not whole days or is negative."""
    counts = np.asarray(hours, np.float64)
    if counts.shape[-1] % HOURS:
        raise ValueError(f"{counts.shape[-1]} hours are not whole days")
    if not np.all(counts >= 0):
        raise ValueError("an hour has a number of calls, 0 or more")
    return counts.reshape(*counts.shape[:-1], counts.shape[-1] // HOURS, HOURS)


def weeks_and_weekdays(days: int, since_day: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each day its week, from 0, and its day of the week, Monday being 0. `since_day` counts from 1970-01-01."""
    since_monday = since_day + 3 + np.arange(days)  # 1970-01-01 was a Thursday
    return since_monday // 7 - (since_day + 3) // 7, since_monday % 7


def unexplained(activity: Numbers, weight: Numbers, since_day: int) -> Numbers:
    """`activity` [members, days, n] less what each member's weeks and weekdays explain, each member's whole being 1.

    Least squares: activity = weight * (a week's row + a weekday's row), `weight` [members, days] being 0 or more. A
    member that has nothing left is 0 throughout.
    """
    residual = _residual(activity, weight, since_day)
    size = _size(residual)
    scaled: Numbers = np.where(size > 1e-6 * _size(activity), residual / np.where(size > 0, size, 1.0), 0.0)
    return scaled


def most_active_first(calls: Numbers) -> Numbers:
    """The members [members, days, 24] by the number of their days, then of calls: who does much has most to compare."""
    return calls[np.lexsort((-calls.sum(axis=(1, 2)), -(calls.sum(axis=2) > 0).sum(axis=1)))]


def agreement(
    residual: Numbers, weight: Numbers, may_move: npt.NDArray[np.bool_], since_day: int, most_orders: int | None = None
) -> Numbers:
    """[members - 1, 1 + orders]: how well each member but the first agrees with those before it, in each of the orders.

    A correlation, -1 to 1; the first order is the real one. `residual` and `weight` as in `unexplained`. Days of which
    `may_move` [members, days] is false stay where they are. Those before count by how many days they were active.
    Members may be sorted by what does not change when the days of a week change places (`most_active_first`).

    A reordered member is fitted again as the real one was (Freedman and Lane, "A nonstochastic interpretation of
    reported significance levels", 1983), except that how much the fit takes off is averaged over some orders.
    """
    before = np.cumsum(residual * np.sqrt((weight > 0).sum(axis=1))[:, None, None], axis=0)[:-1]
    count = _orders_for(len(residual), most_orders)
    found = np.empty((len(before), 1 + count))
    for start in range(0, len(before), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        own, own_weight = residual[1:][part], weight[1:][part]
        others = unexplained(before[part], own_weight, since_day)
        tried = orders(may_move[1:][part], since_day, count)
        product = own @ others.swapaxes(1, 2)  # [members, its day, the others' day]
        agreed = product[np.arange(len(own))[:, None, None], tried, np.arange(own.shape[1])].sum(axis=2)
        agreed[:, 1:] /= _left(own, own_weight, tried, since_day)
        found[part] = agreed
    return found


def likeness_in_teams(residual: Numbers, since_day: int, most_orders: int | None = None) -> Numbers:
    """[members - 2, 1 + orders]: the mean squared correlation of each member's days with those of all before it.

    `residual` [members, days, 1], fitted with equal weights; of the first two nothing is said. It is high where members
    work in teams, each on days of its own, though they agree as often as they exclude each other. What all before have
    in common is taken out first: days off, and launches. Orders as in `agreement`.
    """
    rows = residual[:, :, 0]
    products = np.cumsum(rows[:, :, None] * rows[:, None, :], axis=0)[1:-1] / np.arange(2, len(rows))[:, None, None]
    common = np.cumsum(rows, axis=0)[1:-1]
    common /= np.maximum(np.linalg.norm(common, axis=1, keepdims=True), 1e-12)
    apart = np.eye(rows.shape[1]) - common[:, :, None] * common[:, None, :]
    products = apart @ products @ apart
    count = _orders_for(len(rows), most_orders)
    found = np.empty((len(products), 1 + count))
    tried = orders(np.ones((1, rows.shape[1]), np.bool_), since_day, count)[0]
    for number, (own, product, without) in enumerate(zip(rows[2:], products, apart, strict=True)):
        reordered = own[tried]
        left = _residual(reordered[:, :, None], np.ones(reordered.shape), since_day)[:, :, 0] @ without
        size = (left**2).sum(axis=1)
        found[number] = np.einsum("kd,kd->k", left @ product, left) / np.where(size > 1e-6, size, 1.0)
    return found


def _orders_for(members: int, most: int | None) -> int:
    count = next(count for up_to, count in ORDERS if members <= up_to)
    return count if most is None else min(count, most)


def orders(may_move: npt.NDArray[np.bool_], since_day: int, count: int) -> npt.NDArray[np.int64]:
    """[members, 1 + count, days]: the order that was, then others, the same in every run.

    Working days and weekends of a week stay such days of that week; where `may_move` [members, days] is false the day
    stays where it is.
    """
    members, days = may_move.shape
    week, weekday = weeks_and_weekdays(days, since_day)
    block, places = 2 * week + (weekday >= 5), np.arange(days)
    alone = 2 * days + places  # after all blocks
    draw = block + np.random.default_rng(20261126).random((members, count, days))
    place = np.argsort(np.where(may_move, block, alone), axis=1, kind="stable")[:, None]
    drawn = np.argsort(np.where(may_move[:, None], draw, alone), axis=2)
    found = np.empty((members, 1 + count, days), np.int64)
    found[:, 0] = places
    np.put_along_axis(found[:, 1:], np.broadcast_to(place, drawn.shape), drawn, axis=2)
    return found


def _residual(activity: Numbers, weight: Numbers, since_day: int) -> Numbers:
    week, weekday = weeks_and_weekdays(activity.shape[1], since_day)
    residual = activity.copy()
    for _ in range(_ROUNDS):
        for group in (weekday, week):
            residual -= _fitted(residual, weight, group)
    return residual


def _left(own: Numbers, weight: Numbers, tried: npt.NDArray[np.int64], since_day: int) -> Numbers:
    """[members, 1]: what the fit leaves of a member, reordered."""
    some = [np.take_along_axis(own, tried[:, one, :, None], axis=1) for one in range(1, 1 + _FITTED_AGAIN)]
    left: Numbers = np.mean([_size(_residual(rows, weight, since_day)) for rows in some], axis=0)
    floored: Numbers = np.maximum(left[:, :, 0], 1e-6)
    return floored


def _fitted(residual: Numbers, weight: Numbers, group: npt.NDArray[np.int64]) -> Numbers:
    belongs = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)  # [days, groups]
    squares = (weight**2) @ belongs
    total: Numbers = belongs.T @ (weight[:, :, None] * residual)
    row: Numbers = total / np.where(squares > 0, squares, 1.0)[:, :, None]
    fitted: Numbers = weight[:, :, None] * row[:, group]
    return fitted


def _size(rows: Numbers) -> Numbers:
    size: Numbers = np.sqrt((rows**2).sum(axis=(1, 2), keepdims=True))
    return size


def log10_chance(standing: Numbers) -> float:
    """log10 of the chance of standings as small as these (Fisher's method), each one uniform in 0 to 1 by chance."""
    count, evidence = len(standing), float(-np.log(standing).sum())
    chance = float(gammaincc(count, evidence)) if count else 1.0
    if chance > 1e-280:
        return float(np.log10(chance))
    # Chernoff's bound of the same distribution.
    return float(count - evidence + count * np.log(evidence / count)) / float(np.log(10))


def standing(agreed: Numbers, tolerated: float = 0.0) -> Numbers:
    """For each member the share of orders, the real one included, in which it agrees as well as in the real one.

    As much of the real agreement as is `tolerated` does not count.
    """
    others = np.asarray((agreed[:, 1:] >= agreed[:, :1] - tolerated - 1e-9).sum(axis=1), np.float64)
    share: Numbers = (1 + others) / agreed.shape[1]
    return share
