"""Limits as a worker uses them: from memory where it can, from the database where it must.

One task speaks with the database, one exchange after the other on a thread of its own, so that calls which need the
same counter share one. Between them it reports what was used, gives back what is idle, and what another worker lacks.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, get_args

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from stillroom.base.clock import Clock, SystemClock
from stillroom.serve.limits.bound import Bound, Counter, LimitName, LimitReached, LimitsUnavailable
from stillroom.serve.limits.decision import Need
from stillroom.serve.limits.leases import Ask, Lease, Leases, Reservation, Statement
from stillroom.serve.limits.ledger import DEAD_US, Answer, Ledger, LeftBehind, Refusal

Value = TypeVar("Value")

_OUT_OF_TOUCH_S = 5.0
"""A worker that has not reached the database for this long passes nothing: its open calls may soon be freed."""
_ANSWER_S = 5.0
"""How long a call waits for the database."""
_LOOK_S = 0.1
_REPORT_S = 1.0
_AGAIN_S, _GIVE_UP_S = 0.05, 2.0
"""A call that lacks what other workers hold is tried again until each has said that calls of its own need all of it; or
for so long, where one says nothing.
"""
_ASKS_AT_ONCE, _STATEMENTS_AT_ONCE = 64, 256

_log = logging.getLogger(__name__)

_NOTHING: Mapping[LimitName, int] = dict.fromkeys(get_args(LimitName), 0)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call that has to ask the database."""

    bounds: Sequence[Bound]
    amounts: Mapping[LimitName, int]
    answer: asyncio.Future[Reservation]
    since: float
    """On the event loop's clock."""
    since_us: int
    """UTC microseconds."""


class Limits:
    """Of one worker; `worker` is its place's name, which no other living process has. For one event loop.

    Workers on several machines need clocks that agree within a few seconds.
    """

    def __init__(self, engine: Engine, worker: str, clock: Clock | None = None) -> None:
        self._ledger = Ledger(engine, worker)
        self._clock = clock or SystemClock()
        self._leases = Leases()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="limits")
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._touched_at = -math.inf
        self._books: asyncio.Task[None] | None = None
        self._is_closing = False
        self._problem = ""

    async def start(self) -> None:
        """Before the first call. Raises LimitsUnavailable."""
        try:
            await self._touch()
        except SQLAlchemyError as error:
            raise _unavailable() from error
        self._books = asyncio.create_task(self._keep_books(), name="limits")
        self._books.add_done_callback(_say_if_broken)

    def try_reserve(self, bounds: Sequence[Bound], amounts: Mapping[LimitName, int]) -> Reservation | None:
        """All or nothing, from memory alone; None where the database has to be asked.

        No counter has two bounds, and `amounts` has the name of each (0 and above).
        """
        if self._clock.monotonic() >= self._touched_at + _OUT_OF_TOUCH_S:
            return None
        reservation = self._leases.try_reserve(bounds, amounts, self._clock.now_us())
        if self._leases.low:
            self._wake.set()
        return reservation

    async def reserve(self, bounds: Sequence[Bound], amounts: Mapping[LimitName, int]) -> Reservation:
        """All or nothing. Raises LimitReached, or LimitsUnavailable where the database gives no answer in time."""
        if reservation := self.try_reserve(bounds, amounts):
            return reservation
        for bound in bounds:
            if amounts[bound.name] > bound.most:
                raise LimitReached(bound.name, None)
        if self._books is None or self._books.done() or self._is_closing:
            raise _unavailable()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(bounds, amounts, loop.create_future(), loop.time(), self._clock.now_us())
        self._waiting.append(waiting)
        self._wake.set()
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await waiting.answer
        except (asyncio.CancelledError, TimeoutError) as error:
            answer = waiting.answer
            if answer.done() and not answer.cancelled() and not answer.exception():
                self.release(answer.result())  # it came in the same moment
            if isinstance(error, TimeoutError):
                raise _unavailable() from error
            raise

    def settle(self, reservation: Reservation, actual: Mapping[LimitName, int]) -> None:
        """What the call really used; what `actual` does not name was used as reserved. Its slot is free again.

        Once for each reservation; further times change nothing.
        """
        self._leases.settle(reservation, actual, self._clock.now_us())

    def release(self, reservation: Reservation) -> None:
        """The call was not made: nothing was used."""
        self.settle(reservation, _NOTHING)

    async def left_by(self, worker: str) -> LeftBehind | None:
        """What an earlier process in this worker's place left untold when it was killed; None: nothing.

        Raises LimitsUnavailable.
        """
        return await self._ask_ledger(lambda: self._ledger.left_by(worker))

    async def recover(self, worker: str, actual: Mapping[Counter, int | None] | None) -> None:
        """Count what the calls of earlier processes in this worker's place used: `actual` holds, for each counter, the
        sum since `LeftBehind.since`. Where that is not known (None, of one counter or altogether), all that they held.

        Raises LimitsUnavailable.
        """
        await self._ask_ledger(lambda: self._ledger.recover(worker, actual, self._clock.now_us()))

    async def close(self) -> None:
        """Give everything back. Calls that are still open stay counted as reserved; they may be settled in vain."""
        self._is_closing = True
        self._wake.set()
        if self._books is not None:
            await self._books
            with suppress(SQLAlchemyError):  # what is not given back is found by `left_by`
                await self._report(everything=True)
                await self._in_thread(self._ledger.leave)
        self._thread.shutdown(wait=False)

    async def _keep_books(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = report_at = loop.time()
        while not self._is_closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._answer_waiting()
                if loop.time() >= report_at:
                    report_at = loop.time() + _REPORT_S
                    await self._touch()
                    await self._report(everything=False)
                if loop.time() >= look_at:
                    look_at = loop.time() + _LOOK_S
                    await self._look()
                self._problem = ""
            except SQLAlchemyError as error:
                self._say_once(error)
                self._turn_away()
        self._turn_away()

    def _say_once(self, error: SQLAlchemyError) -> None:
        """For the owner: the clients only hear that it is so."""
        if type(error).__name__ != self._problem:
            self._problem = type(error).__name__
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            _log.error("Limits cannot be counted, and calls that need them are refused: %s", reason)

    def _turn_away(self) -> None:
        """Whoever waits, since there is no answer."""
        for waiting in self._waiting:
            if not waiting.answer.done():
                waiting.answer.set_exception(_unavailable())
        self._waiting.clear()

    async def _answer_waiting(self) -> None:
        while self._waiting or self._leases.low:
            batch, self._waiting = self._waiting[:_ASKS_AT_ONCE], self._waiting[_ASKS_AT_ONCE:]
            now_us = self._clock.now_us()
            asking: list[tuple[_Waiting, Ask]] = []
            for waiting in batch:
                if not (waiting.answer.done() or self._passes(waiting)):
                    asking.append((waiting, self._leases.ask(waiting.bounds, waiting.amounts, now_us)))
            asks = [ask for _, ask in asking]
            try:
                answer = await self._exchange(self._leases.statements(asks, now_us), asks, now_us)
            except SQLAlchemyError:
                for waiting, ask in asking:
                    self._leases.refused(ask)
                    self._waiting.append(waiting)
                raise
            self._tell(asking, answer)

    def _tell(self, asking: Sequence[tuple[_Waiting, Ask]], answer: Answer) -> None:
        """Each call what the database said. What a refused one had set aside may be enough for another one."""
        refused: list[tuple[_Waiting, Refusal]] = []
        for (waiting, ask), refusal in zip(asking, answer.refusals, strict=True):
            if refusal is None:
                self._pass(waiting, self._leases.granted(ask, answer.given))
            else:
                self._leases.refused(ask)
                refused.append((waiting, refusal))
        loop = asyncio.get_running_loop()
        for waiting, refusal in refused:
            if waiting.answer.done() or self._passes(waiting):
                continue
            may_come = refusal.heard_at is not None and refusal.heard_at <= waiting.since_us
            if may_come and loop.time() < waiting.since + _GIVE_UP_S:
                loop.call_later(_AGAIN_S, self._ask_again, waiting)
            else:
                waiting.answer.set_exception(LimitReached(refusal.name, refusal.retry_after_s))

    def _ask_again(self, waiting: _Waiting) -> None:
        if self._is_closing and not waiting.answer.done():
            waiting.answer.set_exception(_unavailable())
        self._waiting.append(waiting)
        self._wake.set()

    def _passes(self, waiting: _Waiting) -> bool:
        reservation = self._leases.try_reserve(waiting.bounds, waiting.amounts, self._clock.now_us())
        if reservation is not None:
            self._pass(waiting, reservation)
        return reservation is not None

    def _pass(self, waiting: _Waiting, reservation: Reservation) -> None:
        if waiting.answer.done():  # nobody waits any more
            self.release(reservation)
        else:
            waiting.answer.set_result(reservation)

    async def _touch(self) -> None:
        """Tell the others that this worker lives, and end what dead ones held open."""
        before, now_us = self._clock.monotonic(), self._clock.now_us()
        await self._in_thread(lambda: self._ledger.sign_of_life(now_us))
        if before - self._touched_at > DEAD_US / 1_000_000:
            self._leases.nothing_told()
        self._touched_at = before
        await self._in_thread(lambda: self._ledger.free_the_dead(now_us))

    async def _report(self, *, everything: bool) -> None:
        """A few at once, so that calls need not wait for thousands."""
        counters = list(self._leases.by_counter)
        for start in range(0, len(counters), _STATEMENTS_AT_ONCE):
            some = counters[start : start + _STATEMENTS_AT_ONCE]
            changed = self._leases.changed(some, self._clock.now_us(), everything=everything)
            if changed:
                await self._state(changed)
            await self._answer_waiting()
            await asyncio.sleep(0)

    async def _look(self) -> None:
        """Whether another worker lacks what this one holds."""
        if not self._leases.by_counter:
            return
        now_us = self._clock.now_us()
        self._leases.wanted(await self._in_thread(lambda: self._ledger.wanted(now_us)))
        if urgent := self._leases.urgent(now_us):
            await self._state(urgent[:_STATEMENTS_AT_ONCE])

    async def _state(self, leases: Sequence[Lease]) -> None:
        now_us = self._clock.now_us()
        await self._exchange(self._leases.report(leases, now_us), [], now_us)

    async def _exchange(self, statements: Sequence[Statement], asks: Sequence[Ask], now_us: int) -> Answer:
        """One at a time: the next statement of a lease must know what the last answer gave it."""
        needs = [[Need(*lacking) for lacking in ask.lacking()] for ask in asks]
        try:
            answer = await self._in_thread(lambda: self._ledger.exchange(statements, needs, now_us))
        except SQLAlchemyError:
            self._leases.not_told(statements)
            raise
        self._leases.take_in(statements, answer.given)
        return answer

    async def _ask_ledger(self, ask: Callable[[], Value]) -> Value:
        try:
            return await self._in_thread(ask)
        except SQLAlchemyError as error:
            raise _unavailable() from error

    async def _in_thread(self, work: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _say_if_broken(books: asyncio.Task[None]) -> None:
    if not books.cancelled() and (error := books.exception()):
        _log.error("Limits are counted no more, and every call that needs them is refused.", exc_info=error)


def _unavailable() -> LimitsUnavailable:
    return LimitsUnavailable(
        "The database that counts limits cannot be reached.", "Look whether it runs, and whether its disk is full."
    )
