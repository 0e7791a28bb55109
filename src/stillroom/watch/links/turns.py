"""Accounts that take turns, active when the others are not, and accounts that go on where another one stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from stillroom.watch.links.habits import (
    SHORTEST_DAYS,
    Numbers,
    agreement,
    by_day,
    likeness_in_teams,
    log10_chance,
    most_active_first,
    standing,
    unexplained,
)

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_GAPS_HOURS = (1, 6, 24, 72)


_TOLERATED = 0.02
"""How much of one member's days another's may explain and tie nobody: a group may be large, and have two holidays."""


@dataclass(frozen=True, slots=True)
class Turns:
    """How members, or teams of them, keep out of each other's way."""

    members: int
    """Those whose activity varies beyond their habits."""
    by: Literal["day", "hour", "team"]
    """What shows it most clearly: that no two are busy on the same days, or in the same hours, or that teams are busy
    on days of their own."""
    busy: int
    """Days, or hours, in which any member is busier than it is on average."""
    shared: int
    """Those of `busy` in which two or more are."""
    explained: float
    """The share of a member's busy and quiet days that another's explain, on average; 0 for fewer than three."""
    expected_explained: float
    log10_p: float
    """0 or below: the chance that members who do not know of each other divide their time so well."""

    @property
    def sentence(self) -> str:
        if self.by == "team":
            return (
                f"These {self.members:,} accounts work in teams by turns: the days on which one is busy explain "
                f"{self.explained:.0%} of those on which another is or is not; by chance {self.expected_explained:.0%}."
            )
        alone = self.busy - self.shared
        return (
            f"These {self.members:,} accounts take turns: in {alone:,} of the {self.busy:,} {self.by}s in which any "
            f"is busier than usual, only one is."
        )


def turns(hours: npt.ArrayLike, since_day: int, *, most_orders: int | None = None) -> Turns | None:
    """Tests whether members divide their time between them. None for less than two weeks.

    `hours` as `in_step` takes them. Compared are days, and hours of days, by square roots of calls, less each member's
    habits on that weekday and in that week: time zones, weekends, and an account that ends in the week in which another
    begins are no turns (see `relay`). What many do at once only speaks against turns, and is taken out before teams are
    looked for. Of the three looks the clearest one counts, at the price of three. `most_orders` as in `in_step`.
    """
    calls = by_day(hours)
    if calls.shape[1] < SHORTEST_DAYS:
        return None
    calls = most_active_first(calls)
    by_days = calls.sum(axis=2, keepdims=True)
    days, hours_left = _left_by_habits(by_days, since_day), _left_by_habits(calls, since_day)
    teams = likeness_in_teams(days, since_day, most_orders) if len(days) >= 3 else np.zeros((0, 2))
    chances: list[tuple[float, Literal["day", "hour", "team"]]] = [
        (_chance_apart(days, since_day, most_orders), "day"),
        (_chance_apart(hours_left, since_day, most_orders), "hour"),
        (log10_chance(standing(teams, _TOLERATED)), "team"),
    ]
    chance, by = min(chances)
    cells = calls if by == "hour" else by_days
    busy = (cells > cells.mean(axis=(1, 2), keepdims=True)).sum(axis=0)
    return Turns(
        members=len(hours_left if by == "hour" else days),
        by=by,
        busy=int((busy > 0).sum()),
        shared=int((busy > 1).sum()),
        explained=float(teams[:, 0].mean()) if len(teams) else 0.0,
        expected_explained=float(teams[:, 1:].mean()) if len(teams) else 0.0,
        log10_p=min(0.0, chance + float(np.log10(len(chances)))),
    )


def _left_by_habits(calls: Numbers, since_day: int) -> Numbers:
    """Of those members of which anything is left."""
    activity = np.sqrt(calls)
    left = unexplained(activity, np.ones(activity.shape[:2]), since_day)
    return left[left.any(axis=(1, 2))]


def _chance_apart(left: Numbers, since_day: int, most_orders: int | None) -> float:
    if len(left) < 2:
        return 0.0
    alike = np.ones(left.shape[:2])
    return log10_chance(standing(-agreement(left, alike, alike > 0, since_day, most_orders)))


@dataclass(frozen=True, slots=True)
class Relay:
    """How often one account begins soon after another stopped."""

    starts: int
    """Moments at which a member began within the window, members that began together counted once."""
    taken_over: int
    """Those that follow the end of another member, each end counted once."""
    expected: float
    """As many as would, had each begun at the same hour of another day."""
    within_hours: int
    """How soon: of some lengths of time the clearest one, at the price of having looked at all."""
    log10_p: float
    """A bound, 0 or below, on the chance of so many."""

    @property
    def sentence(self) -> str:
        hours = "an hour" if self.within_hours == 1 else f"{self.within_hours} hours"
        return (
            f"{self.taken_over} of {self.starts} beginnings came within {hours} of another account's end; "
            f"by chance {self.expected:.1f} would have."
        )


def relay(first_at: npt.ArrayLike, last_at: npt.ArrayLike, since_at: int, until_at: int) -> Relay | None:
    """Tests whether members begin where others stop. None for a window of less than two weeks.

    `first_at` and `last_at` are each member's first and last call in the window `since_at` <= t < `until_at`, in
    microseconds since 1970-01-01, UTC. Who is there on the window's first day did not begin in it, and who is there on
    its last did not stop. Members that begin, or stop, within the length of time that is looked at are one event: ten
    accounts that come on the day on which ten others go are one coincidence, not ten. Null: each beginning could as
    well have been on any other day of the window, at the same hour. Raises ValueError for times outside the window.
    """
    first, last = np.asarray(first_at, np.int64), np.asarray(last_at, np.int64)
    if first.shape != last.shape or np.any((first > last) | (first < since_at) | (last >= until_at)):
        raise ValueError("members' first and last calls must lie within the window, the first before the last")
    days = (until_at - since_at) // _DAY
    if days < SHORTEST_DAYS:
        return None
    starts, ends = np.sort(first[first >= since_at + _DAY]), np.sort(last[last < until_at - _DAY])
    found = [_relay(starts, ends, since_at + _DAY, int(days) - 1, hours) for hours in _GAPS_HOURS]
    return min(found, key=lambda one: one.log10_p)


def _relay(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], since: int, days: int, hours: int) -> Relay:
    gap = hours * _HOUR
    begun, ended = _events(starts, gap), _events(ends, gap)
    shifted = since + (begun[:, None] - since + np.arange(days) * _DAY) % (days * _DAY)
    follows = _follows(shifted, ended, gap)
    taken_over, expected = _matched(begun, ended, gap), float(follows.mean(axis=1).sum())
    nats = _upper_tail_nats(taken_over, len(begun), expected) if taken_over > expected else 0.0
    log10_p = min(0.0, -nats / float(np.log(10)) + float(np.log10(len(_GAPS_HOURS))))
    return Relay(len(begun), taken_over, expected, hours, log10_p)


def _events(times: npt.NDArray[np.int64], gap: int) -> npt.NDArray[np.int64]:
    """The first of the times, sorted, that are less than a gap apart one from the next."""
    return times[np.diff(times, prepend=np.int64(-(2**62))) >= gap]


def _follows(begun: npt.NDArray[np.int64], ended: npt.NDArray[np.int64], gap: int) -> npt.NDArray[np.bool_]:
    """Whether an end lies within the gap before each beginning."""
    last_end = np.searchsorted(ended, begun)  # ends before it
    before = np.concatenate([[np.int64(-(2**62))], ended])[last_end]
    return np.asarray(begun - before <= gap, np.bool_)


def _matched(begun: npt.NDArray[np.int64], ended: npt.NDArray[np.int64], gap: int) -> int:
    """Beginnings that follow an end, each end taken once. Two events lie a gap apart, so that none has a choice."""
    follows = _follows(begun, ended, gap)
    return len(np.unique(np.searchsorted(ended, begun[follows])))


def _upper_tail_nats(observed: int, trials: int, mean: float) -> float:
    """Hoeffding's bound for independent trials with this mean number of successes, `mean` < `observed`."""
    missed = trials - observed
    return observed * float(np.log(observed / mean)) + (
        missed * float(np.log(missed / (trials - mean))) if missed else 0.0
    )
