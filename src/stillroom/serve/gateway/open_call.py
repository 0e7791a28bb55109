"""What is written down of a call, from before a model is asked until it is settled: once, whatever happens between."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

from stillroom.base.records import Call, CallStatus
from stillroom.client.usage import Usage
from stillroom.serve.gateway.admission import Admitted, amounts
from stillroom.serve.gateway.credentials import agent_name, client_address, tls_print
from stillroom.serve.gateway.exchange import Exchange
from stillroom.serve.gateway.parts import Parts
from stillroom.serve.gateway.refused import Refused
from stillroom.serve.gateway.second_reply import SecondReply
from stillroom.serve.meter.ids import new_id
from stillroom.serve.meter.segment_file import LogFull
from stillroom.serve.receipts import BegunReceipt
from stillroom.serve.routes.reply import ReplyReader
from stillroom.text.prints import EarlierPrints

Bill = Literal["what was counted", "nothing"]


class Seen(NamedTuple):
    """What is printed of a connection, until it is."""

    address: str | None
    tls: str | None


class OpenCall:
    """A call whose intent is in the log. Use `begin`, then `settle` exactly once."""

    def __init__(
        self,
        parts: Parts,
        admitted: Admitted,
        call: Call,
        seen: Seen,
        receipt: BegunReceipt,
    ) -> None:
        self.admitted = admitted
        self.call = call
        self._parts = parts
        self._seen: Seen | None = seen
        self._sketch: bytes | None = None
        self._earlier: EarlierPrints | None = None
        self._receipt = receipt
        self._began = time.perf_counter_ns()
        self._is_settled = False
        self.reader = ReplyReader(admitted.route)
        self._second: SecondReply | None = None
        self._served: list[bytes] = []
        self._served_bytes = 0

    @classmethod
    def begin(cls, parts: Parts, exchange: Exchange, admitted: Admitted, at_us: int) -> OpenCall:
        """Write the intent. Raises Refused, and gives back what was kept free, where it can't be written."""
        try:
            receipt = _begin_receipt(parts, admitted)
            call = _intent(exchange, admitted, at_us)
            parts.log.begin(call)
        except BaseException as error:
            parts.limits.release(admitted.reservation)
            if isinstance(error, LogFull):
                what = "Calls can't be written down just now, and none is served that is not."
                raise Refused("log_full", 503, what, retry_after_s=10) from error
            raise
        parts.metrics.begun()
        proxies = parts.settings.trusted_proxies
        seen = Seen(client_address(exchange, proxies), tls_print(exchange, proxies))
        open_call = cls(parts, admitted, call, seen, receipt)
        parts.printing.add(open_call.print)
        return open_call

    def print(self) -> None:
        """Add the prints and the sketch to the row, by the keys of its time. Does nothing the second time."""
        if self._seen is None:
            return
        (address, tls), self._seen = self._seen, None
        call, asked = self.call, self.admitted.asked
        prints, before = self._parts.prints.at(call.at)
        texts = prints.texts(asked.new_user_text, asked.system_text)
        call.ip_print = prints.address(address) if address else None
        call.tls_print = prints.label("tls", tls) if tls else None
        call.user_print = prints.label("user", asked.user) if asked.user else None
        call.prompt_print, call.system_print, call.skeleton_print = texts.prompt, texts.system, texts.skeleton
        call.print_key_id = prints.print_key_id
        self._sketch = texts.sketch
        if before is not None:
            self._earlier = before.earlier(address, tls, asked.user, asked.new_user_text, asked.system_text)

    async def draw_second_reply(self, bodies: dict[str | None, bytes], headers: dict[str, str]) -> None:
        """Where this call is one for the escrow. Just before its own reply is asked for."""
        escrow, admitted = self._parts.escrow, self.admitted
        if escrow is not None and escrow.wants(self.call, admitted.asked, admitted.caller):
            bounds = self._parts.settings.bounds
            self._second = await SecondReply.ask(escrow, self.call, admitted, bodies, headers, bounds)

    def keep(self, piece: bytes) -> None:
        """A piece of the reply, as it came: for the escrow, where this call is one for it.

        Nothing of one that is longer than the second reply may be: with a limit for one of the two alone, the long
        ones among the kept would all be the served.
        """
        if self._second is None:
            return
        self._served_bytes += len(piece)
        if self._served_bytes <= self._parts.settings.bounds.reply_bytes:
            self._served.append(piece)
        else:
            self._served.clear()

    def receipt(self) -> str:
        """A receipt over what was asked and said, for the client. Counts the tokens, which it states."""
        self._count()
        self.call.receipt_id, wire = self._parts.receipts.sign(
            self._receipt, self.call, served_model=self.reader.served_model, said=self.reader.said
        )
        return wire

    def settle(self, status: CallStatus, http_status: int | None, *, bill: Bill, receipt: str | None = None) -> None:
        """Write what came of it. Does nothing the second time.

        `bill`: what the reader read, or nothing, where no model worked or its server takes nothing for it.
        """
        if self._is_settled:
            return
        self._is_settled = True
        self.print()
        call, parts = self.call, self._parts
        call.status, call.http_status = status, http_status
        call.latency_us = (time.perf_counter_ns() - self._began) // 1000
        used = amounts(0, 0, None)
        if bill == "what was counted":
            self._count()
            usage = Usage(call.prompt_tokens, call.cached_tokens, call.completion_tokens, call.reasoning_tokens)
            usd = self.admitted.upstreams.pricing.cost(usage, call.at)
            call.cost_usd = None if usd is None else format(usd, "f")
            used = amounts(usage.prompt_tokens or 0, usage.completion_tokens or 0, usd)
        token = None if receipt is None else receipt.partition("~")[0]
        if self._second is None:
            parts.log.settle(call, self._sketch, token, self._earlier)
        else:
            parts.later.create(self._settle_with(self._second, token))
        parts.limits.settle(self.admitted.reservation, {**used, "concurrent": 0})
        parts.metrics.settled(call)

    async def _settle_with(self, second: SecondReply, token: str | None) -> None:
        """The row says what was sealed, so that it waits for the second reply; the client does not.

        Of a client that hung up in the middle, what it had is kept as the served one: were these calls missing, replies
        that clients do not wait for would be rarer among the served than among the sealed.
        """
        try:
            served = b"".join(self._served) if self.call.status in ("ok", "hung_up") and self._served else None
            self.call.escrow_digest = await second.seal(served)
        finally:
            self._parts.log.settle(self.call, self._sketch, token, self._earlier)

    def _count(self) -> None:
        """Tokens as the provider counted them; what it did not count, as an estimate that is called one."""
        call, usage = self.call, self.reader.usage
        if call.counted_by is not None:
            return
        call.prompt_tokens, call.cached_tokens = usage.prompt_tokens, usage.cached_tokens
        call.completion_tokens, call.reasoning_tokens = usage.completion_tokens, usage.reasoning_tokens
        call.counted_by = "provider"
        if call.prompt_tokens is None:
            call.prompt_tokens, call.counted_by = self.admitted.asked.prompt_token_estimate, "estimate"
        if call.completion_tokens is None:
            call.completion_tokens, call.counted_by = self.reader.estimated_completion_tokens, "estimate"


def _begin_receipt(parts: Parts, admitted: Admitted) -> BegunReceipt:
    asked = admitted.asked
    try:
        return parts.receipts.begin(asked.prompt, asked.last_user_text or None, admitted.body)
    except ValueError as error:
        raise Refused("bad_text", 400, f"This request has a text that can't be signed for: {error}.") from error


def _intent(exchange: Exchange, admitted: Admitted, at_us: int) -> Call:
    """The row as it is known before a model is asked, without its prints."""
    caller, asked = admitted.caller, admitted.asked
    return Call(
        call_id=new_id(at_us),
        at=at_us,
        account=caller.account,
        organisation=caller.organisation,
        key_id=caller.key_id,
        model=asked.model,
        route=admitted.route,
        stream=asked.stream,
        turns=asked.turns,
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        n=asked.n,
        asks_reasoning=asked.asks_reasoning,
        asks_logprobs=asked.asks_logprobs,
        asks_grading=asked.asks_grading,
        ip_print=None,
        tls_print=None,
        agent=agent_name(exchange),
        billing_print=caller.billing_print,
        user_print=None,
        prompt_print=None,
        system_print=None,
        skeleton_print=None,
        print_key_id=None,
        permit_id=admitted.permit.jti if admitted.permit else None,
    )
