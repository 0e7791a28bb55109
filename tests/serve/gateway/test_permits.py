"""A permit in a running gateway of two workers: shown, counted, refused, revoked; its receipts, by changing keys."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jws

from stillroom.admin_api import AdminApi
from stillroom.base.permit import Permit, read_permit
from stillroom.base.receipt import Receipt, read_receipt
from stillroom.base.signatures import PublicKeys
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.keyring import Keyring

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import Key, ModelServer, RunningGateway, Start

US = 1_000_000


@dataclass
class Office:
    gateway: RunningGateway
    api: AdminApi
    key: Key

    def issue(self, **limits: int) -> tuple[str, Permit]:
        """The permit as it is shown, and what it says."""
        new = {
            "organisation": self.gateway.organisations["Acme"],
            "accounts": [self.key.account],
            "models": ["m"],
            "purpose": "a test",
            "student": "small",
            "expires_at": int(time.time() + 3600) * US,
            **limits,
        }
        token = self.api.post("/v1/permits", new)["token"]
        return token, read_permit(token, self.published()[0], int(time.time()))

    def ask(
        self, permit: str | None, key: str | None = None, stream: bool = False
    ) -> tuple[int, bytes, dict[str, str]]:
        plan = json.dumps({"say": ["fine ", "words"]})
        body = {"model": "m", "messages": [{"role": "user", "content": plan}], "stream": stream}
        headers = {} if permit is None else {"x-stillroom-permit": permit}
        return self.gateway.post("/v1/chat/completions", body, key or self.key.key, headers)

    def is_under(self, permit: Permit, wire: str) -> bool:
        receipt = self.receipt(wire)
        return (receipt.iss, receipt.permit) == (permit.iss, permit.jti) and receipt.sub in permit.accounts

    def receipt(self, wire: str) -> Receipt:
        return read_receipt(wire, self.published()[0], int(time.time()))[0]

    def published(self) -> tuple[PublicKeys, dict[str, Any]]:
        data = self.gateway.get("/.well-known/jwks.json")[1]
        return PublicKeys.from_jwks(data, "the gateway"), json.loads(data)

    def refusals(self, permit: str, times: int = 1) -> set[tuple[int, str | None]]:
        """Status and code of so many calls, on connections of their own, which workers take in turn."""
        answers = [self.ask(permit) for _ in range(times)]
        return {(status, json.loads(body)["error"]["code"] if status >= 400 else None) for status, body, _ in answers}


@pytest.fixture
def office(start_gateway: Start, model: ModelServer) -> Office:
    gateway = start_gateway(model.url, workers=2)
    with changing(gateway.engine, "test") as change:
        hashes = KeyHashes(gateway.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="Otto", role="operator", organisation=None)
    return Office(gateway, AdminApi(gateway.admin_url, admin.text), gateway.key())


def test_a_permit_from_its_issue_to_its_end(office: Office) -> None:
    token, permit = office.issue(calls=3)
    free, _ = office.issue()
    _wait_until(lambda: office.refusals(free, 8) == {(200, None)})

    # counted, and what was made under it says so
    status, _, headers = office.ask(token)
    assert status == 200
    assert office.is_under(permit, headers["x-stillroom-receipt"])
    status, stream, _ = office.ask(token, stream=True)
    (comment,) = [line for line in stream.split(b"\n") if line.startswith(b": stillroom-receipt ")]
    assert office.is_under(permit, comment.split()[-1].decode())
    assert office.ask(token)[0] == 200
    assert office.refusals(token, 8) == {(429, "permit_spent")}
    assert office.receipt(office.ask(None)[2]["x-stillroom-receipt"]).permit is None

    # never passed over
    other = office.gateway.key("other")
    _wait_until(lambda: b'"permit_not_yours"' in office.ask(free, other.key)[1])
    assert office.refusals(free[:-1] + ("A" if free[-1] != "A" else "B")) == {(403, "permit_refused")}
    assert office.refusals("nonsense") == {(403, "permit_refused")}

    # keys change, and what older ones signed stays good
    old = office.ask(free)[2]["x-stillroom-receipt"]
    new_kid = Keyring.open(office.gateway.state).rotate().kid
    _wait_until(lambda: {_kid(office.ask(free)[2]["x-stillroom-receipt"]) for _ in range(8)} == {new_kid})
    assert office.receipt(old).permit == office.receipt(office.ask(free)[2]["x-stillroom-receipt"]).permit

    # revoked: on both workers
    free_id = office.receipt(old).permit
    office.api.post(f"/v1/permits/{free_id}/revoke")
    _wait_until(lambda: office.refusals(free, 8) == {(403, "permit_revoked")})
    _wait_until(lambda: [each["jti"] for each in office.published()[1]["revoked_permits"]] == [free_id])

    assert office.gateway.stop() == ""
    permits = [row["permit_id"] for row in office.gateway.calls()]
    assert permits.count(permit.jti) == 3
    assert permits.count(None) == 1
    assert set(permits) == {permit.jti, free_id, None}


def _kid(wire: str) -> str:
    """What a receipt says of its key, whoever signed it."""
    return str(jws.extract_compact(wire.partition("~")[0].encode()).protected["kid"])


def _wait_until(condition: Any) -> None:
    from tests.serve.gateway.conftest import wait_until

    wait_until(condition)
