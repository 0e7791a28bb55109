"""The engine: takes requests lazily, asks those that no earlier reply settles, and writes each outcome to the journal.

One dispatcher sends calls in blocks, as the pace of each address and the budget allow: their intents are made durable
in one commit, then each call is a task. What came back waits in an outbox for the next commit, and counts once it is on
the disk. Nothing here grows with the number of requests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import BudgetReached, RecipeError, TeacherError
from stillroom.base.records import Reply
from stillroom.client.budget import Amount, Budget, BudgetLimits, Excess
from stillroom.client.counts import EngineCounts, Served
from stillroom.client.lane import Lane
from stillroom.client.outbox import Outbox
from stillroom.client.outcome import Call, Result, read_result, replies
from stillroom.client.pacing import PaceLimits
from stillroom.client.price import pricing, usd
from stillroom.client.request import ChatRequest, most_tokens
from stillroom.client.retry import is_put_off, is_settled, wait_s
from stillroom.client.settings import Endpoint
from stillroom.client.told_receipt import read_receipt
from stillroom.client.waiting import Job, Waiting, Whole
from stillroom.store.journal import Finished, Intent, Journal, Outcome

__all__ = ["EngineCounts", "FollowUp", "ask_all"]

MOST_IN_A_BLOCK = 256
_EXCESS = "excess of "
"""And a model: what the journal notes of it by."""
LOOK_AGAIN_S = 0.1
"""Between looks for a reply that another question's call will bring."""

FollowUp = Callable[[ChatRequest, list[Reply]], Awaitable[ChatRequest | None]]


async def ask_all(
    requests: Iterable[ChatRequest],
    endpoint: Endpoint,
    journal: Journal,
    *,
    pace: PaceLimits | None = None,
    limits: BudgetLimits | None = None,
    retries: int = 5,
    strict_limit: bool = True,
    only: Callable[[Finished | None], bool] | None = None,
    follow_up: FollowUp | None = None,
    clock: Clock | None = None,
    on_progress: Callable[[EngineCounts], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> EngineCounts:
    """Ask every request that no reply in the journal settles; afterwards the journal has a reply for each key.

    A request that fails is a reply with status `failed`. `requests` is taken as it is needed, from the event loop.
    `only` asks again those requests whose journaled reply it says yes to, and no others. `follow_up` hears of each
    request that is complete, with its replies, and may return more to ask. `announce` is given sentences for a person.

    Cancelled once, it sends nothing more, waits for the calls in flight, whose replies are paid for, and records them.
    Raises TeacherError (or KeyRefused, NoSuchModel, OutOfCredit, TeacherUnreachable) where the endpoint as a whole will
    not answer, BudgetReached where one more call could pass a limit; both after the calls in flight have ended and been
    recorded. RecipeError for an unknown price, a key that is not set, or a budget with calls that have no token limit.
    """
    engine = _Engine(
        requests, endpoint, journal, pace or PaceLimits(concurrency=64), limits or BudgetLimits(), retries,
        lambda found, limit: is_settled(found, limit, endpoint.addresses, strict_limit=strict_limit),
        only, follow_up, clock or SystemClock(), on_progress, announce,
    )  # fmt: skip
    return await engine.run()


class _Engine:
    def __init__(
        self,
        requests: Iterable[ChatRequest],
        endpoint: Endpoint,
        journal: Journal,
        pace: PaceLimits,
        limits: BudgetLimits,
        retries: int,
        settles: Callable[[Finished, int | None], bool],
        only: Callable[[Finished | None], bool] | None,
        follow_up: FollowUp | None,
        clock: Clock,
        on_progress: Callable[[EngineCounts], None] | None,
        announce: Callable[[str], None] | None,
    ) -> None:
        self._journal, self._retries, self._clock = journal, retries, clock
        self._settles, self._only, self._follow_up = settles, only, follow_up
        self._on_progress, self._announce = on_progress, announce
        self._pace = pace
        self._pricing = pricing(endpoint)
        self._budget = Budget(limits, journal.spent(), _noted_excess(journal, endpoint.model))
        self._model = endpoint.model
        self._lanes = [Lane(endpoint, address, pace, clock) for address in endpoint.addresses]
        self._waiting = Waiting(requests, journal, self._serves, self._taken)
        self._counts = EngineCounts(spent_usd=self._budget.usd)
        self._draw = random.Random()
        self._calls: set[asyncio.Task[None]] = set()
        self._following: set[asyncio.Task[None]] = set()
        self._outbox = Outbox(journal)
        self._changed = asyncio.Event()
        self._stop: BaseException | None = None
        self._next_tokens = 0
        """Of the job that found no room."""
        self._n_works: bool | None = None
        """Whether the endpoint gives several samples for one call; None: nobody has tried."""
        self._served = Served()

    async def run(self) -> EngineCounts:
        async with AsyncExitStack() as stack:
            for lane in self._lanes:
                await stack.enter_async_context(lane.transport)
            recorder = asyncio.create_task(self._record_as_it_comes())
            try:
                await self._dispatch()
            finally:
                await self._let_calls_end()
                recorder.cancel()
                await asyncio.gather(recorder, return_exceptions=True)
        if self._stop is None and all(lane.judge_end() for lane in self._lanes):
            self._stop = self._lanes[0].judge_end()
        if self._stop is not None:
            self._report()
            raise self._stop
        return self._counts

    # Sending

    async def _dispatch(self) -> None:
        while self._stop is None:
            self._changed.clear()
            looked_at = self._clock.monotonic()
            block = self._choose()
            if block:
                await self._send(block)
            elif self._waiting.is_hungry and self._has_room():
                await asyncio.sleep(0)  # a block of settled requests was passed over: let others have their turn
                self._report()
            elif self._is_finished():
                return
            elif self._stop is None:
                await self._wait_for_change(looked_at)

    def _choose(self) -> list[tuple[Call, Lane]]:
        """Calls that may be sent now, with their places taken and their worst case reserved."""
        block: list[tuple[Call, Lane]] = []
        while len(block) < MOST_IN_A_BLOCK and self._has_room():
            job = self._waiting.take(self._clock.monotonic())
            if job is None:
                break
            if len(job.request.samples) > 1 and self._n_works is False:
                self._waiting.put_back(
                    *(Job(job.request.only([sample]), job.whole, job.retry) for sample in job.request.samples)
                )
                continue
            chosen = self._place(job)
            if chosen is None:
                self._waiting.put_back(job)
                break
            block.append(chosen)
        return block

    def _place(self, job: Job) -> tuple[Call, Lane] | None:
        body = job.request.body()
        sent_at_us, now = self._clock.now_us(), self._clock.monotonic()
        most = self._most(job.request, body, sent_at_us)
        worst = self._budget.worst(most)
        if not self._pace.can_carry(worst.tokens):
            raise RecipeError(
                f"One call can use {worst.tokens:,} tokens, more than tokens_per_minute: it could never go.",
                "Raise ask.tokens_per_minute, or lower ask.max_tokens.",
            )
        rooms = [lane.room(now, worst.tokens) for lane in self._lanes]
        lane = self._lanes[rooms.index(max(rooms))]
        if max(rooms) < 1:
            self._next_tokens = worst.tokens
            return None
        lacking = self._budget.lacks(worst)
        if lacking is not None:
            if not self._budget.is_reserved and self._outbox.is_empty:
                self._stop = self._budget_reached(lacking)
            return None
        self._budget.reserve(worst)
        place = lane.pace.sent(now, worst.tokens)
        return Call(job, body, most, worst, lane.base_url, sent_at_us, place), lane

    def _most(self, request: ChatRequest, body: bytes, at_us: int) -> Amount:
        prompt, completion = most_tokens(body, request.settings.max_tokens, len(request.samples))
        limits = self._budget.limits
        if completion is None:
            if limits.budget_usd is not None or limits.max_total_tokens is not None:
                raise RecipeError(
                    "A budget needs to know the most that a call can cost, and these have no token limit.",
                    "Set ask.max_tokens.",
                )
            completion = 0  # the prompt at least: what an unknown outcome counts as
        return Amount(self._pricing.most(prompt, completion, at_us) or Decimal(0), prompt + completion)

    async def _send(self, block: list[tuple[Call, Lane]]) -> None:
        intents = [self._intent(call) for call, _ in block]
        numbers = await asyncio.wrap_future(self._journal.begin(intents))
        for number, (call, lane) in zip(numbers, block, strict=True):
            call.number = number
            task = asyncio.create_task(self._call(call, lane))
            self._calls.add(task)
            task.add_done_callback(self._call_ended)
        self._report()

    def _intent(self, call: Call) -> Intent:
        reserved_usd = call.worst.usd if self._pricing.price_id is not None else None
        return Intent(call.job.request.key, call.sent_at_us, usd(reserved_usd), call.worst.tokens)

    def _has_room(self) -> bool:
        now = self._clock.monotonic()
        return self._outbox.has_room and any(lane.room(now) > 0 for lane in self._lanes)

    def _is_finished(self) -> bool:
        is_busy = self._calls or not self._outbox.is_empty or self._following
        return self._waiting.is_exhausted and not is_busy

    async def _wait_for_change(self, looked_at: float) -> None:
        """Until something comes back, or time alone lets something be sent, which may have come since `looked_at`."""
        moments = [self._waiting.next_due] if self._has_room() else []
        if not self._waiting.is_exhausted:
            moments += [lane.opens_at(looked_at, self._next_tokens) for lane in self._lanes]
        later = [moment for moment in moments if moment is not None and moment > looked_at]
        if not later:
            await self._changed.wait()
            return
        wait_s = max(0.0, min(later) - self._clock.monotonic())
        sleeping = asyncio.ensure_future(self._clock.sleep(wait_s))
        changing = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((sleeping, changing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changing.cancel()

    # What comes back

    async def _call(self, call: Call, lane: Lane) -> None:
        def begun() -> None:
            lane.begun(call.place)
            self._changed.set()

        started = self._clock.monotonic()
        request_id = self._journal.request_id(call.number)
        answer = await lane.transport.send(call.body, request_id, begun=begun, may_unpack=self._outbox.until_room)
        now = self._clock.monotonic()
        parsed = lane.read(answer, len(call.job.request.samples))
        result = read_result(call, parsed, answer.http_status, self._pricing, self._retries, len(self._lanes))
        used = result.used
        self._settle(call, used)
        tokens_used = used.tokens if used is not None and result.is_metered else None
        self._learn_n(call, result)
        closes = lane.returned(call.place, now, answer, result.first, tokens_used, given_up=bool(result.finished))
        if closes is not None:
            self._close(lane, closes)
            result.again, result.finished = list(call.job.request.samples), []
        self._ask_again(call, result, now)
        told = read_receipt(answer.headers, answer.body)
        rows = replies(call, result, answer, self._pricing, round((now - started) * 1e6), told.receipt)
        self._outbox.put(call, self._outcome(call, result, rows))
        self._counts.count_call(result, call.job.request.messages, self._budget.usd)
        for sentence in self._served.changes(result.first):
            self._say(sentence)
        if rows and told.problem is not None:
            self._count_bad_receipt(told.problem)

    def _count_bad_receipt(self, problem: str) -> None:
        self._counts.bad_receipts += 1
        if self._counts.bad_receipts == 1:
            self._say(f"A reply came with a receipt that is none: {problem}. It is kept without; others are counted.")

    def _settle(self, call: Call, used: Amount | None) -> None:
        excess = self._budget.excess
        self._budget.settle(call.worst, used, call.most)
        if self._budget.excess != excess:
            self._journal.note(_EXCESS + self._model, "|".join(map(str, self._budget.excess)))

    def _outcome(self, call: Call, result: Result, rows: list[Reply]) -> Outcome:
        first = result.first
        priced = self._pricing.price_id is not None
        unknown = result.used is None
        failed = first.status == "failed" and (rows or self._stop is not None)
        status = "unknown" if unknown else "failed" if failed else "ok" if rows else "retry"
        known = result.used if result.is_metered else None
        return Outcome(
            call.number,
            status,
            first.error_kind or ("no_usage" if unknown else None),
            usd(known.usd) if known and priced else None,
            known.tokens if known else None,
            rows,
        )

    def _ask_again(self, call: Call, result: Result, now: float) -> None:
        if not result.again:
            return
        job = call.job
        is_whole = len(result.again) == len(job.request.samples)
        retried = is_whole and not is_put_off(result.first.error_kind, len(self._lanes))
        due = now + wait_s(job.retry, self._draw) if retried else now
        request = job.request if is_whole else job.request.only(result.again)
        self._waiting.put_off(Job(request, job.whole, job.retry + retried), due)

    def _learn_n(self, call: Call, result: Result) -> None:
        asked = len(call.job.request.samples)
        if asked == 1:
            return
        if result.first.status != "failed":
            self._n_works = len(result.parsed) >= asked
        elif result.first.error_kind in ("http_400", "http_422") and not self._n_works:
            self._n_works = False  # it refuses the field: one by one, then
            result.finished, result.again = [], list(call.job.request.samples)

    def _close(self, lane: Lane, error: TeacherError) -> None:
        """Nothing more is sent to this address; with none left the run stops."""
        if all(other.closed is not None for other in self._lanes):
            self._stop = self._stop or error
        elif len(self._lanes) > 1:
            self._say(f"{lane.base_url} is left out: {error.what}")

    def _call_ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop = self._stop or error
        self._changed.set()

    # Writing it down

    async def _record_as_it_comes(self) -> None:
        while True:
            await self._outbox.until_some()
            await self._record()

    async def _record(self) -> None:
        try:
            batch = await self._outbox.write()
        except Exception as error:  # noqa: BLE001 - whatever it is ends the run, and is raised there
            self._stop = self._stop or error
            return
        finally:
            self._changed.set()
        for call, outcome in batch:
            self._waiting.finish(reply.key for reply in outcome.replies)
            self._counts.by_status.update(reply.status for reply in outcome.replies)
            call.job.whole.left -= len(outcome.replies)
            if outcome.replies and call.job.whole.left == 0:
                self._follow(call.job.whole)
        self._report()

    async def _let_calls_end(self) -> None:
        if self._calls and self._stop is None:
            self._say(
                f"Stopping. {len(self._calls)} {'call is' if len(self._calls) == 1 else 'calls are'} in flight, "
                "and paid for: waiting. "
                "Interrupt again to let them go."
            )
        while self._calls:
            await asyncio.wait(set(self._calls))
        for task in self._following:
            task.cancel()
        while not self._outbox.is_empty:
            await asyncio.sleep(0.001)

    # Requests that are complete

    def _serves(self, request: ChatRequest, found: Finished) -> bool:
        if self._only is not None:
            return not self._only(found)
        return self._settles(found, request.settings.max_tokens)

    def _taken(self, whole: Whole, settled: int, shared: int) -> None:
        self._counts.requests += len(whole.request.samples)
        self._counts.settled += settled
        self._counts.shared += shared
        if shared and self._follow_up is not None:
            self._start_following(self._when_shared_is_there(whole))
        elif whole.left == 0:
            self._follow(whole)

    async def _when_shared_is_there(self, whole: Whole) -> None:
        """Another question's call brings replies of this one too: look again once they are on the disk."""
        while self._waiting.are_active(whole.request.keys) and self._stop is None:
            await self._clock.sleep(LOOK_AGAIN_S)
        self._waiting.add(whole.request)

    def _follow(self, whole: Whole) -> None:
        if self._follow_up is None or self._stop is not None:
            return
        self._start_following(self._ask_more(whole, self._follow_up))

    def _start_following(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        task.add_done_callback(self._ended)

    async def _ask_more(self, whole: Whole, follow_up: FollowUp) -> None:
        found = self._journal.replies_of(whole.request.keys)
        more = await follow_up(whole.request, [found[key] for key in whole.request.keys if key in found])
        if more is not None:
            self._waiting.add(more)

    # Saying it

    def _budget_reached(self, limit: str) -> BudgetReached:
        value = getattr(self._budget.limits, limit)
        spent = f"{usd(self._budget.usd)} USD" if limit == "budget_usd" else ""
        spent = spent or f"{self._budget.tokens if limit == 'max_total_tokens' else self._budget.calls:,}"
        return BudgetReached(
            f"One more call could pass {limit}: {value}; {spent} are spent.",
            f"Raise ask.{limit} to go on; what came is kept.",
        )

    def _pace_in_words(self) -> str:
        open_lanes = [lane for lane in self._lanes if lane.closed is None]
        if len(self._lanes) == 1:
            return "".join(lane.pace.why() for lane in open_lanes)
        return "; ".join(f"{urlsplit(lane.base_url).netloc}: {lane.pace.why()}" for lane in open_lanes)

    def _say(self, sentence: str) -> None:
        if self._announce is not None:
            self._announce(sentence)

    def _report(self) -> None:
        if self._on_progress is not None:
            self._counts.in_flight = len(self._calls)
            self._counts.pace = self._pace_in_words()
            self._on_progress(self._counts)


def _noted_excess(journal: Journal, model: str) -> Excess | None:
    noted = journal.noted(_EXCESS + model)
    return None if noted is None else Excess(*map(Decimal, noted.split("|")))
