"""How many calls may be in flight: found by growing until the server refuses, kept, and tried again now and then."""

from __future__ import annotations

import math
from typing import Literal

from stillroom.client.saturation import Saturation
from stillroom.client.spacing import MINUTE_S, Spacing

LONG_REPLY_S = 10.0
"""Where replies take longer than this, the window doubles this often without waiting for them."""
FIRST_PATIENCE, MOST_PATIENCE = 0.125, 16.0
"""Round trips (or seconds, where those are longer) from a refusal to the next try of one call more."""
_CALLS_BETWEEN_TRIES = 50
"""At the most patience: a try that is refused costs 2 % of calls at most."""
_NEAR, _GENTLE = 1.1, 0.05
"""Up to so many times the number that was found last, the window grows by this part in a round trip."""
_SAME = 1.05
"""Within this factor, a number that is found is the same again."""
_FEWER_IF_OFTEN_REFUSED, _FEWER_AFTER_SILENCE = 0.95, 0.7
_FEWER_IF_PAUSED = 0.97
"""Where a refusal costs a pause, the window stays a little below what was accepted."""
_CATCH_UP, _FEWEST_SPACED = 1.5, 8
"""Once refused, calls are spaced to fill a window of at least so many so much faster than it empties."""

WindowState = Literal["first", "growing", "found", "saturated", "silent"]
_WORDS: dict[WindowState, str] = {
    "first": "waits for a first answer",
    "growing": "growing",
    "found": "learned from refusals",
    "saturated": "more were no faster",
    "silent": "fewer, since calls were not answered",
}


class ConcurrencyWindow:
    """The window of calls in flight, never above `cap`.

    One call until the first answer, or the beginning of one that is streamed. Then the window grows by one with every
    answer that came while it was full, so that it doubles in a round trip, until a call is refused at its edge: then it
    stays at the number that was accepted. From there one call more is tried after a while, a longer one each time it is
    refused. Once it is accepted, the window grows again.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.state: WindowState = "first"
        self._has_answered = False
        self.latency_s = 0.0
        """Of answers, smoothed."""
        self.limit = 1
        self._width = 1.0
        """`limit`, with the part of a call that it has grown by."""
        self._found: float | None = None
        self._ceiling = float(cap)
        self._grown_at = -math.inf
        self._patience = FIRST_PATIENCE
        self._probe_at = math.inf
        self._probe: tuple[int, float] | None = None
        """The call that tries a wider window: its order, and when it was sent."""
        self._filled_by = -1
        """The order of the last call that filled the window: without such a one, it need not be wider."""
        self._spacing = Spacing()
        self._pause_s = 0.0
        """What the server asks for after a refusal."""
        self._saturation = Saturation()

    def room(self, now: float, in_flight: int, last_sent: float, grace_s: float) -> int:
        """`last_sent`: when any call was sent last. A call that is not refused within `grace_s` was accepted."""
        if in_flight < self.limit:
            free = self.limit - in_flight
            return min(free, self._spacing.room(now, self._interval_s)) if self._is_spaced else free
        opens_at = self.opens_at(in_flight, last_sent, grace_s)
        if opens_at is None or now < opens_at:
            return 0
        if self._probe is not None:
            self._widen(now)
        elif self.state == "growing":
            self._grow(now, self._width)
        else:
            return 1
        return max(0, self.limit - in_flight)

    def opens_at(self, in_flight: int, last_sent: float, grace_s: float) -> float | None:
        """When time alone makes room; None: never."""
        if in_flight < self.limit:
            return self._spacing.opens_at() if self._is_spaced else -math.inf
        if self.state == "first" or self.limit >= self.cap:
            return None
        if self._probe is not None:
            return self._probe[1] + grace_s if in_flight <= self.limit + 1 else None
        if in_flight > self.limit:
            return None
        if self.state == "growing":
            return self._grown_at + LONG_REPLY_S if self.latency_s >= LONG_REPLY_S else None
        # Not on the heels of another call: a rate limit that a burst has used up would pass for one of concurrency.
        return max(self._probe_at, last_sent + min(1.0, self.latency_s / self.limit))

    def sent(self, now: float, order: int, level: int) -> None:
        """`order`: calls sent before this one; `level`: those of them that are in flight."""
        if self._is_spaced:
            self._spacing.sent(now, self._interval_s)
        if level + 1 >= self.limit:
            self._filled_by = order
        if level >= self.limit:
            self._probe = (order, now)

    def begun(self, now: float, order: int) -> None:
        """A reply has begun to come. Until a first one has ended, which may take minutes, that is as good as an end."""
        if not self._has_answered:
            self._accepted(now, order, 2.0)  # an answer makes room for one more, and leaves its own place

    def answered(self, now: float, order: int, latency_s: float) -> None:
        self._saturation.answered()
        if not self._has_answered:
            self._has_answered = True
            self.latency_s = latency_s
        self.latency_s += 0.1 * (latency_s - self.latency_s)
        self._accepted(now, order, 1.0)

    def _accepted(self, now: float, order: int, more: float) -> None:
        if self.state == "first":
            self._enter("growing", now, self._width)
        if self._probe is not None and self._probe[0] == order:
            self._widen(now)
        elif self.state == "growing" and order <= self._filled_by:
            is_near = self._found is not None and self._found / _NEAR < self._width < self._found * _NEAR
            self._grow(now, max(_GENTLE, 1 / self._width) if is_near else more)

    def refused_at_edge(self, now: float, level: int, pause_s: float = 0.0) -> None:
        """Refused with more calls in flight than any that was accepted. `pause_s`: Retry-After."""
        if self._found is None or not self._found / _SAME <= max(1, level) < self._found * _SAME + 1:
            self._patience = FIRST_PATIENCE
        elif self._probe is None and abs(level - self._found) < 2:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._pause_s = pause_s
        self._hold("found", now, min(level * (_FEWER_IF_PAUSED if pause_s else 1.0), self._width))

    def refused_in_a_row(self, now: float, level: int) -> None:
        """Refused again at once, with no more in flight than calls that were accepted."""
        self._hold("found", now, min(level, self._width - 1))

    def refused_often(self, now: float) -> None:
        self._hold("found", now, min(self._width - 1, self._width * _FEWER_IF_OFTEN_REFUSED))

    def failed(self, now: float, order: int) -> None:
        """A call ended without an answer. Where it tried a wider window, that was not accepted."""
        if self._probe is not None and self._probe[0] == order:
            self._hold("found", now, self._width)

    def silent(self, now: float) -> None:
        """Calls are not answered in time: there may be too many."""
        self._hold("silent", now, self._width * _FEWER_AFTER_SILENCE)

    def restart(self, now: float, in_flight: int, ceiling: int | None = None) -> None:
        """Grow again, from what is in flight up to `ceiling` (None: to where the window was)."""
        if self.state == "first":
            return
        self._ceiling = max(1.0, min(self._width, self._width if ceiling is None else ceiling))
        self._found = self._ceiling
        self._enter("growing", now, min(self._ceiling, in_flight + 1.0))

    def release(self, now: float) -> None:
        """What held the window was no limit of concurrency."""
        self._found = None
        self._ceiling = float(self.cap)
        self._enter("growing", now, min(self._ceiling, _CATCH_UP * self._width + 1))

    @property
    def calls_per_s(self) -> float:
        """What a full window carries."""
        return self._width / max(1e-3, self.latency_s)

    def why(self) -> str:
        if self.state != "first" and self.limit >= self.cap:
            return f"{self.limit:,} in flight: your limit"
        return f"{self.limit:,} in flight: {_WORDS[self.state]}"

    @property
    def _is_spaced(self) -> bool:
        return self._found is not None and self._width >= _FEWEST_SPACED

    @property
    def _interval_s(self) -> float:
        """A burst may be refused where the same calls, sent evenly, are not; with some haste, or places stay empty."""
        return max(1e-6, min(self.latency_s, LONG_REPLY_S) / (_CATCH_UP * self._width))

    def _widen(self, now: float) -> None:
        """One call more than the window was accepted."""
        self._ceiling = float(self.cap)
        self._enter("growing", now, min(self._ceiling, self._width + 1))

    def _grow(self, now: float, by: float) -> None:
        self._width = min(self._ceiling, self._width + by)
        self.limit = int(self._width)
        self._grown_at = now
        if self._width == self._ceiling < self.cap:
            self._hold("found", now, self._width)
        elif (fallback := self._saturation.judge(now, self._width)) is not None:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
            self._hold("saturated", now, fallback)

    def _hold(self, state: WindowState, now: float, width: float) -> None:
        if self.state == "first":
            return
        if self._probe is not None:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._enter(state, now, max(1.0, width))
        self._found = self._width
        wait_s = self._patience * max(1.0, self.latency_s)
        most_s = max(MINUTE_S, _CALLS_BETWEEN_TRIES * self.latency_s / self._width)
        # Where the server asks for a pause after each refusal, tries take 2 % of the time at most.
        self._probe_at = now + max(min(wait_s, most_s), _CALLS_BETWEEN_TRIES * self._pause_s)

    def _enter(self, state: WindowState, now: float, width: float) -> None:
        self.state = state
        self._width = width
        self.limit = int(width)
        self._grown_at = now
        self._probe = None
        self._saturation.begin(now, width)
