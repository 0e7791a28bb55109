"""The gateway as an ASGI application: which path is whose, and errors in the shape that each path's clients expect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

import orjson

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.records import Route
from stillroom.serve.gateway.admission import admit, find_caller
from stillroom.serve.gateway.exchange import Exchange, HungUp, Receive, Send
from stillroom.serve.gateway.open_call import OpenCall
from stillroom.serve.gateway.parts import Parts
from stillroom.serve.gateway.passing_on import pass_on
from stillroom.serve.gateway.refused import Refused
from stillroom.serve.routes.errors import ApiError
from stillroom.serve.routes.openapi import openapi

_CALLS: Final[Mapping[str, Route]] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "messages",
}
_PUBLIC_S = b"public, max-age=300"


class Gateway:
    """One worker's application. `drains`: set when it is about to stop, so that nobody sends it more."""

    def __init__(self, parts: Parts, clock: Clock | None = None) -> None:
        self._parts = parts
        self._clock = clock or SystemClock()
        self.drains = False
        self._looks_up = asyncio.Lock()
        self._openapi = orjson.dumps(openapi(parts.settings.owner))
        self._pages: Mapping[str, Callable[[Exchange], Awaitable[None]]] = {
            "/v1/models": self._models,
            "/.well-known/jwks.json": self._jwks,
            "/openapi.json": self._describe,
            "/health": self._health,
            "/ready": self._ready,
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self._parts.settings.bounds)
        route = _CALLS.get(exchange.path)
        try:
            if route is not None:
                await self._call(exchange, route)
            else:
                await self._page(exchange)
        except ApiError as error:
            await self._refuse(exchange, error, route or _shape(exchange))
        except HungUp:
            pass

    async def _call(self, exchange: Exchange, route: Route) -> None:
        _allow(exchange, "POST")
        at_us = self._clock.now_us()
        admitted = await admit(self._parts, exchange, route, at_us)
        if exchange.connection.is_lost:
            self._parts.limits.release(admitted.reservation)
            return
        open_call = OpenCall.begin(self._parts, exchange, admitted, at_us)
        await pass_on(self._parts, exchange, admitted, open_call)

    async def _page(self, exchange: Exchange) -> None:
        page = self._pages.get(exchange.path)
        if page is None:
            name, _, rest = exchange.path.lstrip("/").partition("/")
            if name == "receipts" and rest and "/" not in rest:
                page = self._receipt
            elif exchange.path.startswith("/v1/models/"):
                page = self._model
            else:
                raise Refused("not_found", 404, "There is nothing at this address.")
        _allow(exchange, "GET")
        await page(exchange)

    async def _refuse(self, exchange: Exchange, error: ApiError, shape: Route) -> None:
        self._parts.metrics.refused(error.code or "bad_request")
        if exchange.status is not None:
            return
        headers = [(b"content-type", b"application/json")]
        retry_after_s = error.retry_after_s if isinstance(error, Refused) else None
        if retry_after_s is not None:
            headers.append((b"retry-after", str(retry_after_s).encode()))
        if error.status == 405:
            headers.append((b"allow", b"POST" if exchange.path in _CALLS else b"GET"))
        with suppress(HungUp):
            await exchange.respond(error.status, error.body(shape), headers)

    async def _models(self, exchange: Exchange) -> None:
        caller = await find_caller(self._parts, exchange)
        names = [name for name in self._parts.models if caller.models is None or name in caller.models]
        if _shape(exchange) == "messages":
            rows = [_anthropic_model(name) for name in names]
            page = {"has_more": False, "first_id": names[0] if names else None, "last_id": names[-1] if names else None}
            await exchange.respond_json(200, {"data": rows, **page})
        else:
            await exchange.respond_json(200, {"object": "list", "data": [self._openai_model(name) for name in names]})

    async def _model(self, exchange: Exchange) -> None:
        caller = await find_caller(self._parts, exchange)
        name = unquote(exchange.path.removeprefix("/v1/models/"))
        if name not in self._parts.models or (caller.models is not None and name not in caller.models):
            raise Refused("model_not_found", 404, "There is no such model for this key.", param="model")
        is_anthropic = _shape(exchange) == "messages"
        await exchange.respond_json(200, _anthropic_model(name) if is_anthropic else self._openai_model(name))

    def _openai_model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 0, "owned_by": self._parts.settings.owner}

    async def _receipt(self, exchange: Exchange) -> None:
        """A receipt again, to the account that made the call. To anybody else it is not there."""
        caller = await find_caller(self._parts, exchange)
        receipt_id = exchange.path.rpartition("/")[2]
        async with self._looks_up:  # one after the other: many at once would slow down everybody's calls
            found = await asyncio.to_thread(self._parts.log.receipt, receipt_id)
        if found is None or found[0] != caller.account:
            raise Refused("receipt_not_found", 404, "There is no such receipt for this key.")
        await exchange.respond_json(200, {"id": receipt_id, "receipt": self._parts.receipts.again(found[1])})

    async def _jwks(self, exchange: Exchange) -> None:
        """The keys, and with them which permits were revoked: whoever verifies a data set wants both."""
        published = {**self._parts.keyring.jwks(), "revoked_permits": self._parts.permits.revoked()}
        await exchange.respond_json(200, published, [(b"cache-control", _PUBLIC_S)])

    async def _describe(self, exchange: Exchange) -> None:
        await exchange.respond(200, self._openapi)

    async def _health(self, exchange: Exchange) -> None:
        """Whether this process answers at all."""
        await exchange.respond_json(200, {"status": "ok"})

    async def _ready(self, exchange: Exchange) -> None:
        """Whether calls should be sent here."""
        parts = self._parts
        reasons = {
            "draining": self.drains,
            "accounts_unavailable": not (parts.directory.fresh and parts.permits.fresh),
            "log_full": parts.log.state().refusing is not None,
            "upstreams_down": all(upstreams.up == 0 for upstreams in parts.models.values()),
        }
        against = [reason for reason, holds in reasons.items() if holds]
        await exchange.respond_json(503 if against else 200, {"ready": not against, "reasons": against})


def _allow(exchange: Exchange, method: str) -> None:
    if exchange.method != method:
        raise Refused("method_not_allowed", 405, f"{exchange.method} is not answered here, only {method}.")


def _shape(exchange: Exchange) -> Route:
    """Anthropic's clients say so in a header; all others expect OpenAI's shapes."""
    is_anthropic = exchange.last_header(b"anthropic-version") or exchange.path.startswith("/v1/messages/")
    return "messages" if is_anthropic else "chat"


def _anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
