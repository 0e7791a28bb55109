"""The rates that a server has shown by refusing: of calls, or of tokens where it refuses the large ones."""

from __future__ import annotations

import math

from stillroom.client.learned_rate import Accepted, LearnedRate
from stillroom.client.refusal_score import RefusalScore
from stillroom.client.spacing import MINUTE_S, SlidingMinute

_LEAST_CALLS_PER_S, _LEAST_TOKENS_PER_S = 1 / 600, 10.0


class LearnedRates:
    """`score` tells whether it is calls or tokens that the server counts."""

    def __init__(self, score: RefusalScore, now: float) -> None:
        self.are_learned = False
        self._score = score
        self._calls, self._tokens = LearnedRate(_LEAST_CALLS_PER_S), LearnedRate(_LEAST_TOKENS_PER_S)
        self._minute_calls, self._minute_tokens = SlidingMinute(now), SlidingMinute(now)
        """Sent in the last minute and not refused."""

    @property
    def calls_per_minute(self) -> float | None:
        return None if self._calls.per_s is None else self._calls.per_s * MINUTE_S

    @property
    def tokens_per_minute(self) -> float | None:
        return None if self._tokens.per_s is None else self._tokens.per_s * MINUTE_S

    def room(self, now: float, tokens: int) -> int:
        """Calls of so many tokens."""
        free = self._calls.room(now, 1)
        return min(free, self._tokens.room(now, tokens)) if tokens else free

    def opens_at(self, tokens: int) -> float:
        return max(self._calls.opens_at(), self._tokens.opens_at() if tokens else -math.inf)

    def are_binding(self, now: float, tokens: int) -> bool:
        """Whether they are what holds calls back."""
        return self._calls.is_binding(now, 1) or self._tokens.is_binding(now, tokens)

    def count(self, now: float, tokens: int) -> None:
        """Any call that is sent."""
        self._minute_calls.add(now, 1)
        if tokens:
            self._minute_tokens.add(now, tokens)

    def sent(self, now: float, tokens: int) -> None:
        """A call that they had to let through."""
        self._calls.sent(now, 1)
        self._tokens.sent(now, tokens)

    def refused(self, sent_at: float, tokens: int) -> None:
        """Any refusal."""
        self._minute_calls.correct(sent_at, -1)
        if tokens:
            self._minute_tokens.correct(sent_at, -tokens)

    def in_last_minute(self, now: float) -> tuple[int, int]:
        """Calls and tokens that the server took."""
        return self._minute_calls.total(now), self._minute_tokens.total(now)

    def refused_now_and_then(self, now: float) -> None:
        self._calls.refused_now_and_then(now, self._score.value)
        self._tokens.refused_now_and_then(now, self._score.value)

    @property
    def have_grown(self) -> bool:
        """Since they were measured or learned last."""
        return self._calls.has_grown or self._tokens.has_grown

    def measure(self, now: float, empty: Accepted) -> bool:
        """Returns whether a rate was lowered."""
        self.are_learned = True
        calls, tokens = self.in_last_minute(now)
        if self._score.are_large_refused:
            return self._tokens.measure(now, empty, empty.tokens, tokens)
        return self._calls.measure(now, empty, empty.calls, calls)

    def learn(self, now: float, calls_per_s: float) -> None:
        """The server takes so many calls; how many more, is not known."""
        self.are_learned = True
        if self._score.are_large_refused:
            self._tokens.learn(now, calls_per_s * self._score.mean_tokens)
        else:
            self._calls.learn(now, calls_per_s)

    def learn_quota(self, now: float, calls: int, tokens: int) -> None:
        """The server took so much within a minute, and then nothing until a while had passed."""
        self.are_learned = True
        if self._score.are_large_refused:
            self._tokens.learn_quota(now, tokens)
        else:
            self._calls.learn_quota(now, calls)

    def forget(self) -> None:
        """What was learned was no limit."""
        self.are_learned = False
        self._calls, self._tokens = LearnedRate(_LEAST_CALLS_PER_S), LearnedRate(_LEAST_TOKENS_PER_S)

    def why(self, now: float) -> str | None:
        """None where they hold nothing back."""
        if self._calls.is_binding(now, 1):
            return f"{self.calls_per_minute or 0:,.0f} a minute: learned from refusals"
        if self._tokens.is_binding(now, round(self._score.mean_tokens)):
            return f"{self.tokens_per_minute or 0:,.0f} tokens a minute: learned from refusals"
        return None
