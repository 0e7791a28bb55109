"""Counts over the last minute, and even spacing: what limits per minute are kept with."""

from __future__ import annotations

import math

MINUTE_S = 60.0
SLACK_S = 0.05
"""How far calls may run ahead of even spacing, so that a timer that fires late loses nothing."""
_SLOTS_PER_S = 10
_SLOTS = round(MINUTE_S * _SLOTS_PER_S) + 1


class SlidingMinute:
    """The sum of what was added in the last 60 seconds, in slots of 100 ms.

    A slot counts until its youngest moment is 60 seconds old: the sum is never below the exact one.
    """

    def __init__(self, now: float) -> None:
        self._amounts = [0] * _SLOTS
        self._slot = math.floor(now * _SLOTS_PER_S)
        self._total = 0

    def total(self, now: float) -> int:
        self._turn_to(now)
        return self._total

    def add(self, now: float, amount: int) -> None:
        self._turn_to(now)
        self._amounts[self._slot % _SLOTS] += amount
        self._total += amount

    def correct(self, added_at: float, amount: int) -> None:
        """Add `amount` (below 0: take away) to what was added at `added_at`, unless that has left the minute."""
        slot = math.floor(added_at * _SLOTS_PER_S)
        if self._slot - _SLOTS < slot <= self._slot:
            self._amounts[slot % _SLOTS] += amount
            self._total += amount

    def falls_to(self, now: float, most: int) -> float:
        """When the sum will be `most` (0 or above) or less, if nothing is added: now, or the moment a slot leaves."""
        self._turn_to(now)
        left = self._total
        slot = self._slot - _SLOTS
        while left > most:
            slot += 1
            left -= self._amounts[slot % _SLOTS]
        return max(now, (slot + _SLOTS) / _SLOTS_PER_S)

    def _turn_to(self, now: float) -> None:
        slot = math.floor(now * _SLOTS_PER_S)
        if slot <= self._slot:
            return
        for passed in range(self._slot + 1, min(slot, self._slot + _SLOTS) + 1):
            self._total -= self._amounts[passed % _SLOTS]
            self._amounts[passed % _SLOTS] = 0
        self._slot = slot


class Spacing:
    """Calls at even intervals, at most `SLACK_S` ahead of their times (GCRA, ITU-T I.371, with that tolerance)."""

    def __init__(self) -> None:
        self._next = -math.inf

    def room(self, now: float, interval_s: float) -> int:
        if now < self._next - SLACK_S:
            return 0
        return 1 + int(min(SLACK_S, now - self._next + SLACK_S) / interval_s)

    def opens_at(self) -> float:
        return self._next - SLACK_S

    def sent(self, now: float, interval_s: float) -> None:
        self._next = max(self._next, now) + interval_s

    def bring_forward(self, latest: float) -> None:
        """The next call's time is `latest` at the latest."""
        self._next = min(self._next, latest)
