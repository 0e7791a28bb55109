"""What came of one call: what it used, what is written of it, what is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from stillroom.base.records import Reply
from stillroom.client.budget import Amount
from stillroom.client.pacing import Sent
from stillroom.client.price import Pricing, usd
from stillroom.client.reply import ParsedReply
from stillroom.client.retry import is_put_off, may_be_billed_unseen, retries_allowed
from stillroom.client.transport import Answered, NotAnswered
from stillroom.client.usage import Usage
from stillroom.client.waiting import Job


@dataclass(slots=True)
class Call:
    """One call, from the moment its place is taken."""

    job: Job
    body: bytes
    most: Amount
    """What it should use at most; of the prompt alone where the request has no limit."""
    worst: Amount
    """Reserved for it."""
    base_url: str
    sent_at_us: int
    place: Sent
    """What the pace knows it by."""
    number: int = -1
    """In the journal."""


@dataclass(slots=True)
class Result:
    """`finished` and `again` together are the call's samples, in their order."""

    parsed: tuple[ParsedReply, ...]
    """One for each choice that came; one where none did."""
    used: Amount | None
    """None: something may have been billed, and nobody knows how much."""
    is_metered: bool
    """Whether the reply says what it used."""
    finished: list[tuple[int, ParsedReply]]
    again: list[int]

    @property
    def first(self) -> ParsedReply:
        return self.parsed[0]


def read_result(
    call: Call, parsed: tuple[ParsedReply, ...], http_status: int | None, pricing: Pricing, retries: int, addresses: int
) -> Result:
    """`parsed`: one for each choice that came, one where none did; `addresses`: of the teacher."""
    used, is_metered = _used(parsed[0], http_status, pricing, call.sent_at_us)
    finished: list[tuple[int, ParsedReply]] = []
    again: list[int] = []
    came = len(parsed) > 1 or parsed[0].status != "failed"
    for position, sample in enumerate(call.job.request.samples):
        outcome = parsed[position] if position < len(parsed) else None
        if outcome is None and came:
            again.append(sample)  # fewer choices than were asked for
            continue
        outcome = outcome or parsed[0]
        if is_put_off(outcome.error_kind, addresses) or call.job.retry < retries_allowed(outcome.error_kind, retries):
            again.append(sample)
        else:
            finished.append((sample, outcome))
    return Result(parsed, used, is_metered, finished, again)


def _used(outcome: ParsedReply, http_status: int | None, pricing: Pricing, at_us: int) -> tuple[Amount | None, bool]:
    usage = outcome.usage
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        tokens = usage.prompt_tokens + usage.completion_tokens
        return Amount(pricing.cost(usage, at_us) or Decimal(0), tokens), True
    has_text = bool(outcome.answer or outcome.reasoning)
    if may_be_billed_unseen(outcome.error_kind, http_status, has_text=has_text):
        return None, False
    return Amount(Decimal(0), 0), False


def replies(
    call: Call,
    result: Result,
    answer: Answered | NotAnswered,
    pricing: Pricing,
    latency_us: int,
    receipt: str | None = None,
) -> list[Reply]:
    """The rows for the journal. What several samples of one call used together is divided among them.

    The owner's receipt is for the whole call: each of its samples has it.
    """
    shares = _shares(result, len(call.job.request.samples))
    settings = call.job.request.settings
    places = {id(outcome): place for place, outcome in enumerate(result.parsed)}
    keys = dict(zip(call.job.request.samples, call.job.request.keys, strict=True))
    rows = []
    for sample, outcome in result.finished:
        usage, cost, counted_by = shares.pop(id(outcome), (Usage(), None, None))
        rows.append(
            Reply(
                key=keys[sample],
                question_id=call.job.request.question_id,
                sample=sample,
                teacher=settings.model,
                served_model=outcome.served_model,
                fingerprint=outcome.fingerprint,
                endpoint=call.base_url,
                asked_at=call.sent_at_us,
                latency_us=latency_us,
                status=outcome.status,
                error_kind=outcome.error_kind,
                reasoning_form=outcome.reasoning_form,
                finish_reason=outcome.finish_reason,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                completion_tokens=usage.completion_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                counted_by=counted_by,
                cost_usd=usd(cost) if pricing.price_id else None,
                price_id=pricing.price_id,
                receipt=receipt,
                max_tokens=settings.max_tokens,
                http_status=answer.http_status,
                choice=places[id(outcome)],
                raw=answer.body,
            )
        )
    return rows


_Share = tuple[Usage, Decimal | None, Literal["provider", "estimate"] | None]


def _shares(result: Result, samples: int) -> dict[int, _Share]:
    usage = result.first.usage
    cost = result.used.usd if result.used is not None and result.is_metered else None
    if samples == 1 or len(result.parsed) == 1:
        return {id(result.first): (usage, cost, None if usage == Usage() else "provider")}
    lengths = [len(one.answer) + len(one.reasoning or "") + 1 for one in result.parsed]
    completion = _divide(usage.completion_tokens, lengths)
    reasoning = _divide(usage.reasoning_tokens, [len(one.reasoning or "") + 1 for one in result.parsed])
    shares: dict[int, _Share] = {}
    for position, one in enumerate(result.parsed):
        first = position == 0  # the prompt was read, and paid for, once
        share = replace(
            usage,
            prompt_tokens=usage.prompt_tokens if first else None if usage.prompt_tokens is None else 0,
            cached_tokens=usage.cached_tokens if first else None if usage.cached_tokens is None else 0,
            completion_tokens=completion[position],
            reasoning_tokens=reasoning[position],
        )
        shares[id(one)] = (share, cost if first else None if cost is None else Decimal(0), "estimate")
    return shares


def _divide(total: int | None, weights: Sequence[int]) -> list[int | None]:
    """Whole numbers in proportion to the weights, whose sum is the total exactly."""
    if total is None:
        return [None] * len(weights)
    whole, given, seen, parts = sum(weights), 0, 0, []
    for weight in weights:
        seen += weight
        part = total * seen // whole - given
        given += part
        parts.append(part)
    return list(parts)
