"""Who passes: calls in their order against what is left, each all or nothing. No input or output here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stillroom.serve.limits.bound import FOREVER, Counter, window_of
from stillroom.serve.limits.leases import Statement

_SHARE = 8
"""No lease is enlarged by more than this part of what is left for everybody."""
_WORTH_HOLDING = 3
"""Calls. Where that part would not be enough for so many, nobody holds more than calls need."""
_SOON_S = 1


class Need(NamedTuple):
    """Of one call, what its worker lacks of one counter."""

    counter: Counter
    amount: int
    """The call's whole amount."""
    lacking: int


@dataclass(slots=True)
class Standing:
    """A counter while it is locked, and this worker's part of it, in the window that begins at `starts_at`."""

    statement: Statement
    starts_at: int
    counted: int
    wanted_until: int
    held: int
    taken: int = 0
    """By the calls of this exchange."""
    extra: int = 0

    @property
    def left(self) -> int:
        return self.statement.most - self.counted

    @property
    def open(self) -> int:
        """What this worker holds and has not used."""
        is_same = self.starts_at == self.statement.window.starts_at
        return self.held - (self.statement.used if is_same else 0)

    def need(self, need: Need) -> int:
        """In a window that has begun without the worker's notice it holds nothing."""
        return need.lacking if self.starts_at == self.statement.window.starts_at else need.amount

    def lacks(self, need: Need) -> bool:
        return self.need(need) > self.left

    def add(self, amount: int) -> None:
        self.counted = min(max(self.counted + amount, 0), FOREVER)
        self.held += amount


def decide(asks: Sequence[Sequence[Need]], standings: Mapping[Counter, Standing]) -> list[Need | None]:
    """For each call None if it passes, or what it lacks. What passes is taken."""
    refused: list[Need | None] = []
    for needs in asks:
        short = next(
            (need for need in needs if standings[need.counter].need(need) > standings[need.counter].left), None
        )
        if short is None:
            for need in needs:
                standing = standings[need.counter]
                amount = standing.need(need)
                standing.add(amount)
                standing.taken += amount
        refused.append(short)
    return refused


def enlarge(standing: Standing, now_us: int) -> None:
    """Give the worker more than its calls need now, so that the next ones need not ask; nothing where it is scarce."""
    extra = min(standing.statement.enlarge_by, standing.left // _SHARE)
    if extra > 0 and extra >= _WORTH_HOLDING * standing.taken and standing.wanted_until <= now_us:
        standing.extra = extra
        standing.add(extra)


def retry_after_s(standing: Standing, need: Need, open_elsewhere: int, now_us: int) -> int | None:
    """Whole seconds until the call may fit: soon where calls are open that may use less than they hold, otherwise at
    the end of the window; None where there is no other window.
    """
    certainly_used = standing.counted - standing.open - open_elsewhere
    if certainly_used + need.amount <= standing.statement.most:
        return _SOON_S
    ends_at = window_of(need.counter[1], standing.starts_at).ends_at
    return None if ends_at == FOREVER else max(math.ceil((ends_at - now_us) / 1_000_000), 1)
