"""Routes of permits in the admin API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection, select

from stillroom.base.clock import SystemClock
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.reading import page
from stillroom.serve.accounts.rows import AdminRow, Id, Row, Sentence
from stillroom.serve.admin.answers import Page, PageQuery, page_of
from stillroom.serve.admin.authority import Operates, Parts, Reads
from stillroom.serve.admin.known_models import refuse_unknown_models
from stillroom.serve.keyring import Keyring
from stillroom.serve.limits.bound import permit_subject
from stillroom.serve.limits.used import used_by
from stillroom.serve.permits.issuing import issue_permit, permit_of, revoke_permit
from stillroom.serve.permits.rows import NewPermit, PermitRow
from stillroom.serve.permits.tables import permits
from stillroom.serve.pseudonyms import Pseudonyms
from stillroom.serve.settings import GatewaySettings


class RevokePermitBody(Row):
    reason: Sentence | None = None


class PermitsQuery(PageQuery):
    organisation: Id | None = None


def permit_router(settings: GatewaySettings) -> APIRouter:
    """Permits for the models of this gateway, signed with the keys in its state folder. Raises StoreError."""
    router = APIRouter(prefix="/v1/permits", tags=["permits"])
    keyring = Keyring.open(settings.state)
    served = {model.name for model in settings.models}

    @router.post("", status_code=201)
    def issue(body: NewPermit, admin: Operates, parts: Parts) -> PermitRow:
        refuse_unknown_models(body.models, served)
        with changing(parts.engine, admin.name) as change:
            permit_id = issue_permit(
                change, body, admin, keyring=keyring, pseudonyms=Pseudonyms(parts.secrets), owner=settings.owner
            )
            return _row(change.connection, permit_id, admin)

    router.add_api_route("", _list_permits, methods=["GET"])
    router.add_api_route("/{permit}", _show, methods=["GET"])
    router.add_api_route("/{permit}/revoke", _revoke, methods=["POST"])
    return router


def _list_permits(admin: Reads, parts: Parts, asked: Annotated[PermitsQuery, Query()]) -> Page[PermitRow]:
    query = select(permits)
    for organisation in (asked.organisation, admin.organisation):
        if organisation is not None:
            query = query.where(permits.c.organisation == organisation)
    now = SystemClock().now_us()
    with parts.engine.connect() as connection:
        rows = page(connection, query, permits, asked.after, asked.limit)
        used = used_by(connection, [permit_subject(row["id"]) for row in rows], now)
    return page_of(rows, asked.limit, lambda row: PermitRow.of(row, used[permit_subject(row["id"])], now))


def _show(permit: Id, admin: Reads, parts: Parts) -> PermitRow:
    with parts.engine.connect() as connection:
        return _row(connection, permit, admin)


def _revoke(permit: Id, admin: Operates, parts: Parts, body: RevokePermitBody | None = None) -> PermitRow:
    """It stops within two seconds on every worker."""
    with changing(parts.engine, admin.name) as change:
        revoke_permit(change, permit, admin, body.reason if body else None)
        return _row(change.connection, permit, admin)


def _row(connection: Connection, permit_id: str, admin: AdminRow) -> PermitRow:
    row = permit_of(connection, permit_id, admin)
    now, subject = SystemClock().now_us(), permit_subject(permit_id)
    return PermitRow.of(row, used_by(connection, [subject], now)[subject], now)
