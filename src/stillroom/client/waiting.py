"""Requests on their way to the teacher: taken as they are needed, told apart from what is settled, put off and back."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count, islice

from stillroom.client.request import ChatRequest
from stillroom.store.journal import Finished, Journal

TAKEN_AT_ONCE = 256
"""Requests looked up in the journal together."""


@dataclass(slots=True)
class Whole:
    """A request as it came, while parts of it are asked."""

    request: ChatRequest
    left: int
    """Samples without a durable reply."""


@dataclass(slots=True)
class Job:
    """Samples of one request that one call will ask for."""

    request: ChatRequest
    whole: Whole
    retry: int = 0
    """Calls before this one that count against it."""


class Waiting:
    """`take` gives the next job: one whose wait is over, else a new one.

    `settles` says whether a journaled reply serves a request. `taken` hears of every request that is taken, and how
    many of its samples are settled, or in flight for another question.
    """

    def __init__(
        self,
        requests: Iterable[ChatRequest],
        journal: Journal,
        settles: Callable[[ChatRequest, Finished], bool],
        taken: Callable[[Whole, int, int], None],
    ) -> None:
        self._requests = iter(requests)
        self._journal = journal
        self._settles = settles
        self._taken = taken
        self._more: deque[ChatRequest] = deque()
        self._fresh: deque[Job] = deque()
        self._put_off: list[tuple[float, int, Job]] = []
        self._order = count()
        self._active: set[str] = set()
        self._exhausted = False

    @property
    def is_exhausted(self) -> bool:
        """Nothing is left to be taken, now or later, but what is added or put off meanwhile."""
        return self._exhausted and not (self._more or self._fresh or self._put_off)

    @property
    def can_fill(self) -> bool:
        return bool(self._more) or not self._exhausted

    @property
    def is_hungry(self) -> bool:
        """Requests were passed over, and there may be one behind them that must be asked."""
        return self.can_fill and not self._fresh

    def are_active(self, keys: Iterable[str]) -> bool:
        """Whether a reply to one of them is on its way."""
        return not self._active.isdisjoint(keys)

    @property
    def next_due(self) -> float | None:
        return self._put_off[0][0] if self._put_off else None

    def add(self, request: ChatRequest) -> None:
        """One more request, before those that have not been taken yet."""
        self._more.append(request)

    def put_off(self, job: Job, due: float) -> None:
        heapq.heappush(self._put_off, (due, next(self._order), job))

    def put_back(self, *jobs: Job) -> None:
        self._fresh.extendleft(reversed(jobs))

    def finish(self, keys: Iterable[str]) -> None:
        """These keys have a durable reply."""
        self._active.difference_update(keys)

    def take(self, now: float) -> Job | None:
        if self._put_off and self._put_off[0][0] <= now:
            return heapq.heappop(self._put_off)[2]
        if not self._fresh and self.can_fill:
            self.fill()
        return self._fresh.popleft() if self._fresh else None

    def fill(self) -> None:
        """Take one block of requests and keep those that must be asked."""
        block = [self._more.popleft() for _ in range(min(len(self._more), TAKEN_AT_ONCE))]
        if not block:
            block = list(islice(self._requests, TAKEN_AT_ONCE))
            self._exhausted = len(block) < TAKEN_AT_ONCE
        finished = self._journal.finished([key for request in block for key in request.keys])
        for request in block:
            self._sort(request, finished)

    def _sort(self, request: ChatRequest, finished: dict[str, Finished]) -> None:
        wanted: list[int] = []
        settled = shared = 0
        for sample, key in zip(request.samples, request.keys, strict=True):
            found = finished.get(key)
            if key in self._active:
                shared += 1
            elif found is not None and self._settles(request, found):
                settled += 1
            else:
                wanted.append(sample)
                self._active.add(key)
        whole = Whole(request, len(wanted))
        self._taken(whole, settled, shared)
        if wanted:
            whole_request = len(wanted) == len(request.samples)
            self._fresh.append(Job(request if whole_request else request.only(wanted), whole))
