"""The engine: takes requests lazily, asks those that no earlier reply settles, and writes each outcome to the journal.

`concurrency` workers each carry one request through all of its calls, so that memory does not grow with the number of
requests and no slow reply holds up another. A call's intent is durable before it is sent, and its outcome before the
next request is taken.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import TeacherError
from stillroom.base.records import Attempt, Reply
from stillroom.client.health import Health
from stillroom.client.pace import Pace
from stillroom.client.price import pricing
from stillroom.client.reply import ParsedReply, parse_reply
from stillroom.client.request import ChatRequest
from stillroom.client.retry import is_settled, read_retry_after, retries_allowed, wait_s
from stillroom.client.settings import Endpoint
from stillroom.client.transport import NotAnswered, Transport
from stillroom.client.usage import Usage
from stillroom.store.journal import Journal

_LOOKED_UP_AT_ONCE = 256
"""Settled requests passed over before other tasks get a turn."""


@dataclass(slots=True)
class EngineCounts:
    """What one run of the engine did. requests == settled + shared + replies, once it has ended by itself."""

    requests: int = 0
    settled: int = 0
    """An earlier reply serves."""
    shared: int = 0
    """The same request was in flight for another question."""
    calls: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    """Replies of this run."""
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    @property
    def replies(self) -> int:
        return self.by_status.total()


@dataclass(frozen=True, slots=True)
class _Call:
    """One call and what came of it."""

    attempt: int
    sent_at: int
    latency_us: int
    outcome: ParsedReply
    raw: bytes
    retry_after_s: float | None
    cost_usd: str | None


async def ask_all(
    requests: Iterable[ChatRequest],
    endpoint: Endpoint,
    journal: Journal,
    *,
    concurrency: int = 64,
    retries: int = 5,
    clock: Clock | None = None,
    on_progress: Callable[[EngineCounts], None] | None = None,
) -> EngineCounts:
    """Ask every request that no reply in the journal settles; afterwards the journal has a reply for each key.

    A request that fails is a reply with status `failed`. `requests` is taken as it is needed, from the event loop.
    Raises TeacherError (or KeyRefused, NoSuchModel, TeacherUnreachable) where the endpoint as a whole will not answer,
    after the calls in flight have ended and been recorded; RecipeError for an unknown price or a key that is not set.
    """
    engine = _Engine(requests, endpoint, journal, concurrency, retries, clock or SystemClock(), on_progress)
    return await engine.run()


class _Engine:
    def __init__(
        self,
        requests: Iterable[ChatRequest],
        endpoint: Endpoint,
        journal: Journal,
        concurrency: int,
        retries: int,
        clock: Clock,
        on_progress: Callable[[EngineCounts], None] | None,
    ) -> None:
        self._requests = iter(requests)
        self._endpoint = endpoint
        self._journal = journal
        self._retries = retries
        self._clock = clock
        self._on_progress = on_progress
        self._pricing = pricing(endpoint)
        self._transport = Transport(endpoint)
        self._pace = Pace(concurrency)
        self._health = Health(endpoint)
        self._draw = random.Random()
        self._keys_in_flight: set[str] = set()
        self._stopping = asyncio.Event()
        self._fatal: TeacherError | None = None
        self._counts = EngineCounts()

    async def run(self) -> EngineCounts:
        try:
            async with self._transport, asyncio.TaskGroup() as workers:
                for _ in range(self._pace.concurrency):
                    workers.create_task(self._work())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        fatal = self._fatal or self._health.judge_end()
        if fatal is not None:
            raise fatal
        return self._counts

    async def _work(self) -> None:
        while (request := await self._next_unsettled()) is not None:
            self._keys_in_flight.add(request.key)
            try:
                await self._answer(request)
            finally:
                self._keys_in_flight.discard(request.key)

    async def _next_unsettled(self) -> ChatRequest | None:
        passed_over = 0
        while not self._stopping.is_set():
            request = next(self._requests, None)
            if request is None:
                break
            self._counts.requests += 1
            finished = self._journal.finished(request.key)
            if request.key in self._keys_in_flight:
                self._counts.shared += 1
            elif finished is not None and is_settled(finished, request.sampling.max_tokens, self._endpoint.base_url):
                self._counts.settled += 1
            else:
                return request
            self._report()
            passed_over += 1
            if passed_over % _LOOKED_UP_AT_ONCE == 0:
                await asyncio.sleep(0)
        return None

    async def _answer(self, request: ChatRequest) -> None:
        """Call until there is a final reply, or until the run is stopped."""
        retry = 0
        while not self._stopping.is_set():
            async with self._pace:
                if self._stopping.is_set():
                    return
                call = await self._call(request)
                given_up = retry >= retries_allowed(call.outcome.error_kind, self._retries)
                fatal = self._health.judge(call.outcome, given_up=given_up)
                if fatal is not None:
                    self._fatal = self._fatal or fatal
                    self._stopping.set()
                elif self._health.answered:
                    self._pace.open()
                if given_up and fatal is None:
                    await self._record(request, call)
                    return
                await self._record_call(request, call, "failed" if fatal else "retry")
            await self._wait(wait_s(retry, call.retry_after_s, self._draw))
            retry += 1

    async def _call(self, request: ChatRequest) -> _Call:
        body = request.body()
        sent_at = self._clock.now_us()
        attempt = await asyncio.wrap_future(self._journal.begin(request.key, sent_at))
        started = self._clock.monotonic()
        answer = await self._transport.send(body)
        latency_us = round((self._clock.monotonic() - started) * 1e6)
        self._counts.calls += 1
        if isinstance(answer, NotAnswered):
            outcome = ParsedReply("failed", answer.error_kind, answer.detail)
            return _Call(attempt, sent_at, latency_us, outcome, b"", None, None)
        outcome = parse_reply(answer.body, answer.http_status)
        cost_usd = self._pricing.cost_usd(outcome.usage, sent_at)
        self._counts.completion_tokens += outcome.usage.completion_tokens or 0
        self._counts.cost_usd += Decimal(cost_usd or 0)
        retry_after_s = read_retry_after(answer.retry_after, self._clock.now_us())
        return _Call(attempt, sent_at, latency_us, outcome, answer.body, retry_after_s, cost_usd)

    async def _wait(self, seconds: float) -> None:
        """Sleep, or less where the run is stopped meanwhile."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()

    async def _record_call(self, request: ChatRequest, call: _Call, status: Literal["retry", "failed"]) -> None:
        await asyncio.wrap_future(self._journal.record_attempt(_attempt(request, call, status)))

    async def _record(self, request: ChatRequest, call: _Call) -> None:
        outcome = call.outcome
        attempt = _attempt(request, call, "failed" if outcome.status == "failed" else "ok")
        reply = Reply(
            key=request.key,
            question_id=request.question_id,
            sample=request.sample,
            teacher=request.model,
            served_model=outcome.served_model,
            fingerprint=outcome.fingerprint,
            endpoint=self._endpoint.base_url,
            asked_at=call.sent_at,
            latency_us=call.latency_us,
            status=outcome.status,
            error_kind=outcome.error_kind,
            reasoning_form=outcome.reasoning_form,
            finish_reason=outcome.finish_reason,
            prompt_tokens=outcome.usage.prompt_tokens,
            cached_tokens=outcome.usage.cached_tokens,
            completion_tokens=outcome.usage.completion_tokens,
            reasoning_tokens=outcome.usage.reasoning_tokens,
            counted_by=None if outcome.usage == Usage() else "provider",
            cost_usd=call.cost_usd,
            price_id=self._pricing.price_id,
            receipt=None,
            max_tokens=request.sampling.max_tokens,
            raw=call.raw,
        )
        await asyncio.wrap_future(self._journal.record(reply, attempt))
        self._counts.by_status[outcome.status] += 1
        self._report()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._counts)


def _attempt(request: ChatRequest, call: _Call, status: Literal["ok", "retry", "failed"]) -> Attempt:
    # A reset or a timeout after sending: the server may have answered, and charged, with nobody to hear it.
    unknown = call.outcome.error_kind in ("connection", "timeout")
    return Attempt(
        key=request.key,
        attempt=call.attempt,
        sent_at=call.sent_at,
        status="unknown" if unknown else status,
        error_kind=call.outcome.error_kind,
        cost_usd=call.cost_usd,
    )
