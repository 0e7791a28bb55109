"""One worker's share of the counters, in memory: what it may pass without asking the database.

For each counter a worker holds a lease. Calls take from what is free in it and give back what they did not use;
`free + reserved + used` changes by neither, and is what the database has down as held by this worker. A call that used
more than was reserved makes `free` negative until the database has been told.

No input or output here, and no time but what is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stillroom.serve.limits.bound import FOREVER, Bound, Counter, LimitName, Window, window_of

IDLE_US = 1_000_000
"""What nobody used for this long is given back."""
_FIRST_LEASE, _GROWTH = 8, 4
"""Calls that a first lease holds, and how many times as much the next one holds, if that was used up within IDLE_US."""
_FORGOTTEN_US = 60_000_000
_UNSURE = (-1, -1)
"""Whatever the database has down, it is to be told again."""


@dataclass(slots=True, eq=False)
class Lease:
    """This worker's part of one counter, in one window of it."""

    subject: str
    name: LimitName
    most: int
    starts_at: int
    ends_at: int
    free: int = 0
    """Below zero: calls used more than was reserved, and the database does not know yet."""
    reserved: int = 0
    used: int = 0
    size: int = 0
    """How much to hold beyond what calls need; the database may give less."""
    low: int = 0
    """With less than this free, more is asked for before it is needed."""
    enlarged_at: int = 0
    used_at: int = 0
    wanted_until: int = 0
    """Until then nothing is held that is free: another worker lacks it."""
    told: tuple[int, int] | None = None
    """What the database has down as held and used; None: nothing in this window."""
    calls: int = 0
    """Reservations of any window that are not settled yet."""

    @property
    def held(self) -> int:
        return self.free + self.reserved + self.used

    def is_forgotten(self, now_us: int) -> bool:
        """Nobody has called for long, nothing is free or reserved: there is only what was used."""
        return not self.calls and not self.free and now_us - self.used_at > _FORGOTTEN_US

    def move_to(self, window: Window) -> None:
        """Begin a new window with nothing. What was used beyond the reserved, and is not told yet, is carried over."""
        self.starts_at, self.ends_at = window
        self.free = min(self.free, 0)
        self.used = -self.free
        self.reserved = self.low = 0
        self.told = None


class Part(NamedTuple):
    """Of one lease, what one call holds."""

    lease: Lease
    amount: int
    starts_at: int
    """Of the window that it was taken from."""


class Reservation:
    """What one call may use. To be settled exactly once; further times change nothing."""

    __slots__ = ("is_settled", "parts")

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.is_settled = False


@dataclass(slots=True, eq=False)
class Ask:
    """A call that found too little in memory. What it found stays reserved for it until the database has answered."""

    parts: list[Part]
    found: list[int]
    """For each part, how much of it was there."""

    def lacking(self) -> Iterator[tuple[Counter, int, int]]:
        """Counter, the whole amount, and how much of it was not there."""
        for part, found in zip(self.parts, self.found, strict=True):
            if found < part.amount:
                yield (part.lease.subject, part.lease.name), part.amount, part.amount - found


class Statement(NamedTuple):
    """What a worker has to say of one lease. Absolute: said twice, or lost on the way, it does no harm."""

    counter: Counter
    window: Window
    most: int
    held: int
    used: int
    enlarge_by: int = 0
    """What it would like to hold beyond that."""
    is_last: bool = False
    """What was used stays counted, and the lease ends."""


class Given(NamedTuple):
    """What the database gave to one lease beyond what the asks took."""

    starts_at: int
    """The database's window: a worker whose clock is behind takes it over."""
    extra: int
    wanted_until: int
    held: int
    """All that it has down as held by this worker now."""


@dataclass(slots=True)
class Leases:
    """Of one worker. For one thread."""

    by_counter: dict[Counter, Lease] = field(default_factory=dict)
    low: dict[Lease, None] = field(default_factory=dict)
    """Those that are running low since they were last enlarged."""
    watched: dict[Lease, None] = field(default_factory=dict)
    """Those that another worker lacks something of, or that used more than they held: others are to know soon."""

    def try_reserve(self, bounds: Sequence[Bound], amounts: Mapping[LimitName, int], now_us: int) -> Reservation | None:
        """All or nothing, of what is here; None where some of it is not."""
        parts = []
        by_counter = self.by_counter
        for bound in bounds:
            lease = by_counter.get((bound.subject, bound.name))
            if lease is None or lease.most != bound.most or now_us >= lease.ends_at:
                return None
            amount = amounts[bound.name]
            if lease.free < amount and amount:
                return None
            parts.append(Part(lease, amount, lease.starts_at))
        for lease, amount, _ in parts:
            lease.free -= amount
            lease.reserved += amount
            lease.calls += 1
            lease.used_at = now_us
            if lease.free < lease.low:
                self.low[lease] = None
        return Reservation(parts)

    def settle(self, reservation: Reservation, actual: Mapping[LimitName, int], now_us: int) -> None:
        """Count what was really used; for a limit that `actual` does not name, all that was reserved.

        What was used beyond that is counted in full, in the window that has begun meanwhile if the reserved one is
        over.
        """
        if reservation.is_settled:
            return
        reservation.is_settled = True
        for lease, amount, starts_at in reservation.parts:
            name = lease.name
            used = 0 if name == "concurrent" else min(max(actual.get(name, amount), 0), FOREVER)
            lease.calls -= 1
            if now_us >= lease.ends_at:
                lease.move_to(window_of(name, now_us))
            if lease.starts_at == starts_at:
                lease.reserved -= amount
                lease.used += used
                lease.free += amount - used
            elif used > amount:
                lease.used += used - amount
                lease.free -= used - amount
            if lease.free < 0:
                self.watched[lease] = None

    def ask(self, bounds: Sequence[Bound], amounts: Mapping[LimitName, int], now_us: int) -> Ask:
        """Set aside what is here of what a call needs."""
        parts, found = [], []
        for bound in bounds:
            lease = self._lease(bound, now_us)
            amount = amounts[bound.name]
            here = 0 if lease.wanted_until > now_us else max(0, min(lease.free, amount))
            lease.free -= here
            lease.reserved += here
            lease.calls += 1
            lease.used_at = now_us
            parts.append(Part(lease, amount, lease.starts_at))
            found.append(here)
        return Ask(parts, found)

    def statements(self, asks: Sequence[Ask], now_us: int) -> list[Statement]:
        """Of every lease that the asks lack something of, or that is running low."""
        needs = dict.fromkeys((lease for lease in self.low if now_us < lease.ends_at and self._has(lease)), 0)
        self.low.clear()
        for ask in asks:
            for part, found in zip(ask.parts, ask.found, strict=True):
                if found < part.amount:
                    needs[part.lease] = needs.get(part.lease, 0) + part.amount - found
        return [self._statement(lease, now_us, _enlarged(lease, need, now_us)) for lease, need in needs.items()]

    def changed(self, counters: Iterable[Counter], now_us: int, *, everything: bool) -> list[Lease]:
        """Those of these that have something new to say. What is idle is given up for it; or all that is free, where
        the worker ends (`everything`).
        """
        changed = []
        for counter in counters:
            lease = self.by_counter[counter]
            if now_us >= lease.ends_at:
                lease.move_to(window_of(lease.name, now_us))
            if lease.free > 0 and (everything or now_us - lease.used_at > IDLE_US):
                lease.free = lease.size = lease.low = 0
            if not lease.calls and lease.told is None and not lease.used:
                del self.by_counter[counter]
            elif lease.told != (lease.held, lease.used) or lease.free < 0 or lease.is_forgotten(now_us):
                changed.append(lease)
        return changed

    def report(self, leases: Iterable[Lease], now_us: int) -> list[Statement]:
        return [self._statement(lease, now_us)._replace(is_last=lease.is_forgotten(now_us)) for lease in leases]

    def urgent(self, now_us: int) -> list[Lease]:
        """Those that another worker lacks something of and has not heard from, or that used more than they held."""
        self.watched = {
            lease: None
            for lease in self.watched
            if self._has(lease) and (lease.free < 0 or lease.wanted_until > now_us) and now_us < lease.ends_at
        }
        return [lease for lease in self.watched if lease.free or lease.told == _UNSURE]

    def wanted(self, counters: Iterable[tuple[Counter, int]]) -> None:
        """Which counters some worker lacks something of, and until when to hold nothing free of them."""
        for counter, until in counters:
            lease = self.by_counter.get(counter)
            if lease is not None and lease.wanted_until < until:
                lease.wanted_until = until
                lease.told = _UNSURE
                self.watched[lease] = None

    def take_in(self, statements: Sequence[Statement], given: Mapping[Counter, Given]) -> None:
        """The database's answer: what it gave beyond the asks, and in which window."""
        self.wanted((counter, answer.wanted_until) for counter, answer in given.items())
        for statement in statements:
            lease, answer = self.by_counter[statement.counter], given[statement.counter]
            if answer.starts_at > lease.starts_at:
                lease.move_to(window_of(lease.name, answer.starts_at))
            if answer.starts_at == lease.starts_at:
                lease.free += answer.extra
                lease.low = min(lease.size, answer.extra) // 4
                is_same = answer.starts_at == statement.window.starts_at
                lease.told = (answer.held, statement.used if is_same else 0)
                if statement.is_last and is_same:
                    lease.used -= statement.used
                    lease.told = None

    def not_told(self, statements: Sequence[Statement]) -> None:
        """Whether the database has taken these down is not known."""
        for statement in statements:
            self.by_counter[statement.counter].told = _UNSURE

    def nothing_told(self) -> None:
        """The database may have given up this worker: all is said again."""
        for lease in self.by_counter.values():
            lease.told = _UNSURE

    def granted(self, ask: Ask, given: Mapping[Counter, Given]) -> Reservation:
        """The database gave what the ask lacked."""
        parts = []
        for (lease, amount, starts_at), found in zip(ask.parts, ask.found, strict=True):
            answer = given.get((lease.subject, lease.name)) if found < amount else None
            window_starts_at = answer.starts_at if answer else starts_at
            if lease.starts_at == window_starts_at:
                # In a window that was taken over from the database nothing had been found.
                lease.reserved += amount - (found if window_starts_at == starts_at else 0)
            parts.append(Part(lease, amount, window_starts_at))
        return Reservation(parts)

    def refused(self, ask: Ask) -> None:
        """Put back what was set aside."""
        for (lease, _, starts_at), found in zip(ask.parts, ask.found, strict=True):
            lease.calls -= 1
            if lease.starts_at == starts_at:
                lease.free += found
                lease.reserved -= found

    def _has(self, lease: Lease) -> bool:
        return self.by_counter.get((lease.subject, lease.name)) is lease

    def _lease(self, bound: Bound, now_us: int) -> Lease:
        counter = (bound.subject, bound.name)
        lease = self.by_counter.get(counter)
        if lease is None:
            lease = self.by_counter[counter] = Lease(*bound, *window_of(bound.name, now_us))
        elif now_us >= lease.ends_at:
            lease.move_to(window_of(bound.name, now_us))
        if lease.most != bound.most:
            # What was given under the old limit may be more than the new one allows.
            lease.most, lease.free, lease.size, lease.low = bound.most, min(lease.free, 0), 0, 0
        return lease

    def _statement(self, lease: Lease, now_us: int, enlarge_by: int = 0) -> Statement:
        if lease.wanted_until > now_us or lease.free < 0:
            lease.free = lease.low = 0
        window = Window(lease.starts_at, lease.ends_at)
        return Statement((lease.subject, lease.name), window, lease.most, lease.held, lease.used, enlarge_by)


def _enlarged(lease: Lease, need: int, now_us: int) -> int:
    """The lease grows while it is used up quickly, and begins anew otherwise."""
    if lease.wanted_until > now_us:
        lease.size = 0
        return 0
    quick = now_us - lease.enlarged_at < IDLE_US
    lease.size = min(max(_GROWTH * lease.size if quick else lease.size, _FIRST_LEASE * need), FOREVER)
    lease.enlarged_at = now_us
    return lease.size
