"""The route of events: what was changed, when, and by whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from stillroom.serve.accounts.events import events_after
from stillroom.serve.accounts.reading import account_of
from stillroom.serve.accounts.rows import Id, Row
from stillroom.serve.admin.authority import Parts, Reads

router = APIRouter(prefix="/v1/events", tags=["events"])


class EventsQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The `next` of the page before, or the id of the last event that is known already."""
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    account: Id | None = None


class EventRow(Row):
    id: int
    at: int
    organisation: str | None
    account: str | None
    event: str
    actor: str
    detail: dict[str, Any]
    prints: dict[str, str]


class EventPage(Row):
    data: list[EventRow]
    next: int | None
    """Given as `after`, it brings the page behind this one; null: there is none yet."""


@router.get("")
def list_events(admin: Reads, parts: Parts, asked: Annotated[EventsQuery, Query()]) -> EventPage:
    with parts.engine.connect() as connection:
        if asked.account is not None:
            account_of(connection, asked.account, admin)
        found = events_after(
            connection, asked.after, asked.limit + 1, organisation=admin.organisation, account=asked.account
        )
    shown = [EventRow(**asdict(event)) for event in found[: asked.limit]]
    return EventPage(data=shown, next=shown[-1].id if len(found) > asked.limit else None)
