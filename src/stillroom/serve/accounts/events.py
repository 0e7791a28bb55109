"""What happened to accounts: every change is written with its event, in one transaction.

The events are also the feed by which each worker learns that something changed: it asks for those after the last id
that it saw. That holds only if no event ever appears behind one that was already seen. PostgreSQL gives an id when a
row is inserted and shows the row when its transaction commits, which may be in another order; so whoever changes
something holds a lock from before its first id until its commit, and changes come one after the other. SQLite has one
writer anyway.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.records import AccountEvent
from stillroom.serve.accounts.tables import account_events
from stillroom.serve.database.engine import writing


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction in which accounts are changed. Made by `changing` alone, which takes the lock."""

    connection: Connection
    actor: str
    """Who makes it: the name of an administrator's credential."""
    at: int
    """UTC in microseconds."""

    def new_id(self, kind: str) -> str:
        """An id that sorts after all earlier ones of its kind, so that lists can be read page by page."""
        return f"{kind}_{self.at:014x}{random.token_hex(4)}"

    def record(
        self,
        event: str,
        *,
        organisation: str | None,
        account: str | None = None,
        key_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
        prints: Mapping[str, str] | None = None,
    ) -> None:
        self.connection.execute(
            insert(account_events).values(
                at=self.at,
                event=event,
                actor=self.actor,
                organisation=organisation,
                account=account,
                key_id=key_id,
                detail=dict(detail or {}),
                prints=dict(prints or {}),
            )
        )


@contextmanager
def changing(engine: Engine, actor: str, clock: Clock | None = None) -> Iterator[Change]:
    """One change of accounts, whole or not at all. Others wait for its end, and readers do not."""
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("lock table account_events in exclusive mode"))
        yield Change(connection, actor, (clock or SystemClock()).now_us())


def events_after(
    connection: Connection, after: int, limit: int, *, organisation: str | None = None, account: str | None = None
) -> Sequence[AccountEvent]:
    """The oldest `limit` events with an id above `after`, of everybody or of one organisation or account."""
    query = select(account_events).where(account_events.c.id > after).order_by(account_events.c.id).limit(limit)
    if organisation is not None:
        query = query.where(account_events.c.organisation == organisation)
    if account is not None:
        query = query.where(account_events.c.account == account)
    return [
        AccountEvent(
            id=row.id,
            at=row.at,
            organisation=row.organisation,
            account=row.account,
            event=row.event,
            actor=row.actor,
            detail=row.detail if row.key_id is None else {"key_id": row.key_id, **row.detail},
            prints=row.prints,
        )
        for row in connection.execute(query)
    ]
