"""What the server's headers say is left: used up evenly until it is there again, and never more than it."""

from __future__ import annotations

import math

from stillroom.client.rate_headers import Allowance, RateHeaders
from stillroom.client.spacing import MINUTE_S, Spacing

_MARGIN_S = 0.1
"""A reset is told in whole seconds or milliseconds, and a call takes its way: not to be there too early."""
_SPREAD_S = 1.5 * MINUTE_S
"""What comes back later than this is used as it is needed: to spread a day's allowance would be to wait for a day."""


Spent = tuple[int, int]
"""Calls and tokens."""


class ToldAllowance:
    """One allowance, of calls or of tokens. `spent`: what was sent, ever, in that unit.

    Headers count a call when it arrives and come with its answer: what was sent after it is taken off, and the time to
    the reset runs from when it was sent. So news that come late do no harm.
    """

    def __init__(self) -> None:
        self._left_then = 0
        self._spent_then = 0
        self._limit: int | None = None
        self._reset_at = -math.inf
        self._longest_reset_s = 0.0
        self._spacing = Spacing()

    def told(self, now: float, sent_at: float, spent_with_it: int, spent: int, allowance: Allowance) -> None:
        """`spent_with_it`: with the call that brings the news, when that was sent."""
        if allowance.remaining is None or allowance.reset_s is None or spent_with_it <= self._spent_then:
            return
        self._reset_at = sent_at + allowance.reset_s + _MARGIN_S
        self._longest_reset_s = max(self._longest_reset_s, allowance.reset_s)
        self._left_then, self._spent_then = allowance.remaining, spent_with_it
        # What came too late says nothing of the time after the reset either.
        self._limit = allowance.limit if now < self._reset_at else None
        left = self._left(spent)
        if left > 0:
            self._spacing.bring_forward(now + (self._reset_at - now) / left)

    def room(self, now: float, cost: int, spent: int) -> int:
        self._reset(now, cost, spent)
        if now >= self._reset_at:
            return 1 << 30
        left = self._left(spent)
        if left < cost:
            return 0
        interval_s = self._interval_s(now, cost, left)
        return left // cost if interval_s is None else min(left // cost, self._spacing.room(now, interval_s))

    def opens_at(self, now: float, cost: int, spent: int) -> float:
        if now >= self._reset_at:
            return -math.inf
        left = self._left(spent)
        if left < cost:
            return self._reset_at
        return -math.inf if self._interval_s(now, cost, left) is None else min(self._reset_at, self._spacing.opens_at())

    def sent(self, now: float, cost: int, spent: int) -> None:
        """`spent`: before this call."""
        if now < self._reset_at:
            interval_s = self._interval_s(now, cost, max(cost, self._left(spent)))
            if interval_s is not None:
                self._spacing.sent(now, interval_s)

    def why(self, now: float, spent: int, unit: str) -> str | None:
        """None where it holds nothing back."""
        left, seconds = self._left(spent), self._reset_at - now
        if seconds <= 0:
            return None
        if left <= 0:
            return f"waits {seconds:.0f} s: no {unit} left, say the server's headers"
        if self._interval_s(now, 1, left) is None:
            return None
        return f"{MINUTE_S * left / seconds:,.0f} {unit} a minute: what is left, say the server's headers"

    def _left(self, spent: int) -> int:
        return self._left_then - (spent - self._spent_then)

    def _interval_s(self, now: float, cost: int, left: int) -> float | None:
        """None: there is enough."""
        if self._reset_at - now > _SPREAD_S or (self._limit is not None and left > self._limit / 2):
            return None
        return (self._reset_at - now) * cost / left

    def _reset(self, now: float, cost: int, spent: int) -> None:
        """Until there is news, calls after the reset find what the limit allows, and no more; but one call, at least,
        whose `cost` is the most that it may be and seldom is.
        """
        if now >= self._reset_at and self._limit is not None:
            self._left_then, self._spent_then = max(self._limit, cost), spent
            self._reset_at = now + self._longest_reset_s


class ToldLimits:
    """What headers say of calls and of tokens. `spent`: calls and tokens that were sent, ever."""

    def __init__(self) -> None:
        self._calls, self._tokens = ToldAllowance(), ToldAllowance()

    def told(self, now: float, sent_at: float, spent_with_it: Spent, spent: Spent, headers: RateHeaders) -> None:
        """`spent_with_it`: when the call was sent that brings the headers, itself counted."""
        if headers.requests is not None:
            self._calls.told(now, sent_at, spent_with_it[0], spent[0], headers.requests)
        if headers.tokens is not None:
            self._tokens.told(now, sent_at, spent_with_it[1], spent[1], headers.tokens)

    def room(self, now: float, tokens: int, spent: Spent) -> int:
        """Calls of so many tokens."""
        free = self._calls.room(now, 1, spent[0])
        return min(free, self._tokens.room(now, tokens, spent[1])) if tokens else free

    def opens_at(self, now: float, tokens: int, spent: Spent) -> float:
        opens_at = self._calls.opens_at(now, 1, spent[0])
        return max(opens_at, self._tokens.opens_at(now, tokens, spent[1])) if tokens else opens_at

    def sent(self, now: float, tokens: int, spent: Spent) -> None:
        """`spent`: before this call."""
        self._calls.sent(now, 1, spent[0])
        if tokens:
            self._tokens.sent(now, tokens, spent[1])

    def why(self, now: float, spent: Spent) -> str | None:
        """None where they hold nothing back."""
        return self._calls.why(now, spent[0], "calls") or self._tokens.why(now, spent[1], "tokens")
