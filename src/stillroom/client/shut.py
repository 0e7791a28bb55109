"""The time after refusals in a row: nothing is sent but, now and then, one call that tries whether the way is open."""

from __future__ import annotations

import math

from stillroom.client.learned_rate import Accepted

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
_LONG_S = 3.0
"""Refused for longer than this, whatever is sent: an allowance is used up, and comes back as a whole."""


class Shut:
    """Waits double from try to try, unless the server says how long to wait: its last word counts."""

    def __init__(
        self,
        now: float,
        refused_at: float,
        level: int,
        in_minute_before: tuple[int, int],
        empty: Accepted | None,
        pause_s: float,
        *,
        by_failures: bool,
    ) -> None:
        self.opens_at = now + (pause_s or FIRST_WAIT_S)
        """When the next try may be sent; infinite while one is on its way."""
        self.probe_at: float | None = None
        self.asked_for = bool(pause_s)
        self.by_failures = by_failures
        self.lowest_refused = level
        self.empty = empty
        """What the server had taken when it began to refuse."""
        self._in_minute = in_minute_before
        self._since = refused_at
        self._refused_until = refused_at
        self._pause_s = pause_s
        self._wait_s = FIRST_WAIT_S
        self._probe_level = 0

    @property
    def in_minute_before(self) -> tuple[int, int]:
        """Calls and tokens that the server took in the minute before."""
        return self._in_minute

    @property
    def is_long(self) -> bool:
        return max(self._refused_until - self._since, self._pause_s) > _LONG_S

    @property
    def is_healed_by_time(self) -> bool:
        """The try found it open with no fewer in flight than calls that were refused."""
        return self._probe_level >= self.lowest_refused

    def is_passed(self, now: float, grace_s: float) -> bool:
        """A try was not refused for so long that it was accepted. What failures have shut, only an answer opens."""
        return self.probe_at is not None and not self.by_failures and now >= self.probe_at + grace_s

    def changes_at(self, grace_s: float) -> float | None:
        if self.probe_at is None:
            return self.opens_at
        return None if self.by_failures else self.probe_at + grace_s

    def probe(self, now: float, level: int) -> None:
        self.probe_at, self._probe_level, self.opens_at = now, level, math.inf

    def again(self, now: float, sent_at: float, level: int, pause_s: float = 0.0) -> None:
        """A try was refused, or failed."""
        self._refused_until = max(self._refused_until, sent_at)
        self.lowest_refused = min(self.lowest_refused, level)
        self._wait_s = min(LONGEST_WAIT_S, 2 * self._wait_s)
        self._wait(now, pause_s or self._wait_s, pause_s)

    def same_burst(self, now: float, tokens: int, pause_s: float) -> None:
        """A call was refused that was sent before the first refusal was known."""
        calls, all_tokens = self._in_minute
        self._in_minute = calls - 1, all_tokens - tokens
        if pause_s and self.probe_at is None:
            self._wait(now, pause_s, pause_s)

    def why(self, now: float) -> str:
        cause = "Retry-After" if self.asked_for else "calls failed in a row" if self.by_failures else "refused in a row"
        if self.probe_at is not None:
            return f"one call tries whether it is open again: {cause}"
        return f"waits {max(0.0, self.opens_at - now):.0f} s: {cause}"

    def _wait(self, now: float, wait_s: float, pause_s: float) -> None:
        self.probe_at = None
        self.opens_at = now + wait_s
        self.asked_for = bool(pause_s)
        self._pause_s = self.opens_at - self._since if pause_s else self._pause_s
