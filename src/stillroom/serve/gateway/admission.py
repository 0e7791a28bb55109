"""Everything that is decided before a model is asked: who it is, what they ask for, and whether they may."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from stillroom.base.permit import PERMIT_HEADER, Permit
from stillroom.base.records import Route
from stillroom.client.usage import Usage
from stillroom.serve.accounts.caller import AccountLimits, Caller
from stillroom.serve.gateway.credentials import presented_key
from stillroom.serve.gateway.exchange import BodyTooLargeError, Exchange
from stillroom.serve.gateway.parts import Parts
from stillroom.serve.gateway.refused import Refused
from stillroom.serve.gateway.upstream import Upstreams
from stillroom.serve.limits.bound import Bound, LimitName, LimitReached, LimitsUnavailable, permit_subject
from stillroom.serve.limits.leases import Reservation
from stillroom.serve.meter.cost import nano_usd
from stillroom.serve.permits.desk import PermitRefused
from stillroom.serve.routes.request import AskedFor, read_body, read_request

_NANO = 10**9
_WORDS: Mapping[LimitName, str] = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "concurrent": "calls at once",
    "nano_usd_per_day": "budget for the day",
    "nano_usd_per_month": "budget for the month",
    "permit_calls": "calls of the permit",
    "permit_tokens": "tokens of the permit",
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made, with what is kept free for it."""

    caller: Caller
    permit: Permit | None
    route: Route
    asked: AskedFor
    body: dict[str, Any]
    raw: bytes
    """The body as it came."""
    upstreams: Upstreams
    reservation: Reservation


async def find_caller(parts: Parts, exchange: Exchange) -> Caller:
    """Raises Refused."""
    key = presented_key(exchange)
    if not parts.directory.fresh:
        raise Refused("accounts_unavailable", 503, "The accounts can't be read just now. Try again.", retry_after_s=1)
    caller = parts.directory.find(key)
    if caller is None and parts.directory.refusal(key).code == "invalid_api_key":
        # It may have been made this moment; and who guesses at keys is slowed down.
        await parts.directory.catch_up()
        caller = parts.directory.find(key)
    if caller is None:
        refusal = parts.directory.refusal(key)
        raise Refused(refusal.code, refusal.status, refusal.message)
    return caller


async def admit(parts: Parts, exchange: Exchange, route: Route, now_us: int) -> Admitted:
    """Raises Refused or another ApiError; HungUp where the client went away meanwhile."""
    caller = await find_caller(parts, exchange)
    _check_terms(parts, caller)
    raw = await _read_body(exchange)
    body = read_body(raw)
    asked = read_request(route, body)
    upstreams = _find_model(parts, caller, route, asked.model)
    permit = await _check_permit(parts, exchange, caller, asked.model, now_us // 1_000_000)
    bounds = [*account_bounds(caller.account, caller.limits), *permit_bounds(permit)]
    reservation = await _reserve(parts, bounds, _most(asked, route, upstreams, now_us))
    return Admitted(caller, permit, route, asked, body, raw, upstreams, reservation)


def amounts(prompt_tokens: int, completion_tokens: int, usd: Decimal | None) -> dict[LimitName, int]:
    """What one call uses of each limit."""
    tokens = prompt_tokens + completion_tokens
    nano = nano_usd(usd)
    return {
        "requests_per_minute": 1,
        "tokens_per_minute": tokens,
        "concurrent": 1,
        "nano_usd_per_day": nano,
        "nano_usd_per_month": nano,
        "permit_calls": 1,
        "permit_tokens": tokens,
    }


@lru_cache(maxsize=4096)
def account_bounds(account: str, limits: AccountLimits) -> tuple[Bound, ...]:
    most: dict[LimitName, int | None] = {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "concurrent": limits.concurrent,
        "nano_usd_per_day": _nano(limits.usd_per_day),
        "nano_usd_per_month": _nano(limits.usd_per_month),
    }
    return tuple(Bound(account, name, value) for name, value in most.items() if value is not None)


def permit_bounds(permit: Permit | None) -> list[Bound]:
    if permit is None:
        return []
    subject = permit_subject(permit.jti)
    most: dict[LimitName, int | None] = {"permit_calls": permit.calls, "permit_tokens": permit.tokens}
    return [Bound(subject, name, value) for name, value in most.items() if value is not None]


def _nano(usd: Decimal | None) -> int | None:
    return None if usd is None else math.floor(usd * _NANO)


def _check_terms(parts: Parts, caller: Caller) -> None:
    wanted = parts.settings.terms_version
    if wanted is not None and caller.terms_version != wanted:
        what = f"This account has not accepted the terms of version {wanted}."
        raise Refused("terms_not_accepted", 403, f"{what} Accept them, or ask whoever administers the account.")


async def _read_body(exchange: Exchange) -> bytes:
    try:
        return await exchange.body()
    except BodyTooLargeError as error:
        raise Refused("request_too_large", 413, f"Too much: {error}.") from error
    except ValueError as error:
        raise Refused("bad_header", 400, f"Bad request: {error}.") from error


def _find_model(parts: Parts, caller: Caller, route: Route, name: str) -> Upstreams:
    upstreams = parts.models.get(name)
    if upstreams is None or (caller.models is not None and name not in caller.models):
        raise Refused("model_not_found", 404, f"There is no model {name!r} for this key.", param="model")
    if route not in upstreams.model.routes:
        routes = ", ".join(upstreams.model.routes)
        raise Refused("wrong_route", 404, f"{name} does not answer here, but on: {routes}.", param="model")
    return upstreams


async def _check_permit(parts: Parts, exchange: Exchange, caller: Caller, model: str, now: int) -> Permit | None:
    try:
        wire = exchange.header(PERMIT_HEADER.encode())
    except ValueError as error:
        raise Refused("bad_header", 400, f"Bad request: {error}.") from error
    if wire is None:
        return None
    try:
        return parts.permits.check(wire, caller, model, now)
    except PermitRefused as error:
        if error.reason != "permit_refused":
            raise
        await parts.permits.catch_up()  # it may have been issued this moment
        return parts.permits.check(wire, caller, model, now)


def _most(asked: AskedFor, route: Route, upstreams: Upstreams, now_us: int) -> dict[LimitName, int]:
    """The most that a call can use: what is kept free for it until it is known."""
    completion = asked.most_completion_tokens
    if completion is None:
        completion = 0 if route == "embeddings" else upstreams.model.max_output_tokens * asked.replies
    prompt = asked.prompt_token_estimate
    return amounts(prompt, completion, upstreams.pricing.cost(Usage(prompt, None, completion, None), now_us))


async def _reserve(parts: Parts, bounds: list[Bound], most: Mapping[LimitName, int]) -> Reservation:
    try:
        return parts.limits.try_reserve(bounds, most) or await parts.limits.reserve(bounds, most)
    except LimitReached as error:
        is_money = "nano_usd" in error.name
        code = "permit_spent" if error.name.startswith("permit") else "budget_reached" if is_money else error.name
        raise Refused(code, 429, _in_words(error.name, bounds, most), retry_after_s=error.retry_after_s) from error
    except LimitsUnavailable as error:
        raise Refused(
            "limits_unavailable", 503, "Limits can't be counted just now. Try again.", retry_after_s=1
        ) from error


def _in_words(name: LimitName, bounds: list[Bound], most: Mapping[LimitName, int]) -> str:
    """Waiting does not help who asks for more than a limit ever allows: that is another thing than a limit in use."""
    allowed = next(bound.most for bound in bounds if bound.name == name)
    if 0 < allowed < most[name]:
        return f"This request alone may pass the limit: {_WORDS[name]}. Name a smaller max_tokens, or send less."
    return f"The limit is reached: {_WORDS[name]}."
