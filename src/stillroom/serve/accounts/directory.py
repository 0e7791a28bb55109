"""Which key belongs to whom, in the memory of each worker, and never older than two seconds.

The promise: two seconds after a key was revoked, no worker lets it in. How it is held is `Following`'s to tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, select

from stillroom.base.clock import Clock, SystemClock
from stillroom.serve.accounts.caller import AccountLimits, Caller, Refusal
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.tables import account_events, accounts, keys, organisations
from stillroom.serve.database.following import Following
from stillroom.store.secrets import Secrets

_EVENTS_AT_ONCE = 2000
_IDS_AT_ONCE = 500

_UNKNOWN = Refusal(401, "invalid_api_key", "This key is not known here.")
_EXPIRED = Refusal(401, "key_expired", "This key has expired.")
_REVOKED = Refusal(401, "key_revoked", "This key was revoked.")
_CLOSED = Refusal(403, "account_closed", "The account of this key is closed.")


@dataclass(frozen=True, slots=True)
class _Key:
    caller: Caller
    expires_at: int | None
    refusal: Refusal | None
    """Why it opens nothing, whatever the time; None: it does."""


class Directory:
    """Every key of the gateway. `find` serves the event loop while a thread of ours brings the keys up to date."""

    def __init__(self, engine: Engine, secrets: Secrets, clock: Clock | None = None) -> None:
        self._engine = engine
        self._hashes = KeyHashes(secrets, "sr")
        self._clock = clock or SystemClock()
        self._keys: dict[bytes, _Key] = {}
        self._seen = 0
        self._following = Following("directory", self.read_changes, self._clock)

    async def start(self) -> None:
        """Read all keys, then follow what changes. Raises SQLAlchemyError where the database cannot be read."""
        await self._following.start(self.load)

    async def close(self) -> None:
        await self._following.close()

    @property
    def fresh(self) -> bool:
        """Whether all that was changed more than 1.5 seconds ago is known here. Where not, answer 503."""
        return self._following.fresh

    async def catch_up(self) -> None:
        """Wait for what was changed a moment ago."""
        await self._following.catch_up()

    def find(self, presented_key: str) -> Caller | None:
        """Whose key this is; None where it opens nothing, which `refusal` explains.

        Takes a time that tells nothing about any key: see `KeyHashes.of`.
        """
        key = self._key(presented_key)
        if key is None or key.refusal is not None or self._is_over(key):
            return None
        return key.caller

    def refusal(self, presented_key: str) -> Refusal:
        """Why `find` gave None. Only who holds a real key learns more than that it is not known."""
        key = self._key(presented_key)
        if key is None:
            return _UNKNOWN
        return key.refusal or _EXPIRED

    def load(self) -> None:
        """Read everything. Afterwards the directory is fresh."""
        with self._following.reading(), self._engine.connect() as connection:
            # The feed's end first: what changes meanwhile is read now or comes with the feed, or both.
            seen = _newest_event(connection)
            self._keys = self._read_keys(connection, None)
            self._seen = seen

    def read_changes(self) -> None:
        """Bring up to date what changed since the last reading. Afterwards the directory is fresh."""
        with self._following.reading():
            with self._engine.connect() as connection:
                # An older feed: a backup was put back, and what we know may never have happened.
                is_older = _newest_event(connection) < self._seen
                while not is_older and self._read_some_changes(connection):
                    pass
            if is_older:
                self.load()

    def _read_some_changes(self, connection: Connection) -> bool:
        """Returns whether there may be more."""
        query = (
            select(account_events.c.id, account_events.c.account, account_events.c.organisation)
            .where(account_events.c.id > self._seen)
            .order_by(account_events.c.id)
            .limit(_EVENTS_AT_ONCE)
        )
        events = connection.execute(query).all()
        if not events:
            return False
        changed = {event.account for event in events if event.account is not None}
        whole = {event.organisation for event in events if event.account is None and event.organisation is not None}
        for some in _in_parts(whole):
            changed.update(connection.scalars(select(accounts.c.id).where(accounts.c.organisation.in_(some))))
        for some in _in_parts(changed):
            # Keys are never deleted, only revoked: there is nothing to take out.
            self._keys.update(self._read_keys(connection, some))
        self._seen = events[-1].id
        return len(events) == _EVENTS_AT_ONCE

    def _read_keys(self, connection: Connection, of_accounts: list[str] | None) -> dict[bytes, _Key]:
        query = (
            select(
                accounts,
                organisations.c.closed_at.label("organisation_closed_at"),
                keys.c.id.label("key_id"),
                keys.c.hash,
                keys.c.expires_at,
                keys.c.revoked_at,
            )
            .join_from(accounts, organisations, accounts.c.organisation == organisations.c.id)
            .join(keys, keys.c.account == accounts.c.id)
        )
        if of_accounts is not None:
            query = query.where(accounts.c.id.in_(of_accounts))
        rows = connection.execute(query).mappings()
        return {bytes(row["hash"]): _Key(_caller(row), row["expires_at"], _refusal(row)) for row in rows}

    def _key(self, presented_key: str) -> _Key | None:
        presented_hash = self._hashes.of(presented_key)
        return None if presented_hash is None else self._keys.get(presented_hash)

    def _is_over(self, key: _Key) -> bool:
        return key.expires_at is not None and self._clock.now_us() >= key.expires_at


def _newest_event(connection: Connection) -> int:
    return connection.scalar(select(func.coalesce(func.max(account_events.c.id), 0))) or 0


def _in_parts(ids: Iterable[str]) -> Iterable[list[str]]:
    """A database bounds how many values one statement may name."""
    remaining = iter(sorted(ids))
    while part := list(islice(remaining, _IDS_AT_ONCE)):
        yield part


def _caller(row: RowMapping) -> Caller:
    return Caller(
        account=row["id"],
        organisation=row["organisation"],
        key_id=row["key_id"],
        limits=AccountLimits(
            requests_per_minute=row["requests_per_minute"],
            tokens_per_minute=row["tokens_per_minute"],
            concurrent=row["concurrent"],
            usd_per_day=_decimal(row["usd_per_day"]),
            usd_per_month=_decimal(row["usd_per_month"]),
        ),
        models=None if row["models"] is None else frozenset(row["models"]),
        retention=row["retention"],
        terms_version=row["terms_version"],
        billing_print=row["billing_print"],
    )


def _decimal(text: Any) -> Decimal | None:
    return None if text is None else Decimal(text)


def _refusal(row: RowMapping) -> Refusal | None:
    if row["revoked_at"] is not None:
        return _REVOKED
    if row["closed_at"] is not None or row["organisation_closed_at"] is not None:
        return _CLOSED
    if row["restricted_at"] is not None:
        return Refusal(403, "account_restricted", f"The account of this key is restricted: {row['restricted_for']}")
    return None
