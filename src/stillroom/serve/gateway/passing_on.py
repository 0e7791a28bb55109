"""From the model's server to the client: whole, or as it comes. Nothing of a reply is changed.

A reply ends for the client only after its call is settled: the log never lacks a call that somebody got a reply to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import ClientResponse

from stillroom.base.errors import StoreError
from stillroom.base.receipt import RECEIPT_HEADER
from stillroom.base.records import Route
from stillroom.serve.gateway.admission import Admitted
from stillroom.serve.gateway.exchange import Exchange, HungUp
from stillroom.serve.gateway.open_call import OpenCall
from stillroom.serve.gateway.parts import Parts
from stillroom.serve.gateway.refused import Refused
from stillroom.serve.gateway.upstream import NOT_ANSWERED, FirstAnswer, UpstreamFailed
from stillroom.serve.gateway.while_connected import WhileConnected
from stillroom.serve.gateway.whole import read_whole
from stillroom.serve.receipts import MOST_BYTES_IN_HEADER
from stillroom.serve.routes.errors import error_event
from stillroom.serve.routes.events import EventSplitter, is_last_event, is_usage_event
from stillroom.serve.routes.request import upstream_body

# No idempotency-key: all accounts ask with the upstream's one key, and by it one would get another's reply.
_PASSED_TO_UPSTREAM: Final = (b"anthropic-version", b"anthropic-beta", b"openai-beta", b"accept")
_PASSED_TO_CLIENT: Final = ("content-type", "x-request-id", "request-id")
_RECEIPT, _RECEIPT_ID = RECEIPT_HEADER.encode(), b"x-stillroom-receipt-id"
_CALL = b"x-stillroom-call"
_WITH_USAGE: Final = ("chat", "completions")
_BROKEN = "The model's server broke off."
_TOO_SLOW = "The model's server took too long."


async def pass_on(parts: Parts, exchange: Exchange, admitted: Admitted, open_call: OpenCall) -> None:
    """Ask a model's server and answer the client. The call is settled when this returns, or raises.

    Raises Refused, with nothing sent yet, where no server gives an answer; HungUp where the client is gone.
    """
    try:
        await _Passing(parts, exchange, admitted, open_call).run()
    except TimeoutError as error:
        open_call.settle("failed", exchange.status, bill="what was counted")
        if exchange.status is None:
            raise Refused("upstream_too_slow", 504, _TOO_SLOW) from error
        await exchange.write(b"\n\n" + error_event(admitted.route, 504, _TOO_SLOW, "upstream_too_slow"), more=False)
    except UpstreamFailed as error:
        open_call.settle("failed", None, bill="nothing")
        if error.busy:
            what = "The model's servers are busy. Try again later."
            raise Refused("upstream_busy", 429, what, retry_after_s=_seconds(error.retry_after)) from error
        raise Refused("upstream_failed", 502, "The model's servers can't be reached, or fail. Try again.") from error
    except HungUp:
        open_call.settle("hung_up", exchange.status, bill="what was counted")
        raise
    finally:
        # Whatever else ended it (the worker was told to stop): what was said until now was worked for.
        open_call.settle("failed", exchange.status, bill="what was counted")


class _Passing:
    def __init__(self, parts: Parts, exchange: Exchange, admitted: Admitted, open_call: OpenCall) -> None:
        self._parts = parts
        self._exchange = exchange
        self._admitted = admitted
        self._open = open_call
        self._route: Route = admitted.route
        self._adds_usage = admitted.asked.stream and self._route in _WITH_USAGE and not admitted.asked.include_usage

    async def run(self) -> None:
        admitted, bounds = self._admitted, self._parts.settings.bounds
        bodies, headers = _bodies(admitted), {**_headers(self._exchange), **await self._mark()}
        await self._open.draw_second_reply(bodies, headers)
        body: bytes | None = None
        async with (
            WhileConnected(self._exchange, bounds.call_s),
            FirstAnswer(admitted.upstreams, self._route, bodies, headers) as response,
        ):
            if admitted.asked.stream and response.status == 200 and _is_event_stream(response):
                last = await self._stream(response)
            else:
                body = await read_whole(response, bounds.reply_bytes)
        if body is None:
            await self._exchange.write(last, more=False)
        else:
            await self._respond(response, body)

    async def _mark(self) -> Mapping[str, str]:
        """What tells a model of ours to mark this account's replies, over all other headers: no client chooses it."""
        try:
            return await self._parts.marks.headers(self._admitted.asked.model, self._admitted.caller.account)
        except StoreError as error:
            what = "The mark of this reply can't be written down just now, and none is served that is not."
            raise Refused("log_full", 503, what, retry_after_s=10) from error

    async def _respond(self, response: ClientResponse, body: bytes) -> None:
        """A reply that is no stream, or the server's refusal of this request."""
        headers = [*_answer_headers(response), (_CALL, self._open.call.call_id.encode())]
        if response.status == 200:
            reader = self._open.reader
            reader.whole(body)
            self._open.keep(body)
            wire = self._open.receipt() if reader.may_be_signed else None
            if wire is not None:
                headers.append((_RECEIPT_ID, str(self._open.call.receipt_id).encode()))
                if len(wire) <= MOST_BYTES_IN_HEADER:
                    headers.append((_RECEIPT, wire.encode()))
            self._open.settle(reader.outcome, 200, bill="what was counted", receipt=wire)
        else:
            self._open.settle("refused", response.status, bill="nothing")
            body = self._admitted.upstreams.without_secrets(body)
        await self._exchange.respond(response.status, body, headers)

    async def _stream(self, response: ClientResponse) -> bytes:
        """Pass the events on as they come. Returns what is left to be sent: the receipt and the last event."""
        headers = [*_answer_headers(response), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await self._exchange.begin(200, [*headers, (_CALL, self._open.call.call_id.encode())])
        splitter, reader = EventSplitter(), self._open.reader
        try:
            while chunk := await response.content.readany():
                passed: list[bytes] = []
                for event in splitter.feed(chunk):
                    self._open.keep(event)
                    if is_last_event(self._route, event):
                        if passed:
                            await self._exchange.write(b"".join(passed))
                        reader.feed_event(event)
                        return self._ended(event)
                    reader.feed_event(event)
                    if not (self._adds_usage and is_usage_event(event)):
                        passed.append(event)
                if passed:
                    await self._exchange.write(b"".join(passed))
            left = splitter.rest()
            self._open.keep(left)
            reader.feed_event(left)
            if reader.finished:  # some servers leave out the last event, or its blank line
                return self._ended(b"" if self._adds_usage and is_usage_event(left) else left)
        except NOT_ANSWERED:
            left = splitter.rest()  # it broke off: the client is told below
        self._open.settle("failed", 200, bill="what was counted")
        return left + b"\n\n" + error_event(self._route, 502, _BROKEN, "upstream_failed")

    def _ended(self, last: bytes) -> bytes:
        reader = self._open.reader
        if not reader.may_be_signed:
            self._open.settle(reader.outcome, 200, bill="what was counted")
            return last
        wire = self._open.receipt()
        self._open.settle(reader.outcome, 200, bill="what was counted", receipt=wire)
        return b": stillroom-receipt " + wire.encode() + b"\n\n" + last


def _bodies(admitted: Admitted) -> dict[str | None, bytes]:
    """The request for each name that the model has at its servers."""
    names = {upstream.model for upstream in admitted.upstreams.model.upstreams} | {None}
    return {name: upstream_body(admitted.raw, admitted.body, admitted.asked, name) for name in names}


def _headers(exchange: Exchange) -> dict[str, str]:
    values = ((name.decode(), exchange.last_header(name)) for name in _PASSED_TO_UPSTREAM)
    return {name: value for name, value in values if value is not None}


def _answer_headers(response: ClientResponse) -> list[tuple[bytes, bytes]]:
    values = ((name.encode(), response.headers.get(name)) for name in _PASSED_TO_CLIENT)
    # Others than plain letters would end the response, or make two of it.
    return [(name, value.encode()) for name, value in values if value and value.isascii() and value.isprintable()]


def _is_event_stream(response: ClientResponse) -> bool:
    return (response.headers.get("content-type") or "").startswith("text/event-stream")


def _seconds(told: str | None) -> int | None:
    return int(told) if told is not None and told.isascii() and told.isdigit() and len(told) < 6 else None
