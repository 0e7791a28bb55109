"""Servers that limit their clients, and one client that always has a next call, on a clock that is only a number.

For tests and benchmarks of the pace: an hour takes a second or so.
"""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple, Protocol

from stillroom.client.pacing import PaceController, PaceLimits, Result, Sent
from stillroom.client.rate_headers import NO_RATE_HEADERS, Allowance, RateHeaders

Latency = Callable[[random.Random], float]
"""Seconds from a call's arrival to its answer."""


def lognormal(median_s: float, sigma: float, low_s: float, high_s: float) -> Latency:
    return lambda draw: min(high_s, max(low_s, median_s * math.exp(draw.gauss(0, sigma))))


def pareto(least_s: float, alpha: float, high_s: float) -> Latency:
    return lambda draw: min(high_s, least_s * draw.paretovariate(alpha))


def always(seconds: float) -> Latency:
    return lambda _: seconds


def around(seconds: float) -> Latency:
    """Within a quarter of it."""
    return lambda draw: seconds * draw.uniform(0.75, 1.25)


WIDE = lognormal(0.15, 1.0, 0.02, 2.0)
LATENCIES = {"50 ms": always(0.05), "5 s": always(5.0), "about 5 s": around(5.0), "20 to 2,000 ms": WIDE}
"""Those that a pace is judged with, by what a person would call them."""


def mean_s(latency: Latency) -> float:
    draw = random.Random(0)
    return statistics.fmean(latency(draw) for _ in range(50_000))


def uneven_sizes(seed: int) -> Iterator[int]:
    """Tokens of calls: 100 to 8,000, 1,300 in the mean."""
    draw = random.Random(seed)
    while True:
        yield int(min(8000, max(100, 800 * draw.lognormvariate(0, 1))))


class Verdict(NamedTuple):
    result: Result
    headers: RateHeaders = NO_RATE_HEADERS


ANSWERED, REFUSED = Verdict("answered"), Verdict("refused")


class Limit(Protocol):
    """What a server lets through. `in_flight`: calls that it is answering, this one not counted."""

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict: ...


@dataclass
class NoLimit:
    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:  # noqa: ARG002
        return ANSWERED


@dataclass
class InFlightLimit:
    """So many calls at once; `changes`: (time, the limit from then on)."""

    most: int
    changes: tuple[tuple[float, int], ...] = ()
    retry_after_s: float | None = None

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:  # noqa: ARG002
        most = self.most
        for time, changed in self.changes:
            if now >= time:
                most = changed
        return ANSWERED if in_flight < most else Verdict("refused", RateHeaders(self.retry_after_s))


@dataclass
class TokenBucket:
    """`per_minute` flow in evenly, `burst` at most are held. A call takes one, or as many as it has tokens."""

    per_minute: float
    burst: float
    by_tokens: bool = False
    counts_refused: bool = False
    """A refused call takes what it would have taken, down to minus `burst`."""
    says_retry_after: bool = False
    says_headers: bool = False
    says_limit: int | None = None
    """What the headers call the limit; None: what the bucket holds."""
    held: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self.held = self.burst

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:  # noqa: ARG002
        per_s, cost = self.per_minute / 60, tokens if self.by_tokens else 1
        self.held = min(self.burst, self.held + (now - self._at) * per_s)
        self._at = now
        accepted = self.held >= cost
        retry_after_s = (cost - self.held) / per_s if self.says_retry_after and not accepted else None
        if accepted or self.counts_refused:
            self.held = max(-self.burst, self.held - cost)
        left = Allowance(self.says_limit or int(self.burst), max(0, int(self.held)), (self.burst - self.held) / per_s)
        told = (
            RateHeaders(retry_after_s, *((None, left) if self.by_tokens else (left, None)))
            if self.says_headers
            else None
        )
        return Verdict("answered" if accepted else "refused", told or RateHeaders(retry_after_s))


@dataclass
class FixedMinute:
    """So many calls until the minute turns, `turns_at` seconds past each minute."""

    per_minute: int
    turns_at: float = 0.0
    counts_refused: bool = False
    says_retry_after: bool = False
    says_headers: bool = False
    _minute: int = -1
    _taken: int = 0

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:  # noqa: ARG002
        minute = math.floor((now - self.turns_at) / 60)
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        accepted = self._taken < self.per_minute
        self._taken += accepted or self.counts_refused
        to_turn = (minute + 1) * 60 + self.turns_at - now
        left = Allowance(self.per_minute, max(0, self.per_minute - self._taken), to_turn)
        retry_after_s = to_turn if self.says_retry_after and not accepted else None
        return Verdict(
            "answered" if accepted else "refused", RateHeaders(retry_after_s, left if self.says_headers else None)
        )


@dataclass
class AnyMinute:
    """So many calls in any 60 seconds, looked up in a log of them."""

    per_minute: int
    counts_refused: bool = False
    _log: deque[float] = field(default_factory=deque)

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:  # noqa: ARG002
        while self._log and self._log[0] <= now - 60:
            self._log.popleft()
        accepted = len(self._log) < self.per_minute
        if accepted or self.counts_refused:
            self._log.append(now)
        return ANSWERED if accepted else REFUSED


@dataclass
class Outage:
    """Refuses everything from `begins` on, for `lasts` seconds; otherwise as `limit` says."""

    limit: Limit
    begins: float
    lasts: float
    result: Result = "refused"

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:
        if self.begins <= now < self.begins + self.lasts:
            return Verdict(self.result)
        return self.limit.judge(now, in_flight, tokens)


@dataclass
class SometimesRefuses:
    """Refuses this share of calls for no reason; otherwise as `limit` says."""

    limit: Limit
    share: float
    draw: random.Random

    def judge(self, now: float, in_flight: int, tokens: int) -> Verdict:
        return REFUSED if self.draw.random() < self.share else self.limit.judge(now, in_flight, tokens)


@dataclass
class Books:
    """What came back, by the second in which it was sent."""

    answered: list[int]
    refused: list[int]
    tokens: list[int]
    """Of calls that were answered."""

    def per_s(self, begin_s: int, end_s: int | None = None) -> float:
        taken = self.answered[begin_s:end_s]
        return sum(taken) / len(taken)

    def tokens_per_s(self, begin_s: int, end_s: int | None = None) -> float:
        taken = self.tokens[begin_s:end_s]
        return sum(taken) / len(taken)

    def refused_share(self, begin_s: int = 0, end_s: int | None = None) -> float:
        refused, answered = sum(self.refused[begin_s:end_s]), sum(self.answered[begin_s:end_s])
        return refused / max(1, refused + answered)


class Simulation:
    """One client, with as many calls as it may send, and one server.

    `cap`: the client's own limit of calls in flight. `sizes`: tokens of each call. `way_s`: the network, one way; a
    refusal takes both ways and nothing more. `workers`: calls that the server answers at once, others queue; None:
    all. A refused call is sent again before any other.
    """

    def __init__(
        self,
        limit: Limit,
        latency: Latency,
        *,
        cap: int = 1000,
        sizes: Iterator[int] | None = None,
        seed: int = 1,
        way_s: float = 0.002,
        workers: int | None = None,
    ) -> None:
        self.limit, self.latency, self.way_s = limit, latency, way_s
        self.draw = random.Random(seed)
        self.pace = PaceController(PaceLimits(cap), 0.0)
        self.now = 0.0
        self._sizes = sizes or repeat(0)
        self._again: deque[int] = deque()
        self._serving = 0
        self._workers: list[float] | None = [0.0] * workers if workers else None
        self._events: list[tuple[float, int, str, Sent | None, Verdict | None]] = []
        self._count = 0
        self._woken_at = -1.0

    def run(self, seconds: float, watch: Callable[[Simulation], None] | None = None) -> Books:
        """Until that time. `watch` is called after every event that the client notices."""
        length = math.ceil(seconds)
        books = Books([0] * length, [0] * length, [0] * length)
        self._send_all()
        while self._events and self._events[0][0] < seconds:
            self.now, _, kind, sent, verdict = heapq.heappop(self._events)
            if kind == "arrives" and sent is not None:
                self._arrive(sent)
            elif kind == "served":
                self._serving -= 1
            else:
                if sent is not None and verdict is not None:
                    self._return(sent, verdict, books)
                self._send_all()
                if watch is not None:
                    watch(self)
        return books

    def _add(self, at: float, kind: str, sent: Sent | None = None, verdict: Verdict | None = None) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, kind, sent, verdict))

    def _send_all(self) -> None:
        while True:
            size = self._again[0] if self._again else next(self._sizes)
            if self.pace.room(self.now, size) < 1:
                if not self._again:
                    self._again.append(size)
                break
            if self._again:
                self._again.popleft()
            sent = self.pace.sent(self.now, size)
            self._add(self.now + self.way_s, "arrives", sent)
        opens_at = self.pace.opens_at(self.now, self._again[0])
        if opens_at is not None and opens_at != self._woken_at:
            assert opens_at > self.now
            self._woken_at = opens_at
            self._add(opens_at, "wakes")
        assert opens_at is not None or self.pace.in_flight > 0, "stuck"

    def _arrive(self, sent: Sent) -> None:
        verdict = self.limit.judge(self.now, self._serving, sent.tokens)
        if verdict.result != "answered":
            self._add(self.now + self.way_s, "returns", sent, verdict)
            return
        self._serving += 1
        served_at = self.now + self.latency(self.draw)
        if self._workers is not None:
            begins = max(self.now, self._workers[0])
            served_at = begins + self.latency(self.draw)
            heapq.heapreplace(self._workers, served_at)
        self._add(served_at, "served")
        self._add(served_at + self.way_s, "returns", sent, verdict)

    def _return(self, sent: Sent, verdict: Verdict, books: Books) -> None:
        self.pace.returned(self.now, sent, verdict.result, verdict.headers)
        second = int(sent.at)
        if verdict.result == "answered":
            books.answered[second] += 1
            books.tokens[second] += sent.tokens
        else:
            books.refused[second] += 1
            self._again.append(sent.tokens)
