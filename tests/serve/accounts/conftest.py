"""Accounts for tests, made by the functions that the admin API calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine

from stillroom.base.clock import SystemClock
from stillroom.serve.accounts.account_keys import create_key, revoke_key, rotate_key
from stillroom.serve.accounts.accounts import create_account
from stillroom.serve.accounts.admins import THE_MACHINE
from stillroom.serve.accounts.events import Change, changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.organisations import create_organisation
from stillroom.store.secrets import Secrets


class HandClock(SystemClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now_us(self) -> int:
        return int(self.seconds * 1e6)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Office:
    """Makes changes as the owner does, each in a transaction of its own."""

    engine: Engine
    secrets: Secrets = field(default_factory=lambda: Secrets(b"s" * 32))
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.hashes = KeyHashes(self.secrets, "sr")

    def do(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        with changing(self.engine, "an owner", self.clock) as change:
            return function(change, *args, **kwargs)

    def organisation(self, name: str = "Acme") -> str:
        return str(self.do(create_organisation, name))

    def account(self, organisation: str | None = None, name: str = "research", **settings: Any) -> str:
        terms = {key: settings.pop(key) for key in ("terms_version", "billing") if key in settings}
        place = organisation or self.organisation()
        return str(self.do(create_account, place, THE_MACHINE, {"name": name, **settings}, **terms))

    def key(self, account: str, expires_at: int | None = None) -> tuple[str, str]:
        """Its id and its text."""

        def make(change: Change) -> tuple[str, str]:
            key_id, key = create_key(change, self.hashes, account, THE_MACHINE, name=None, expires_at=expires_at)
            return key_id, key.text

        key_id, text = self.do(make)
        return key_id, text

    def rotate(self, key_id: str, grace_s: int, expires_at: int | None = None) -> tuple[str, str]:
        new_id, key = self.do(rotate_key, self.hashes, key_id, THE_MACHINE, grace_s=grace_s, expires_at=expires_at)
        return new_id, key.text

    def revoke(self, key_id: str) -> None:
        self.do(revoke_key, key_id, THE_MACHINE)


@pytest.fixture
def office(engine: Engine) -> Office:
    return Office(engine)
