"""Accounts in step: active in the same hours of the same days, beyond what everybody's habits explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillroom.watch.links.habits import (
    SHORTEST_DAYS,
    Numbers,
    agreement,
    by_day,
    log10_chance,
    most_active_first,
    standing,
    unexplained,
    weeks_and_weekdays,
)

_TOLERATED = 0.05
"""A correlation with the others that ties nobody: no account of habits is perfect, and a group may be large."""

_NOISE = 5.0
"""How many times the middle one a change of the population must be to be taken for one."""


@dataclass(frozen=True, slots=True)
class InStep:
    """How often members were active in the same hours."""

    members: int
    """Those whose hours vary beyond their habits: the others say nothing."""
    together: int
    """Pairs of members in an hour in which both were active."""
    expected_together: float
    """As many as there would be had each one's days of a week come in an order of its own."""
    log10_p: float
    """0 or below: the chance that members who do not know of each other choose their days' hours so alike."""

    @property
    def sentence(self) -> str:
        return (
            f"Two of these {self.members:,} accounts were active in the same hour {self.together:,} times; "
            f"had each kept its habits but not its company, {self.expected_together:,.0f} times."
        )


def in_step(
    hours: npt.ArrayLike, population: npt.ArrayLike, since_day: int, *, most_orders: int | None = None
) -> InStep | None:
    """Tests whether the hours of a group's days agree. None for less than two weeks: a habit cannot be told then.

    `hours[member, hour]` are calls in each hour of the window, from the first hour of `since_day` (days from
    1970-01-01, UTC); `population[hour]` is the share of the *other* organisations that were active in it, so that an
    hour in which everybody was away, or came, ties nobody. Raises ValueError for hours that are not whole days.

    On which days, and how much, a member is active does not count: days off and launches are common to many. What
    counts is which hours it chooses on a day of that much activity (square roots of calls), less its habits on that
    weekday and in that week, and less its share in what the population did. Hours that are the same every day are a
    habit, also when a whole group has it. Each member's standing among reordered days, against those before it, is
    uniform by chance; Fisher's method puts them together. `most_orders` tries fewer: quicker, and less sure.
    """
    calls, everyone = by_day(hours), by_day(population)
    if calls.shape[1:] != everyone.shape:
        raise ValueError(f"the group has {calls.shape[1]} days and the population {everyone.shape[0]}")
    if calls.shape[1] < SHORTEST_DAYS:
        return None
    calls = most_active_first(calls)
    activity = np.sqrt(calls)
    weight = activity.sum(axis=2)
    residual = _residual(activity, weight, everyone, since_day)
    varies = residual.any(axis=(1, 2))
    together, expected = _together(calls, since_day)
    chance = 0.0
    if varies.sum() >= 2:
        agreed = agreement(residual[varies], weight[varies], weight[varies] > 0, since_day, most_orders)
        chance = log10_chance(standing(agreed, _TOLERATED))
    return InStep(int(varies.sum()), together, expected, chance)


def _residual(activity: Numbers, weight: Numbers, everyone: Numbers, since_day: int) -> Numbers:
    own = unexplained(activity, weight, since_day)
    shared = unexplained(_response(activity, everyone, since_day), weight, since_day)
    fit = (own * shared).sum(axis=(1, 2), keepdims=True)
    left = own - fit * shared
    kept: Numbers = np.where((left**2).sum(axis=(1, 2), keepdims=True) > 1e-6, left, 0.0)
    return kept


def _response(activity: Numbers, everyone: Numbers, since_day: int) -> Numbers:
    """What each member would do in each hour if it kept its habits but for following the population's ups and downs."""
    _, weekday = weeks_and_weekdays(activity.shape[1], since_day)
    habit, usual = np.empty_like(activity), np.empty_like(everyone)
    for day in np.unique(weekday):
        habit[:, weekday == day] = activity[:, weekday == day].mean(axis=1, keepdims=True)
        usual[weekday == day] = np.median(everyone[weekday == day], axis=0)
    spread = np.sqrt(usual * (1 - usual)) + 1e-9  # of a share of independent organisations, but for their number
    change = (everyone - usual) / spread
    # Small changes are mostly the population's own noise, which would hide the members' response to large ones.
    change[np.abs(change) < _NOISE * np.median(np.abs(change))] = 0
    change *= spread / np.where(usual > 0, usual, 1.0)
    response: Numbers = habit * (1 + change)
    return response


def _together(calls: Numbers, since_day: int) -> tuple[int, float]:
    """Pairs in an hour, and how many with each member's working days and weekends reordered within each week."""
    is_active = (calls > 0).astype(np.float64)
    week, weekday = weeks_and_weekdays(calls.shape[1], since_day)
    block = 2 * week + (weekday >= 5)
    belongs = (block[:, None] == np.unique(block)).astype(np.float64)
    share = np.einsum("mdh,db->mbh", is_active, belongs / belongs.sum(axis=0), optimize=True)
    expected = (share.sum(axis=0) ** 2 - (share**2).sum(axis=0)).sum(axis=1) @ belongs.sum(axis=0) / 2
    active = is_active.sum(axis=0)
    return int((active * (active - 1)).sum() / 2), float(expected)
