"""A gateway's state folder with calls whose second replies are sealed, as its worker writes them; nothing is served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from tests.probe.bodies import request, whole

from stillroom.base.escrow_commitment import Coin
from stillroom.base.records import Call, Route
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.keyring import Keyring
from stillroom.serve.meter.call_log import CallLog
from stillroom.serve.meter.chain import RECORD_TYPE
from stillroom.serve.meter.ids import new_id
from stillroom.serve.meter.sealing import seal
from stillroom.serve.settings import EscrowSettings, GatewaySettings
from stillroom.store.secrets import Secrets
from stillroom.text.prints import EarlierPrints

START_US = 1_790_000_000_000_000
EARLIER = EarlierPrints("2026q3-0", "b1" * 16, None, None, "b2" * 16, None, None, bytes(64))


@dataclass
class EscrowingGateway:
    state: Path
    keyring: Keyring
    log: CallLog
    escrow: Escrow
    ids: list[str] = field(default_factory=list)
    """Of the calls that were served, in their order."""

    def next_segment(self) -> None:
        """Have what was served until now sealed."""
        self.log.close()
        self.log = open_log(self.state, self.keyring)

    @property
    def settings(self) -> GatewaySettings:
        return GatewaySettings(owner="Abacus", state=self.state, escrow=EscrowSettings(share=1))

    def serve(
        self,
        question: str,
        first: str | bytes,
        second: str | bytes | None,
        coin: Coin = 0,
        *,
        account: str = "acct_1",
        route: Route = "chat",
        in_log: bool = True,
        sent: bytes | None = None,
        **of_the_row: Any,
    ) -> str:
        """One call, with what the model said in the order drawn; `second` None: nothing is sealed. Returns its id."""
        at = START_US + len(self.ids) * 1_000_000
        body = sent if sent is not None else request(route, question)
        call = a_call(new_id(at), account, at, route, **of_the_row)
        self.ids.append(call.call_id)
        if second is not None:
            one, other = (each if isinstance(each, bytes) else whole(route, each) for each in (first, second))
            served, sealed = (one, other) if coin == 0 else (other, one)
            call.escrow_digest = asyncio.run(
                self.escrow.seal(call.call_id, account, served=served, sealed=sealed, request=body, coin=coin)
            )
        if in_log:
            self.log.begin(call)
            call.receipt_id = new_id(at)
            self.log.settle(call, sketch=bytes(64), receipt=f"receipt of {call.call_id}", earlier=EARLIER)
        return call.call_id


def a_call(call_id: str, account: str, at: int, route: Route, **more: Any) -> Call:
    required = {each.name: None for each in fields(Call) if each.default is MISSING}
    known: dict[str, Any] = {"call_id": call_id, "account": account, "at": at, "route": route, "model": "m"}
    known |= {"organisation": f"org of {account}", "key_id": f"key of {account}", "stream": False}
    return Call(**{**required, **known, "temperature": 1.0, "status": "ok", "http_status": 200, **more})


def open_log(state: Path, keyring: Keyring) -> CallLog:
    return CallLog(state / "calls" / "w0", sign=lambda record: keyring.active.sign(RECORD_TYPE, record))


@contextmanager
def escrowing_gateway(folder: Path) -> Iterator[EscrowingGateway]:
    """Its log is sealed when the block ends; in this process, which spares a second for each segment."""
    state = folder / "state"
    state.mkdir()
    keyring = Keyring.open(state)
    escrow = Escrow(state / FOLDER, Secrets.open(state), EscrowSettings(share=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stillroom.serve.meter.sealer.written_by_a_child", seal)
        gateway = EscrowingGateway(state, keyring, open_log(state, keyring), escrow)
        try:
            yield gateway
        finally:
            gateway.log.close()
