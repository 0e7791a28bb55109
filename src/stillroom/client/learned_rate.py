"""A rate that the server has shown by refusing: measured between refusals, kept, and tried again now and then."""

from __future__ import annotations

import math
from typing import NamedTuple

from stillroom.client.spacing import MINUTE_S, SLACK_S, Spacing

BELOW = 0.97
"""Calls are sent at this share of what was measured."""
_LEAST_BELOW = 0.95
"""Single refusals push a rate down by so much at most: they may have another cause."""
_STALE_BELOW = 0.9
_LEAST_OF_OLD = 0.6
"""A measurement of a few seconds may be of a lull: it takes the rate down by so much at most."""
_QUOTA_BELOW, _LEAST_OF_OLD_QUOTA = 0.98, 0.7
_FRESH_S = 30.0
"""Two moments nearer than this at which the server had nothing left measure the rate."""
_FEWEST_CALLS = 5
_SUSPICIOUS = 2.0
"""Score of refusals from which on a rate that grows is too high."""
_SAME = 1.1
_FIRST_QUIET_S, _QUOTA_QUIET_S, _LONGEST_QUIET_S = 10.0, 60.0, 300.0
"""Time without growth after a rate was learned. It doubles each time that the same is learned again."""
_CATCHES_UP_PER_S, _GROWS_PER_S, _MOST_GROWTH_PER_S = 0.02, 0.002, 0.1
_GROWTH_DOUBLES_S = 10.0
_NEAR_BELOW, _NEAR_ABOVE = 0.95, 1.1


class Accepted(NamedTuple):
    """What the server had taken, ever, when it refused a call."""

    at: float
    calls: int
    tokens: int


class LearnedRate:
    """Calls, or tokens, per second; `per_s` is None until a limit has shown. A cost is an amount of that unit."""

    def __init__(self, least_per_s: float) -> None:
        self.per_s: float | None = None
        self._least_per_s = least_per_s
        self._spacing = Spacing()
        self._empty: tuple[Accepted, int] | None = None
        """When the server had nothing left to give, last, and the amount that it had taken."""
        self._usual_per_s = 0.0
        """What it took in the minute before."""
        self._floor_per_s = 0.0
        self._quiet_s = _FIRST_QUIET_S
        self._quiet_until = -math.inf
        self.has_grown = False
        """Since it was measured or learned last."""
        self._is_growing = False
        self._beyond_s = 0.0
        """Time spent growing beyond what is usual."""
        self._sent_at = -math.inf

    def room(self, now: float, cost: int) -> int:
        return 1 << 30 if self.per_s is None else self._spacing.room(now, cost / self.per_s)

    def opens_at(self) -> float:
        return -math.inf if self.per_s is None else self._spacing.opens_at()

    def is_binding(self, now: float, cost: int) -> bool:
        """Whether this rate is what holds calls back."""
        return self.per_s is not None and now < self._spacing.opens_at() + SLACK_S + cost / self.per_s

    def sent(self, now: float, cost: int) -> None:
        if self.per_s is None:
            return
        if now >= self._quiet_until and self.is_binding(now, cost):
            self._grow(min(1.0, now - self._sent_at))
        self._sent_at = now
        self._spacing.sent(now, cost / self.per_s)

    def refused_now_and_then(self, now: float, score: float) -> None:
        """A call was refused at this rate. `score`: of such refusals, by RefusalScore."""
        if self.per_s is None:
            return
        if not self._is_growing:
            self.per_s = max(0.99 * self.per_s, min(self.per_s, self._floor_per_s))
        elif score >= _SUSPICIOUS:
            self._usual_per_s = min(self._usual_per_s, self.per_s)
            self._set(now, BELOW * self.per_s)

    def measure(self, now: float, empty: Accepted, amount: int, in_last_minute: int) -> bool:
        """The server has nothing left: what has it given since it last had nothing left?

        `amount`: what it had taken, ever, in the unit of the rate; `in_last_minute`: the part of it of the last minute.
        Returns whether the rate was lowered.
        """
        before, self._empty = self._empty, (empty, amount)
        if before is None:
            return False
        seconds, calls = empty.at - before[0].at, empty.calls - before[0].calls
        self._usual_per_s = self._usual(in_last_minute, is_fresh=seconds <= _FRESH_S)
        if seconds > _FRESH_S:
            if self.per_s is None:
                return False
            self._set(now, _STALE_BELOW * self.per_s)
            self.has_grown = False
            return True
        if calls < _FEWEST_CALLS or seconds < SLACK_S:
            self._empty = before
            return False
        measured = (amount - before[1]) / seconds
        if self.per_s is not None:
            measured = max(min(measured, self.per_s), _LEAST_OF_OLD * self.per_s)
        self._set(now, BELOW * measured)
        self.has_grown = False
        return True

    def _usual(self, in_last_minute: int, *, is_fresh: bool) -> float:
        usual_per_s = in_last_minute / MINUTE_S
        if self.per_s is None:
            return usual_per_s
        usual_per_s = max(usual_per_s, 0.9 * self._usual_per_s if is_fresh else 0.8 * self.per_s)
        # Where it grew to what was usual, and was refused, that is too much.
        return min(usual_per_s, self._usual_per_s) if self.has_grown and self._usual_per_s else usual_per_s

    def learn_quota(self, now: float, amount: int) -> None:
        """The server took so much within a minute, and then nothing until a while had passed."""
        per_s = _QUOTA_BELOW * amount / MINUTE_S
        self._usual_per_s = per_s
        if self.per_s is not None:
            per_s = max(min(per_s, self.per_s), _LEAST_OF_OLD_QUOTA * self.per_s)
        self._set(now, per_s, _QUOTA_QUIET_S)

    def learn(self, now: float, per_s: float) -> None:
        """The server takes so much; how much more, is not known."""
        self._set(now, BELOW * (per_s if self.per_s is None else min(per_s, self.per_s)))
        self.has_grown = False

    def _grow(self, seconds: float) -> None:
        """Fast up to what is usual, slowly there, and faster and faster beyond."""
        assert self.per_s is not None
        self._is_growing = self.has_grown = True
        if self.per_s < _NEAR_BELOW * self._usual_per_s:
            growth = _CATCHES_UP_PER_S
        elif self.per_s < _NEAR_ABOVE * self._usual_per_s:
            growth = _GROWS_PER_S
        else:
            self._beyond_s += seconds
            growth = min(_GROWS_PER_S * 2 ** min(20.0, self._beyond_s / _GROWTH_DOUBLES_S), _MOST_GROWTH_PER_S)
        self.per_s *= 1 + growth * seconds

    def _set(self, now: float, per_s: float, least_quiet_s: float = 0.0) -> None:
        is_same = self.per_s is not None and self.per_s / _SAME <= per_s <= self.per_s * _SAME
        quiet_s = min(2 * self._quiet_s, _LONGEST_QUIET_S) if is_same else _FIRST_QUIET_S
        self._quiet_s = max(quiet_s, least_quiet_s)
        self._quiet_until = now + self._quiet_s
        self.per_s = max(per_s, self._least_per_s)
        self._floor_per_s = _LEAST_BELOW * self.per_s
        self._is_growing = False
        self._beyond_s = 0.0
