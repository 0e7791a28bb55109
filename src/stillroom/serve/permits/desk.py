"""Where a worker's calls show their permits: what is issued and revoked, in memory, never older than two seconds.

How that is held is `Following`'s to tell, as it is for the directory of keys.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, exists, func, select

from stillroom.base.clock import Clock
from stillroom.base.permit import Permit, read_permit
from stillroom.base.signatures import SignatureRefused
from stillroom.serve.accounts.caller import Caller
from stillroom.serve.accounts.tables import account_events
from stillroom.serve.database.following import Following
from stillroom.serve.gateway.refused import Refused
from stillroom.serve.keyring import Keyring
from stillroom.serve.permits.issuing import ISSUED, REVOKED
from stillroom.serve.permits.tables import permits
from stillroom.serve.pseudonyms import Pseudonyms
from stillroom.store.secrets import Secrets

_MOST_READ = 1024
"""Permits kept as they were read and verified: to verify one takes as long as to sign a receipt, and more."""


class PermitRefused(Refused):
    """A call whose permit does not hold for it. It is not served as if it had none: who shows a permit relies on it."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(code, status, message, retry_after_s=1 if status == 503 else None)


class PermitDesk:
    """`check` may be called from the event loop while a thread of ours brings it up to date."""

    def __init__(self, engine: Engine, secrets: Secrets, keyring: Keyring, clock: Clock | None = None) -> None:
        self._engine = engine
        self._pseudonyms = Pseudonyms(secrets)
        self._keyring = keyring
        self._revoked_at: dict[str, int | None] = {}
        self._seen: int | None = None
        self._read: dict[str, Permit] = {}
        self._read_with = keyring.keys
        self._following = Following("permits", self.read_changes, clock)

    async def start(self) -> None:
        """Read all permits, then follow what changes. Raises SQLAlchemyError where the database cannot be read."""
        await self._following.start(self.read_changes)

    async def close(self) -> None:
        await self._following.close()

    @property
    def fresh(self) -> bool:
        """Whether all that was changed more than 1.5 seconds ago is known here."""
        return self._following.fresh

    async def catch_up(self) -> None:
        """Wait for what was changed a moment ago."""
        await self._following.catch_up()

    def check(self, wire: str, caller: Caller, model: str, now: int) -> Permit:
        """The permit that a call shows, where it holds for it. `now`: seconds since 1970.

        Calls and tokens that it bounds are counted elsewhere. Raises PermitRefused.
        """
        if not self.fresh:
            raise PermitRefused("permits_unavailable", "Permits can't be read just now. Try again.", 503)
        permit = self._verified(wire, now)
        if permit.jti not in self._revoked_at:
            raise PermitRefused("permit_refused", f"The permit {permit.jti} is not known here.")
        if self._revoked_at[permit.jti] is not None:
            raise PermitRefused("permit_revoked", f"The permit {permit.jti} was revoked.")
        if now >= permit.exp:
            raise PermitRefused("permit_expired", f"The permit {permit.jti} has expired.")
        if now < permit.nbf:
            raise PermitRefused("permit_not_begun", f"The permit {permit.jti} does not hold yet.")
        if self._pseudonyms.of(caller.account, permit.jti) not in permit.accounts:
            raise PermitRefused("permit_not_yours", f"The permit {permit.jti} is not for the account of this key.")
        if model not in permit.models:
            raise PermitRefused("permit_model", f"The permit {permit.jti} is for {', '.join(permit.models)} alone.")
        return permit

    def revoked(self) -> list[dict[str, Any]]:
        """What is published of permits that were revoked, beside the keys: whoever holds a data set wants to know."""
        return [
            {"jti": permit_id, "revoked_at": revoked_at // 1_000_000}
            for permit_id, revoked_at in self._revoked_at.items()
            if revoked_at is not None
        ]

    def read_changes(self) -> None:
        """Bring up to date what changed since the last reading. Afterwards the desk is fresh."""
        with self._following.reading(), self._engine.connect() as connection:
            newest = connection.scalar(select(func.max(account_events.c.id))) or 0
            if self._changed_until(connection, newest):
                rows = connection.execute(select(permits.c.id, permits.c.revoked_at))
                self._revoked_at = {row.id: row.revoked_at for row in rows}
            self._seen = newest

    def _changed_until(self, connection: Connection, newest: int) -> bool:
        if self._seen is None or newest < self._seen:  # the latter: a backup was put back
            return True
        events = account_events.c.event.in_((ISSUED, REVOKED)) & (account_events.c.id > self._seen)
        return newest > self._seen and bool(connection.scalar(select(exists().where(events))))

    def _verified(self, wire: str, now: int) -> Permit:
        keys = self._keyring.keys
        if keys is not self._read_with:  # a key that was taken away verifies nothing any more
            self._read, self._read_with = {}, keys
        permit = self._read.get(wire)
        if permit is None:
            try:
                permit = read_permit(wire, self._keyring.public_keys(), now)
            except SignatureRefused as error:
                raise PermitRefused("permit_refused", f"This is no permit of this gateway. {error.what}") from error
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            self._read[wire] = permit
        return permit
