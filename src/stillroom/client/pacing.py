"""When the next call may be sent to an endpoint: within the user's limits, and within what the server is found to allow.

Servers limit calls in flight, or calls per time, or tokens per time; and most of them say so only by refusing. The
controller is told of every call that is sent and of what became of it, and of the time. It never sleeps, and knows
nothing of sockets: an hour is tested in milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stillroom.client.concurrency import ConcurrencyWindow
from stillroom.client.learned_rate import LearnedRate, RefusalScore
from stillroom.client.rate_headers import NO_RATE_HEADERS, Allowance, RateHeaders, read_rate_headers
from stillroom.client.spacing import MINUTE_S, SlidingMinute, Spacing

__all__ = ["PaceController", "PaceLimits", "RateHeaders", "Result", "Sent", "read_rate_headers"]

Result = Literal["answered", "refused", "failed", "silent"]

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 15.0
REFUSED_IN_A_ROW, FAILED_IN_A_ROW = 3, 10
_LONG_SHUT_S = 3.0


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """What the user gave; never passed."""

    concurrency: int
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Sent(NamedTuple):
    """A call on its way, as the controller wants to hear of it again."""

    at: float
    tokens: int
    order: int
    level: int
    top: int
    tokens_before: int
    rate_bound: bool


@dataclass(slots=True)
class _Shut:
    order: int
    since: float
    until: float
    accepted_in_minute: int
    refused_until: float
    asked_s: float = 0.0
    reason: str = ""
    backoff_s: float = FIRST_BACKOFF_S
    probe_at: float | None = None
    by_failures: bool = False


class Quota:
    def __init__(self) -> None:
        self.order = -1
        self.remaining = 0
        self.limit: int | None = None
        self.reset_at = -math.inf
        self.spent = 0

    def update(self, now: float, order: int, spent: int, allowance: Allowance) -> None:
        if allowance.remaining is None or allowance.reset_s is None:
            return
        if order < self.order and now < self.reset_at:
            return
        self.order, self.spent = order, spent
        self.remaining, self.limit = allowance.remaining, allowance.limit
        self.reset_at = now + allowance.reset_s

    def left(self, spent: int) -> int:
        return self.remaining - (spent - self.spent)


class PaceController:
    def __init__(self, limits: PaceLimits, now: float) -> None:
        self.limits = limits
        self.in_flight = 0
        self._window = ConcurrencyWindow(limits.concurrency)
        self._rate = LearnedRate()
        self._score = RefusalScore()
        self._shaved_at = -math.inf
        self._accepted = SlidingMinute(now)
        self._sent = 0
        self._tokens_sent = 0
        self._refused = 0
        self._top = -1
        self._cut_order = 0
        self._run = 0
        self._run_accepted = -1
        self._failures = 0
        self._last_sent = -math.inf
        self._refusal_s = 0.2
        self._shut: _Shut | None = None
        self._quota_requests = Quota()
        self._quota_tokens = Quota()
        self._quota_spacing = Spacing()
        self._has_quota = False
        self._requests = SlidingMinute(now) if limits.requests_per_minute else None
        self._requests_spacing = Spacing()
        self._tokens = SlidingMinute(now) if limits.tokens_per_minute else None

    @property
    def concurrency(self) -> int:
        return self._window.limit

    @property
    def learned_per_minute(self) -> float | None:
        return None if self._rate.per_s is None else self._rate.per_s * MINUTE_S

    @property
    def _grace_s(self) -> float:
        return min(2.0, max(0.1, 3 * self._refusal_s))

    def room(self, now: float, tokens: int = 0) -> int:
        if self._shut is not None and self._is_probed(now):
            self._reopen(now)
        if self._shut is not None:
            is_open = self._shut.probe_at is None and now >= self._shut.until
            free = min(1, self.limits.concurrency - self.in_flight) if is_open else 0
        else:
            free = self._window.room(now, self.in_flight, self._last_sent, self._grace_s)
        if free > 0 and self._rate.per_s is not None and self._shut is None:
            free = min(free, self._rate.room(now))
        if free > 0 and self._has_quota:
            free = min(free, self._quota_room(now, tokens))
        if free > 0 and self._requests is not None:
            free = min(free, self._requests_room(now))
        if free > 0 and self._tokens is not None and tokens:
            free = min(free, (self.limits.tokens_per_minute - self._tokens.total(now)) // tokens)
        return max(0, free)

    def _requests_room(self, now: float) -> int:
        most = self.limits.requests_per_minute
        return min(most - self._requests.total(now), self._requests_spacing.room(now, MINUTE_S / most))

    def _quota_parts(self, now: float, tokens: int):
        if now < self._quota_requests.reset_at:
            q = self._quota_requests
            yield q, q.left(self._sent), q.limit
        if now < self._quota_tokens.reset_at and tokens:
            q = self._quota_tokens
            yield q, q.left(self._tokens_sent) // tokens, q.limit and q.limit // tokens

    def _quota_room(self, now: float, tokens: int) -> int:
        free = 1 << 30
        for q, left, limit in self._quota_parts(now, tokens):
            if left <= 0:
                return 0
            free = min(free, left)
            interval = self._quota_interval(now, q, left, limit)
            if interval is not None:
                free = min(free, self._quota_spacing.room(now, interval))
        return free

    def _quota_interval(self, now, q, left, limit):
        if q.reset_at - now > 90 or (limit is not None and left > limit / 2):
            return None
        return (q.reset_at - now) / left

    def opens_at(self, now: float, tokens: int = 0) -> float | None:
        if self.room(now, tokens) > 0:
            return now
        moments: list[float | None] = [now]
        if self._shut is not None:
            s = self._shut
            if self.in_flight >= self.limits.concurrency or (s.by_failures and s.probe_at is not None):
                return None
            moments.append(s.until if s.probe_at is None else s.probe_at + self._grace_s)
        else:
            moments.append(self._window.opens_at(self.in_flight, self._last_sent, self._grace_s))
            if self._rate.per_s is not None:
                moments.append(self._rate.opens_at())
        for q, left, limit in self._quota_parts(now, tokens):
            if left <= 0:
                moments.append(q.reset_at)
            elif self._quota_interval(now, q, left, limit) is not None:
                moments.append(min(q.reset_at, self._quota_spacing.opens_at()))
        if self._requests is not None:
            moments.append(self._requests.falls_to(now, self.limits.requests_per_minute - 1))
            moments.append(self._requests_spacing.opens_at())
        if self._tokens is not None and tokens:
            if tokens > self.limits.tokens_per_minute:
                return None
            moments.append(self._tokens.falls_to(now, self.limits.tokens_per_minute - tokens))
        if None in moments:
            return None
        return max(moments)

    def sent(self, now: float, tokens: int = 0) -> Sent:
        sent = Sent(now, tokens, self._sent, self.in_flight, self._top, self._tokens_sent, self._rate.is_binding(now))
        if self._shut is not None:
            self._shut.probe_at = now
        else:
            self._window.sent(now, sent.order, sent.level)
            self._rate.sent(now)
        self._top = max(self._top, self.in_flight)
        if self._has_quota:
            for q, left, limit in self._quota_parts(now, tokens):
                interval = self._quota_interval(now, q, max(1, left), limit)
                if interval is not None:
                    self._quota_spacing.sent(now, interval)
                    break
        self.in_flight += 1
        self._sent += 1
        self._tokens_sent += tokens
        self._accepted.add(now, 1)
        self._last_sent = now
        if self._requests is not None:
            self._requests.add(now, 1)
            self._requests_spacing.sent(now, MINUTE_S / self.limits.requests_per_minute)
        if self._tokens is not None:
            self._tokens.add(now, tokens)
        return sent

    def returned(self, now: float, sent: Sent, result: Result, headers: RateHeaders = NO_RATE_HEADERS, tokens_used: int | None = None) -> None:
        was_full = self.in_flight >= self._window.limit
        self.in_flight -= 1
        if headers is not NO_RATE_HEADERS:
            self._hear(now, sent, headers)
        if self._tokens is not None:
            if tokens_used is None and result == "refused":
                tokens_used = 0
            if tokens_used is not None:
                self._tokens.correct(sent.at, tokens_used - sent.tokens)
        if result == "answered":
            self._failures = 0
            self._window.answered(now, sent.order, now - sent.at, was_full=was_full)
            if self._shut is not None and sent.order >= self._shut.order:
                self._reopen(now)
        elif result == "refused":
            self._refuse(now, sent, headers)
        else:
            self._fail(now, sent, result)

    def _hear(self, now, sent, headers):
        if headers.requests is not None:
            self._has_quota = True
            self._quota_requests.update(now, sent.order, sent.order + 1, headers.requests)
        if headers.tokens is not None:
            self._has_quota = True
            self._quota_tokens.update(now, sent.order, sent.tokens_before + sent.tokens, headers.tokens)

    def _fail(self, now, sent, result):
        self._window.probe_failed(now, sent.order, 0.0)
        self._failures += 1
        if self._shut is not None:
            if sent.order >= self._shut.order:
                self._shut_again(now, sent, 0.0)
            return
        if sent.order < self._cut_order:
            return
        if self._failures >= FAILED_IN_A_ROW:
            self._close(now, sent, 0.0, by_failures=True)
        elif result == "silent":
            self._cut_order = self._sent
            self._window.silent(now)

    def _refuse(self, now: float, sent: Sent, headers: RateHeaders) -> None:
        self._refusal_s = max(now - sent.at, 0.9 * self._refusal_s)
        accepted = sent.order - self._refused
        self._refused += 1
        self._accepted.correct(sent.at, -1)
        pause_s = headers.retry_after_s or 0.0
        if self._shut is not None:
            if sent.order >= self._shut.order:
                self._shut_again(now, sent, pause_s)
            else:
                self._shut.accepted_in_minute -= 1
                if pause_s:
                    self._shut.until = now + pause_s
                    self._shut.asked_s = self._shut.until - self._shut.since
            return
        if sent.order >= self._cut_order:
            self._run = self._run + 1 if accepted <= self._run_accepted else 1
            self._run_accepted = max(accepted, self._run_accepted)
            w = self._window
            is_edge = sent.level > sent.top and not sent.rate_bound
            if sent.level >= w.limit or is_edge:
                w.refused_at_edge(now, sent.order, sent.level, pause_s)
                self._cut(sent)
            elif not pause_s:
                self._refuse_inside(now, sent, accepted)
            in_a_row = REFUSED_IN_A_ROW if sent.rate_bound else max(REFUSED_IN_A_ROW, min(20, self._window.limit // 10))
            if self._run >= in_a_row and self._shut is None:
                self._rate.measure(now, sent.at, accepted)
                self._close(now, sent, 0.0)
        if pause_s:
            if self._shut is None:
                self._rate.measure(now, sent.at, accepted)
                self._close(now, sent, pause_s)

    def _refuse_inside(self, now, sent, accepted):
        self._score.refused(accepted)
        self._rate.refused(now, sent.at, accepted, is_suspicious=self._score.is_suspicious)
        too_many = self._score.is_too_high
        if not sent.rate_bound:
            self._window.refused_inside(now, sent.level, too_many=too_many, in_a_row=self._run > 1)
        if too_many:
            if sent.rate_bound or now - self._shaved_at < 30:
                self._rate.measure(now, sent.at, accepted)
            self._shaved_at = now
            self._score.value = 0.0
            self._cut(sent)

    def _cut(self, sent):
        self._cut_order = self._sent
        self._top = -1

    def _close(self, now, sent, pause_s, by_failures=False):
        self._cut_order = self._sent
        self._top = -1
        self._shut = _Shut(self._sent, sent.at, now + (pause_s or FIRST_BACKOFF_S), self._accepted.total(now), sent.at, pause_s, by_failures=by_failures)

    def _shut_again(self, now, sent, pause_s):
        s = self._shut
        s.refused_until = max(s.refused_until, sent.at)
        s.probe_at = None
        s.backoff_s = min(LONGEST_BACKOFF_S, 2 * s.backoff_s)
        s.until = now + (pause_s or s.backoff_s)
        if pause_s:
            s.asked_s = s.until - s.since

    def _is_probed(self, now):
        s = self._shut
        return s.probe_at is not None and not s.by_failures and now >= s.probe_at + self._grace_s

    def _reopen(self, now):
        s, self._shut = self._shut, None
        self._run = 0
        span = max(s.refused_until - s.since, s.asked_s)
        if span > _LONG_SHUT_S and not s.by_failures:
            self._rate.learn_quota(now, s.accepted_in_minute)
        elif self._rate.per_s is None:
            self._window.restart(now, self.in_flight)

    def why(self) -> str:
        return ""
