"""Whether refusals come by chance, whatever the pace: a server in trouble, not a limit. To go slower would not help."""

from __future__ import annotations

import math

_FEWEST_CALLS, _FEWEST_REFUSED = 30, 2
_MANY = 0.15
"""A limit that is passed by far refuses more than this; one that is passed by less is kept to at once."""
_TIMES = 2
"""So often in a row, it was in vain to lower the pace."""
_NARROWER, _WIDER = 0.85, 1.1
_BELIEVED_S = 300.0


class Chance:
    """Compares the share of calls refused before and after the pace was lowered.

    `sent`: calls, ever; what is counted for a rate are the calls since it was lowered and before it was raised again.
    """

    def __init__(self) -> None:
        self._rate, self._window = _Before(), _Before()
        self._width = 0
        self._expected = 0.0
        self._expected_until = -math.inf

    def expected_share(self, now: float) -> float:
        """Of calls that are refused whatever the pace; 0: not known to be any."""
        return self._expected if now < self._expected_until else 0.0

    def refused(self, sent: int, *, is_rate_raised: bool) -> None:
        """A call was refused, the last of so many."""
        self._window.refused(sent)
        if not is_rate_raised:
            self._rate.refused(sent)

    def lowered(self, now: float, sent: int) -> bool:
        """The rate is lowered. Returns whether it was in vain that it was lowered before."""
        self._rate.lower(sent)
        return self._rate.times_in_vain >= _TIMES and self._believe(now, self._rate)

    def narrowed(self, now: float, sent: int, width: int) -> bool:
        """The window was narrowed to `width`. Returns whether it was in vain that it was narrowed before."""
        if width > _WIDER * self._width:
            self._window = _Before(sent)
            self._width = width
        if width > _NARROWER * self._width:
            return False
        self._width = width
        self._window.lower(sent)
        return self._window.times_in_vain >= _TIMES and self._believe(now, self._window)

    def _believe(self, now: float, before: _Before) -> bool:
        self._expected, self._expected_until = before.share, now + _BELIEVED_S
        before.times_in_vain = 0
        return True


class _Before:
    """The share of calls refused since the pace was lowered last."""

    def __init__(self, sent: int = 0) -> None:
        self.share = math.inf
        self.times_in_vain = 0
        """In a row, as many were refused as before."""
        self._since = self._until = sent
        self._refused = 0

    def refused(self, sent: int) -> None:
        if sent > self._since:
            self._until = sent
            self._refused += 1

    def lower(self, sent: int) -> None:
        """It is lowered again: compare, and begin anew."""
        before, calls, refused = self.share, self._until - self._since, self._refused
        self.share = refused / max(1, calls)
        self._since = self._until = sent
        self._refused = 0
        enough = calls >= _FEWEST_CALLS and refused >= _FEWEST_REFUSED
        is_in_vain = enough and before / 2 <= self.share <= _MANY
        self.times_in_vain = self.times_in_vain + 1 if is_in_vain else 0
