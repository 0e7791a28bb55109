"""A rate of calls that the server has shown by refusing: measured between refusals, kept, and tried again now and then."""

from __future__ import annotations

import math

from stillroom.client.spacing import MINUTE_S, SLACK_S, Spacing

TOO_MANY_REFUSED = 6.0
"""Score at which refusals are no accident: each adds 1, each call accepted takes `_FORGIVEN` away (CUSUM, Page 1954)."""
_FORGIVEN = 0.06
_SUSPICIOUS = 2.0
_BELOW = 0.97
"""Calls are sent at this share of what was measured."""
_FRESH_S = 30.0
"""Two refusals nearer than this measure the rate: in between, the server gave all that it had."""
_FEWEST_MEASURED = 5
_FIRST_QUIET_S, _LONGEST_QUIET_S = 10.0, 300.0
_QUOTA_QUIET_S = 60.0
_SAME = 1.1
_SLOW_GROWTH_PER_S, _FAST_GROWTH_PER_S, _GROWTH_DOUBLES_S = 0.002, 0.1, 10.0
_LOWEST_PER_S = 1 / 600


class RefusalScore:
    def __init__(self) -> None:
        self.value = 0.0
        self._accepted_before = 0

    def refused(self, accepted: int) -> None:
        """`accepted`: calls, ever, that the server took before it refused this one."""
        self.value = max(0.0, self.value - _FORGIVEN * max(0, accepted - self._accepted_before)) + 1
        self._accepted_before = max(accepted, self._accepted_before)

    @property
    def is_suspicious(self) -> bool:
        return self.value >= _SUSPICIOUS

    @property
    def is_too_high(self) -> bool:
        return self.value >= TOO_MANY_REFUSED


class LearnedRate:
    """No limit until one is learned. `accepted` is a count of calls, ever, that the server took."""

    def __init__(self) -> None:
        self.per_s: float | None = None
        self._spacing = Spacing()
        self._reference: tuple[float, int] | None = None
        """Time and `accepted` of a refusal: the server had nothing left to give."""
        self._quiet_s = _FIRST_QUIET_S
        self._quiet_until = -math.inf
        self._growing_s = 0.0
        self._lowest = 0.0
        self._last_sent = -math.inf

    def room(self, now: float) -> int:
        assert self.per_s is not None
        return self._spacing.room(now, 1 / self.per_s)

    def is_binding(self, now: float) -> bool:
        """Whether it is what holds calls back."""
        return self.per_s is not None and now < self._spacing.opens_at() + SLACK_S + 1 / self.per_s

    def opens_at(self) -> float:
        return self._spacing.opens_at()

    def sent(self, now: float) -> None:
        if self.per_s is None:
            return
        passed_s = min(1.0, now - self._last_sent)
        self._last_sent = now
        # Only where the rate is what holds calls back does it show that it could be higher.
        if now >= self._quiet_until and self.is_binding(now):
            growth = _SLOW_GROWTH_PER_S * 2 ** min(20.0, self._growing_s / _GROWTH_DOUBLES_S)
            self.per_s *= 1 + min(growth, _FAST_GROWTH_PER_S) * passed_s
            self._growing_s += passed_s
        self._spacing.sent(now, 1 / self.per_s)

    def refused(self, now: float, sent_at: float, accepted: int, *, is_suspicious: bool) -> None:
        if is_suspicious and self.per_s is not None:
            if self._growing_s:
                self._set(now, self.per_s * _BELOW)
            else:
                self.per_s = max(self.per_s * 0.99, min(self.per_s, self._lowest))

    def measure(self, now: float, sent_at: float, accepted: int) -> None:
        """The server has nothing left: what did it give since it last had nothing left?"""
        reference, self._reference = self._reference, (sent_at, accepted)
        if reference is None:
            return
        count, span_s = accepted - reference[1], sent_at - reference[0]
        if span_s > _FRESH_S:
            if self.per_s is not None:
                self._set(now, self.per_s * 0.9)
        elif count < _FEWEST_MEASURED or span_s < SLACK_S:
            self._reference = reference
        elif self.per_s is None:
            self._set(now, count / span_s * _BELOW)
        else:
            self._set(now, min(count / span_s, self.per_s) * _BELOW)

    def learn_quota(self, now: float, per_minute: int) -> None:
        """The server took so many calls and then none until a while had passed: so many a minute."""
        per_s = per_minute / MINUTE_S * 0.98
        self._set(now, per_s if self.per_s is None else max(0.7 * self.per_s, min(per_s, self.per_s)))
        self._quiet_s = max(self._quiet_s, _QUOTA_QUIET_S)
        self._quiet_until = now + self._quiet_s

    def _set(self, now: float, per_s: float) -> None:
        is_same = self.per_s is not None and self.per_s / _SAME <= per_s <= self.per_s * _SAME
        self._quiet_s = min(2 * self._quiet_s, _LONGEST_QUIET_S) if is_same else _FIRST_QUIET_S
        self.per_s = max(per_s, _LOWEST_PER_S)
        self._lowest = 0.95 * self.per_s
        self._quiet_until = now + self._quiet_s
        self._growing_s = 0.0
