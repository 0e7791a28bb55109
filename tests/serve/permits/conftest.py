"""An owner who issues permits to one organisation with two accounts, and a worker's desk, on both databases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from stillroom.base.clock import SystemClock
from stillroom.serve.accounts.accounts import create_account
from stillroom.serve.accounts.admins import THE_MACHINE
from stillroom.serve.accounts.caller import AccountLimits, Caller
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.organisations import create_organisation
from stillroom.serve.accounts.rows import AdminRow
from stillroom.serve.keyring import Keyring
from stillroom.serve.permits.desk import PermitDesk
from stillroom.serve.permits.issuing import issue_permit, permit_of, revoke_permit
from stillroom.serve.permits.rows import SECOND, NewPermit
from stillroom.serve.pseudonyms import Pseudonyms
from stillroom.store.secrets import Secrets

NOW = 1_800_000_000


class HandClock(SystemClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = float(NOW)

    def now_us(self) -> int:
        return int(self.seconds * 1e6)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Owner:
    engine: Engine
    secrets: Secrets
    keyring: Keyring
    clock: HandClock

    def __post_init__(self) -> None:
        self.organisation = self.do(create_organisation, "Somewhere University")
        self.alice = self.account("alice")
        self.bob = self.account("bob")

    def do(self, function: Any, *args: Any, **kwargs: Any) -> str:
        with changing(self.engine, "the owner", self.clock) as change:
            return str(function(change, *args, **kwargs))

    def account(self, name: str, organisation: str | None = None) -> str:
        return self.do(create_account, organisation or self.organisation, THE_MACHINE, {"name": name})

    def issue(self, admin: AdminRow = THE_MACHINE, **changes: Any) -> str:
        new = {
            "organisation": self.organisation,
            "accounts": [self.alice],
            "models": ["abacus"],
            "purpose": "a tutor for fractions",
            "student": "fraction-tutor",
            "expires_at": (NOW + 3600) * SECOND,
            **changes,
        }
        pseudonyms = Pseudonyms(self.secrets)
        return self.do(
            issue_permit,
            NewPermit.model_validate(new),
            admin,
            keyring=self.keyring,
            pseudonyms=pseudonyms,
            owner="Abacus Models",
        )

    def revoke(self, permit_id: str, reason: str | None = None) -> None:
        self.do(revoke_permit, permit_id, THE_MACHINE, reason)

    def token(self, permit_id: str) -> str:
        with self.engine.connect() as connection:
            return str(permit_of(connection, permit_id, THE_MACHINE)["token"])

    def desk(self, engine: Engine | None = None) -> PermitDesk:
        desk = PermitDesk(engine or self.engine, self.secrets, self.keyring, self.clock)
        desk.read_changes()
        return desk


@pytest.fixture
def owner(engine: Engine, tmp_path: Path) -> Owner:
    clock = HandClock()
    return Owner(engine, Secrets(b"s" * 32), Keyring.open(tmp_path / "state", clock), clock)


def caller(account: str) -> Caller:
    return Caller(
        account=account,
        organisation="org",
        key_id="key",
        limits=AccountLimits(),
        models=None,
        retention=False,
        terms_version=None,
        billing_print=None,
    )


@pytest.fixture
def alice(owner: Owner) -> Caller:
    return caller(owner.alice)


@pytest.fixture
def bob(owner: Owner) -> Caller:
    return caller(owner.bob)
