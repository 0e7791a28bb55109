"""Whether refusals come by chance, whatever the pace: a server in trouble, not a limit. To go slower would not help."""

from __future__ import annotations

import math

_FEWEST_CALLS = 60
_MANY = 0.2
"""A limit that is passed by far refuses more than this; one that is passed by less is kept to at once."""
_TIMES = 2
"""So often in a row, a rate was measured and lowered in vain."""
_NARROWER, _WIDER = 0.85, 1.1
_BELIEVED_S = 300.0


class Chance:
    """Compares the share of calls refused before and after the pace was lowered. `sent`, `refused`: calls, ever."""

    def __init__(self) -> None:
        self._rate, self._window = _Before(), _Before()
        self._width = 0
        self._in_vain = 0
        self._expected = 0.0
        self._expected_until = -math.inf

    def expected_share(self, now: float) -> float:
        """Of calls that are refused whatever the pace; 0: not known to be any."""
        return self._expected if now < self._expected_until else 0.0

    def measured(self, now: float, sent: int, refused: int, *, has_grown: bool) -> bool:
        """A rate was measured and lowered. Returns whether that is in vain.

        `has_grown`: it was raised since the last time, which then tells nothing.
        """
        is_in_vain = self._rate.is_in_vain(sent, refused) and not has_grown
        self._in_vain = self._in_vain + 1 if is_in_vain else 0
        return self._in_vain >= _TIMES and self._believe(now, self._rate.share)

    def narrowed(self, now: float, sent: int, refused: int, width: int) -> bool:
        """The window was narrowed to `width`. Returns whether that is in vain."""
        if width > _WIDER * self._width:
            self._window.begin(sent, refused)
            self._width = width
        if width > _NARROWER * self._width:
            return False
        self._width = width
        return self._window.is_in_vain(sent, refused) and self._believe(now, self._window.share)

    def _believe(self, now: float, share: float) -> bool:
        self._expected, self._expected_until = share, now + _BELIEVED_S
        self._in_vain = 0
        return True


class _Before:
    def __init__(self) -> None:
        self.share = math.inf
        self._sent = self._refused = 0

    def begin(self, sent: int, refused: int) -> None:
        self.share, self._sent, self._refused = math.inf, sent, refused

    def is_in_vain(self, sent: int, refused: int) -> bool:
        """Whether as many are refused as before the last time."""
        before, calls = self.share, sent - self._sent
        self.share = (refused - self._refused) / max(1, calls)
        self._sent, self._refused = sent, refused
        return calls >= _FEWEST_CALLS and before / 2 <= self.share <= _MANY
