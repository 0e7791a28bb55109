"""When the next call may be sent to an endpoint: within the user's limits, and what the server is found to allow.

Servers limit calls in flight, calls per time, or tokens per time, and most say so only by refusing. The controller is
told of each call that is sent, of what became of it, and of the time. It never sleeps and knows nothing of connections,
so that an hour is tested in milliseconds.

- A refusal with more in flight than any call that was accepted shows a limit of concurrency (`concurrency.py`).
- Refusals in a row, whatever is in flight, shut the way: nothing is sent for a time, longer each time, but a single
  call that tries whether it is open. So does `Retry-After`.
- Opened again with no fewer in flight than were refused, time has healed it: that is a limit of rate
  (`learned_rate.py`), of tokens where the refused calls were the large ones.
- Refusals that are too many, though not in a row, lower what held the calls back: the window or the rate. Where as many
  calls are refused afterwards, that is given up: they come by chance (`chance.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stillroom.client.chance import Chance
from stillroom.client.concurrency import ConcurrencyWindow
from stillroom.client.doubt import Doubt
from stillroom.client.learned_rate import Accepted
from stillroom.client.learned_rates import LearnedRates
from stillroom.client.rate_headers import NO_RATE_HEADERS, RateHeaders
from stillroom.client.refusal_score import TOO_MANY, RefusalScore
from stillroom.client.shut import Shut
from stillroom.client.told_allowance import ToldLimits
from stillroom.client.user_limits import UserLimits

Result = Literal["answered", "refused", "failed", "silent"]
"""answered: also with an error that concerns one request alone. refused: 429, or overloaded (503, 529).

failed: another error of the server. silent: no response, or none in time.
"""

MOST_REFUSED_IN_A_ROW = 20
"""Refusals of calls sent one after the other, after a cut, that shut the way at the latest."""
ACCIDENT = 1e-5
"""What happens by chance with this probability is taken to have a cause."""
FAILED_IN_A_ROW = 10
"""Failures one after the other that shut the way."""
AGAIN_S = 30.0
"""A window that was lowered, and is refused within so long as often as before, was not what was too large."""
SURE_S = 300.0
"""How long it is taken for sure that the server limits a rate."""
SLOW_REPLY_S, SLOW_REPLIES = 1.0, 100.0
"""A slow reply takes so long, and so many times as long as a refusal."""


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """What the user gave; never passed. At least 1 each."""

    concurrency: int
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Of each call its most, until it has ended and its usage is known. Where its most is not known, from then on."""

    def can_carry(self, tokens: int) -> bool:
        """Whether a call of so many tokens can be sent at all."""
        return self.tokens_per_minute is None or tokens <= self.tokens_per_minute


class Sent(NamedTuple):
    """A call on its way: `returned` wants it back."""

    at: float
    tokens: int
    order: int
    """Calls sent before it."""
    tokens_before: int
    """Tokens of those."""
    level: int
    """Calls in flight when it was sent, itself not counted."""
    highest_before: int
    """The highest level of calls sent since the last cut."""
    is_by_rate: bool
    """A learned rate held it back, not the window."""


class PaceController:
    """Times are seconds of one clock that never goes back. Every call is `sent` once and has `returned` once."""

    def __init__(self, limits: PaceLimits, now: float) -> None:
        self.limits = limits
        self.in_flight = 0
        self._now = now
        self._user = UserLimits(limits.requests_per_minute, limits.tokens_per_minute, now)
        # What the server is found to allow
        self._window = ConcurrencyWindow(limits.concurrency)
        self._told = ToldLimits()
        self._score = RefusalScore()
        self._rates = LearnedRates(self._score, now)
        self._is_bounded = self._user.are_given
        """Whether anything but the window and refusals in a row can hold calls back."""
        self._shut: Shut | None = None
        # What it is found by
        self._calls_sent = self._tokens_sent = 0
        self._calls_refused = self._tokens_refused = 0
        self._last_sent = -math.inf
        self._refusal_s = 0.2
        """How long a refusal takes to come back, at most, lately."""
        self._grace_s = 0.6
        """A call that was not refused for so long was accepted."""
        self._cut_order = 0
        """Refusals of calls sent before the last cut tell nothing new."""
        self._highest = -1
        """The highest level of calls sent since then."""
        self._in_a_row = 0
        self._accepted_before = -1
        """Calls accepted before the last refusal."""
        self._doubt = Doubt()
        self._surely_by_rate_until = -math.inf
        self._times_healed = 0
        self._lowered_at, self._lowered_to = -math.inf, 0
        self._failed_in_a_row = 0
        self._chance = Chance()

    @property
    def concurrency(self) -> int:
        """How many calls may be in flight, as far as is known."""
        return self._window.limit

    @property
    def requests_per_minute(self) -> float | None:
        """The limit that was learned."""
        return self._rates.calls_per_minute

    @property
    def tokens_per_minute(self) -> float | None:
        """The limit that was learned."""
        return self._rates.tokens_per_minute

    # -- may a call be sent? -------------------------------------------------------------------------------------------

    def room(self, now: float, tokens: int = 0) -> int:
        """How many calls, each of so many tokens at most, may be sent now."""
        self._now = now
        if self._shut is not None and self._shut.is_passed(now, self._grace_s):
            self._open(now)
        if self._shut is not None:
            free = int(now >= self._shut.opens_at and self.in_flight < self.limits.concurrency)
        else:
            free = self._window.room(now, self.in_flight, self._last_sent, self._grace_s)
        return free if free <= 0 or not self._is_bounded else min(free, self._bounded_room(now, tokens))

    def _bounded_room(self, now: float, tokens: int) -> int:
        """By rates: the user's, those that the server tells, those that were learned."""
        free = min(self._user.room(now, tokens), self._told.room(now, tokens, (self._calls_sent, self._tokens_sent)))
        return max(0, free if self._shut is not None else min(free, self._rates.room(now, tokens)))

    def opens_at(self, now: float, tokens: int = 0) -> float | None:
        """When time alone makes room (`now`: there is some). None: only a reply can."""
        if self.room(now, tokens) > 0:
            return now
        if self._shut is None:
            opens_at = self._window.opens_at(self.in_flight, self._last_sent, self._grace_s)
        elif self._shut.probe_at is not None or self.in_flight < self.limits.concurrency:
            opens_at = self._shut.changes_at(self._grace_s)
        else:
            opens_at = None
        by_user = self._user.opens_at(now, tokens)
        if opens_at is None or by_user is None:
            return None
        by_told = self._told.opens_at(now, tokens, (self._calls_sent, self._tokens_sent))
        by_rates = self._rates.opens_at(tokens) if self._shut is None else now
        return max(opens_at, by_user, by_told, by_rates)

    # -- what is sent, and what comes back -----------------------------------------------------------------------------

    def sent(self, now: float, tokens: int = 0) -> Sent:
        """A call is sent. There must be `room` for it."""
        level = self.in_flight
        sent = Sent(
            now, tokens, self._calls_sent, self._tokens_sent, level, self._highest, self._is_by_rate(now, tokens)
        )
        if self._shut is not None:
            self._shut.probe(now, level)
        else:
            self._window.sent(now, sent.order, level)
        if self._is_bounded:
            self._spend(now, tokens)
        self._highest = max(self._highest, self.in_flight)
        self.in_flight += 1
        self._calls_sent += 1
        self._tokens_sent += tokens
        self._last_sent = now
        self._rates.count(now, tokens)
        if tokens:
            self._score.sent(tokens)
        return sent

    def _is_by_rate(self, now: float, tokens: int) -> bool:
        if not self._is_bounded or (self.in_flight > 0.9 * self._window.limit and now >= self._surely_by_rate_until):
            return False
        return self._rates.are_binding(now, tokens)

    def _spend(self, now: float, tokens: int) -> None:
        if self._shut is None:
            self._rates.sent(now, tokens)
        self._told.sent(now, tokens, (self._calls_sent, self._tokens_sent))
        self._user.sent(now, tokens)

    def begun(self, now: float, sent: Sent) -> None:
        """The reply to a call has begun to come."""
        if self._shut is None and sent.order >= self._cut_order:
            self._window.begun(now, sent.order)

    def returned(
        self,
        now: float,
        sent: Sent,
        result: Result,
        headers: RateHeaders = NO_RATE_HEADERS,
        tokens_used: int | None = None,
    ) -> None:
        """A call has ended. `tokens_used`: None where that is not known."""
        self.in_flight -= 1
        if headers.requests is not None or headers.tokens is not None:
            self._is_bounded = True
            spent_with_it = (sent.order + 1, sent.tokens_before + sent.tokens)
            self._told.told(now, sent.at, spent_with_it, (self._calls_sent, self._tokens_sent), headers)
        if tokens_used is not None or result == "refused":
            self._user.correct(sent.at, (tokens_used or 0) - sent.tokens)
        if result == "answered":
            self._failed_in_a_row = 0
            self._window.answered(now, sent.order, now - sent.at)
            self._doubt.answered(now, sent.order, sent.level)
            if self._shut is not None and sent.order >= self._cut_order:
                self._open(now)
        elif result == "refused":
            self._failed_in_a_row = 0
            self._refused(now, sent, headers.retry_after_s or 0.0)
        else:
            self._failed(now, sent, result)

    def _failed(self, now: float, sent: Sent, result: Result) -> None:
        self._failed_in_a_row += 1
        self._window.failed(now, sent.order)
        if sent.order < self._cut_order:
            return
        if self._shut is not None:
            self._shut.again(now, sent.at, sent.level)
        elif self._failed_in_a_row >= FAILED_IN_A_ROW:
            self._close(now, sent, 0.0, by_failures=True)
        elif result == "silent":
            self._window.silent(now)
            self._cut()

    def _refused(self, now: float, sent: Sent, pause_s: float) -> None:
        self._refusal_s = max(now - sent.at, 0.9 * self._refusal_s)
        self._grace_s = min(2.0, max(0.1, 3 * self._refusal_s))
        accepted = Accepted(sent.at, sent.order - self._calls_refused, sent.tokens_before - self._tokens_refused)
        self._calls_refused += 1
        self._tokens_refused += sent.tokens
        self._rates.refused(sent.at, sent.tokens)
        self._score.refused(sent.tokens)
        if sent.order >= self._cut_order and self._shut is not None:
            self._shut.again(now, sent.at, sent.level, pause_s)
        elif self._shut is not None:
            self._shut.same_burst(now, sent.tokens, pause_s)
        else:
            if sent.order >= self._cut_order:
                self._learn(now, sent, accepted, pause_s)
            if pause_s and self._shut is None:
                self._close(now, sent, pause_s, accepted)

    def _learn(self, now: float, sent: Sent, accepted: Accepted, pause_s: float) -> None:
        """From the first refusal after a cut."""
        self._chance.refused(sent.order + 1, is_rate_raised=self._rates.have_grown)
        self._in_a_row = self._in_a_row + 1 if accepted.calls <= self._accepted_before else 1
        self._accepted_before = max(accepted.calls, self._accepted_before)
        is_edge = sent.level > sent.highest_before and not sent.is_by_rate
        if is_edge or sent.level >= self._window.limit:
            self._window.refused_at_edge(now, sent.level, pause_s)
            self._cut()
        else:
            self._learn_inside(now, sent, accepted)
        # A full window that is a little too wide is refused a few times in a row before it has narrowed.
        narrowing = 0 if sent.is_by_rate else min(MOST_REFUSED_IN_A_ROW, self._window.limit // 10)
        if self._in_a_row >= max(self._accidents_in_a_row(now) + 1, narrowing) or self._window.state == "first":
            self._close(now, sent, pause_s, accepted)

    def _learn_inside(self, now: float, sent: Sent, accepted: Accepted) -> None:
        """From a refusal with no more in flight than calls that were accepted."""
        self._score.count(accepted, sent.tokens, self._chance.expected_share(now))
        is_often = self._score.value >= TOO_MANY
        if sent.is_by_rate:
            self._rates.refused_now_and_then(now)
        elif is_often and self._is_slow and self._in_a_row == 1:
            self._blame_rate(now)
        elif is_often:
            self._window.refused_often(now)
        elif self._in_a_row >= self._accidents_in_a_row(now):
            self._window.refused_in_a_row(now, sent.level)
            self._doubt_concurrency(now, sent.level)
        if is_often:
            if sent.is_by_rate or (now - self._lowered_at < AGAIN_S and sent.level < self._lowered_to):
                self._measure(now, accepted)
            self._lowered_at, self._lowered_to = now, self._window.limit
            self._score.value = 0.0
            self._cut()
        if not sent.is_by_rate:
            self._judge_lowering(now, self._chance.narrowed(now, self._calls_sent, self._window.limit))

    def _doubt_concurrency(self, now: float, level: int) -> None:
        """Refused in a row with so many in flight, which looks like a limit of concurrency."""
        if self._doubt.is_settled:
            self._blame_rate(now)
        elif self._is_slow:
            self._doubt.refused(self._calls_sent, level, self._window.calls_per_s * self._refusal_s)

    @property
    def _is_slow(self) -> bool:
        """Few calls are on their way: what the server counts in flight is what we count."""
        return self._window.latency_s > max(SLOW_REPLY_S, SLOW_REPLIES * self._refusal_s)

    def _blame_rate(self, now: float) -> None:
        """What a full window carries is what the server takes, though the window is not what it limits."""
        self._doubt.clear()
        self._is_bounded = True
        self._surely_by_rate_until = now + SURE_S
        self._rates.learn(now, self._window.calls_per_s)
        self._window.release(now)
        self._judge_lowering(now, self._chance.lowered(now, self._calls_sent))

    def _measure(self, now: float, empty: Accepted) -> None:
        self._is_bounded = True
        if self._rates.measure(now, empty):
            self._judge_lowering(now, self._chance.lowered(now, self._calls_sent))

    def _judge_lowering(self, now: float, is_in_vain: bool) -> None:
        """Where it was in vain to lower the pace, it is given up."""
        if is_in_vain:
            self._rates.forget()
            self._window.release(now)

    def _accidents_in_a_row(self, now: float) -> int:
        """So many refusals one after the other, at least 2, are no accident where some are refused by chance."""
        expected = self._chance.expected_share(now)
        return 2 if not expected else max(2, math.ceil(math.log(ACCIDENT) / math.log(expected)))

    def _cut(self) -> None:
        self._cut_order = self._calls_sent
        self._highest = -1

    # -- shut for a time -----------------------------------------------------------------------------------------------

    def _close(
        self, now: float, sent: Sent, pause_s: float, empty: Accepted | None = None, *, by_failures: bool = False
    ) -> None:
        self._cut()
        self._shut = Shut(
            now, sent.at, sent.level, self._rates.in_last_minute(now), empty, pause_s, by_failures=by_failures
        )
        if empty is not None and sent.is_by_rate:
            self._measure(now, empty)
            self._shut.empty = None

    def _open(self, now: float) -> None:
        """It is open again: what was it that shut it?"""
        shut, self._shut = self._shut, None
        assert shut is not None
        self._in_a_row = 0
        if shut.by_failures:
            self._window.restart(now, self.in_flight)
        elif shut.is_long:
            self._is_bounded = True
            self._rates.learn_quota(now, *shut.in_minute_before)
        elif shut.empty is None:
            pass
        elif shut.is_healed_by_time:
            self._times_healed += 1
            if self._times_healed > 1:
                self._surely_by_rate_until = now + SURE_S
            if self._is_slow:
                self._doubt.refute(now)
            self._measure(now, shut.empty)
            self._window.restart(now, self.in_flight)
        elif not shut.asked_for:
            self._window.restart(now, self.in_flight, shut.lowest_refused)
            self._doubt_concurrency(now, shut.lowest_refused)

    # -- in words ------------------------------------------------------------------------------------------------------

    def why(self) -> str:
        """What sets the pace just now, for people: `32 in flight: growing`, `waits 12 s: Retry-After`."""
        now = self._now
        if self._shut is not None:
            return self._shut.why(now)
        spent = (self._calls_sent, self._tokens_sent)
        return self._told.why(now, spent) or self._user.why(now) or self._rates.why(now) or self._window.why()
