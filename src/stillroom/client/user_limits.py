"""The limits per minute that the user gave."""

from __future__ import annotations

from stillroom.client.spacing import MINUTE_S, SLACK_S, SlidingMinute, Spacing

_NEARLY = 0.9
"""Share of a minute's tokens from which on that limit is what holds calls back."""
UNLIMITED = 1 << 30


class UserLimits:
    """Calls and tokens in any 60 seconds; None: no limit. Calls are sent evenly, tokens as there is room.

    A call counts its most tokens, 1 where that is not known, until it is corrected.
    """

    def __init__(self, calls_per_minute: int | None, tokens_per_minute: int | None, now: float) -> None:
        self.are_given = calls_per_minute is not None or tokens_per_minute is not None
        self._most_calls, self._most_tokens = calls_per_minute, tokens_per_minute
        self._calls, self._tokens = SlidingMinute(now), SlidingMinute(now)
        self._spacing = Spacing()
        self._interval_s = MINUTE_S / (calls_per_minute or 1)

    def room(self, now: float, tokens: int) -> int:
        """Calls of so many tokens."""
        free = UNLIMITED
        if self._most_calls is not None:
            free = min(self._most_calls - self._calls.total(now), self._spacing.room(now, self._interval_s))
        if self._most_tokens is not None:
            free = min(free, (self._most_tokens - self._tokens.total(now)) // max(1, tokens))
        return free

    def opens_at(self, now: float, tokens: int) -> float | None:
        """None: never, since the call takes more tokens than a minute may."""
        opens_at = now
        if self._most_calls is not None:
            opens_at = max(self._calls.falls_to(now, self._most_calls - 1), self._spacing.opens_at())
        if self._most_tokens is not None:
            if tokens > self._most_tokens:
                return None
            opens_at = max(opens_at, self._tokens.falls_to(now, self._most_tokens - max(1, tokens)))
        return opens_at

    def sent(self, now: float, tokens: int) -> None:
        if self._most_calls is not None:
            self._calls.add(now, 1)
            self._spacing.sent(now, self._interval_s)
        if self._most_tokens is not None:
            self._tokens.add(now, tokens)

    def correct(self, sent_at: float, tokens: int) -> None:
        """A call sent then took so many tokens more (below 0: fewer) than it counts."""
        if self._most_tokens is not None:
            self._tokens.correct(sent_at, tokens)

    def why(self, now: float) -> str | None:
        """None where they hold nothing back."""
        if self._most_calls is not None and now < self._spacing.opens_at() + SLACK_S + self._interval_s:
            return f"{self._most_calls:,} a minute: your limit"
        if self._most_tokens is not None and self._tokens.total(now) > _NEARLY * self._most_tokens:
            return f"{self._most_tokens:,} tokens a minute: your limit"
        return None
