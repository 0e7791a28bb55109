"""How many calls may be in flight: found by growing until the server refuses, kept there, and tried again now and then."""

from __future__ import annotations

import math

from stillroom.client.spacing import MINUTE_S, Spacing

LONG_REPLY_S = 10.0
"""Where replies take longer than this, the window doubles this often without waiting for them."""
_SAME = 1.1
"""Two limits found within this factor are the same limit, found again."""
_MOST_PATIENCE = 64
_FEWER_AFTER_SILENCE = 0.7


class ConcurrencyWindow:
    """The window of calls in flight, never above `cap`.

    One call until the first answer. Then it grows by one with every answer that came while it was full (it doubles in a
    round trip), until a call is refused at its edge: then it stays at the number that was accepted. From there one call
    more is tried after a while, longer each time it is refused; once one is accepted, the window grows as before.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.limit = 1
        self.is_growing = True
        self.found: int | None = None
        """The limit that the last refusal at the edge showed."""
        self.latency_s = 0.0
        """Of answers, smoothed."""
        self._is_open = False
        self._grown_at = -math.inf
        self._patience = 1
        self._spacing: Spacing | None = None
        self._probe_at = math.inf
        self._probe: tuple[int, float] | None = None
        """Order of the call that tries a wider window, and when it was sent."""

    def room(self, now: float, in_flight: int, last_sent: float, grace_s: float) -> int:
        if in_flight < self.limit:
            free = self.limit - in_flight
            return free if self._spacing is None else min(free, self._spacing.room(now, self._interval_s))
        opens_at = self.opens_at(in_flight, last_sent, grace_s)
        if opens_at is None or now < opens_at:
            return 0
        if self._probe is not None:
            self._widen(now)
        elif self.is_growing:
            self.limit = min(self.cap, 2 * self.limit)
            self._grown_at = now
        else:
            return 1
        return max(0, self.limit - in_flight)

    @property
    def _interval_s(self) -> float:
        """Twice as many calls as the window carries, spread evenly: a burst may be refused where its calls would not."""
        return max(1e-6, min(self.latency_s, LONG_REPLY_S) / (2 * self.limit))

    def opens_at(self, in_flight: int, last_sent: float, grace_s: float) -> float | None:
        """When time alone makes room; None: never."""
        if in_flight < self.limit:
            return -math.inf if self._spacing is None else self._spacing.opens_at()
        if not self._is_open or self.limit >= self.cap or in_flight > self.limit + (self._probe is not None):
            return None
        if self._probe is not None:
            return self._probe[1] + grace_s
        if in_flight > self.limit:
            return None
        if self.is_growing:
            return self._grown_at + LONG_REPLY_S
        # Not on the heels of other calls: a rate limit that a burst has used up would look like a limit of concurrency.
        return max(self._probe_at, last_sent + min(1.0, self.latency_s / self.limit))

    def sent(self, now: float, order: int, level: int) -> None:
        """`level`: calls in flight before this one."""
        if self._spacing is not None:
            self._spacing.sent(now, self._interval_s)
        if level >= self.limit:
            self._probe = (order, now)
            self._probe_at = math.inf

    def answered(self, now: float, order: int, latency_s: float, *, was_full: bool) -> None:
        self.latency_s += (latency_s - self.latency_s) * (0.1 if self._is_open else 1.0)
        if not self._is_open:
            self._is_open = True
            self._grown_at = now
        if self._probe is not None and self._probe[0] == order:
            self._widen(now)
        elif self.is_growing and was_full and self.limit < self.cap:
            self.limit += 1
            self._grown_at = now

    def refused_at_edge(self, now: float, order: int, level: int, pause_s: float) -> None:
        """A call was refused with `level` others in flight, all of them accepted; the server asks for a pause so long."""
        found = max(1, level)
        is_same = self.found is not None and self.found / _SAME <= found <= self.found * _SAME
        self._patience = min(2 * self._patience, _MOST_PATIENCE) if is_same else 1
        self.found = found
        self._hold(now, min(found, self.limit), pause_s)

    def refused_inside(self, now: float, level: int, *, too_many: bool, in_a_row: bool) -> None:
        """A call was refused although others were accepted with as many in flight."""
        if too_many:
            self._hold(now, max(1, min(self.limit - 1, int(self.limit * 0.95))), 0.0)
        elif in_a_row:
            self._hold(now, max(1, min(self.limit - 1, level)), 0.0)
        elif self.is_growing:
            self._hold(now, max(1, min(self.limit, level)), 0.0)

    def probe_failed(self, now: float, order: int, pause_s: float) -> None:
        """A call ended badly; where it was the one that tried a wider window, the next try is put off."""
        if self._probe is not None and self._probe[0] == order:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._hold(now, self.limit, pause_s)

    def silent(self, now: float) -> None:
        """Calls are not answered in time: there may be too many."""
        self._hold(now, max(1, int(self.limit * _FEWER_AFTER_SILENCE)), 0.0)

    def restart(self, now: float, in_flight: int) -> None:
        """Grow again from what is in flight."""
        self.limit = min(self.limit, in_flight + 1)
        self.is_growing = True
        self._grown_at = now
        self._probe = None

    def _widen(self, now: float) -> None:
        self._probe = None
        self.is_growing = True
        self._grown_at = now
        self.limit = min(self.cap, self.limit + 1)

    def _hold(self, now: float, limit: int, pause_s: float) -> None:
        self.limit = limit
        self.is_growing = False
        self._probe = None
        self._spacing = self._spacing or Spacing()
        wait_s = min(self._patience * max(1.0, self.latency_s), max(MINUTE_S, self.latency_s))
        # A refused try costs a pause, where the server asks for one: not more than 2 % of the time.
        self._probe_at = now + max(wait_s, 50 * pause_s)
