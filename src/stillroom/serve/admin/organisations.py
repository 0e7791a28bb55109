"""Routes of organisations. They are made and closed by administrators who belong to none."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import Connection, RowMapping, select
from starlette.exceptions import HTTPException

from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.organisations import close_organisation, create_organisation, rename_organisation
from stillroom.serve.accounts.reading import organisation_of, page
from stillroom.serve.accounts.rows import AdminRow, Id, Name, OrganisationRow, Row
from stillroom.serve.accounts.tables import organisations
from stillroom.serve.admin.answers import Page, PageAsked, page_of
from stillroom.serve.admin.authority import Operates, Parts, Reads

router = APIRouter(prefix="/v1/organisations", tags=["organisations"])


class OrganisationBody(Row):
    name: Name


@router.post("", status_code=201)
def create(body: OrganisationBody, admin: Operates, parts: Parts) -> OrganisationRow:
    _refuse_bound(admin)
    with changing(parts.engine, admin.name) as change:
        organisation = create_organisation(change, body.name)
        return _row(change.connection, organisation, admin)


@router.get("")
def list_organisations(admin: Reads, parts: Parts, asked: PageAsked) -> Page[OrganisationRow]:
    query = select(organisations)
    if admin.organisation is not None:
        query = query.where(organisations.c.id == admin.organisation)
    with parts.engine.connect() as connection:
        return page_of(page(connection, query, organisations, asked.after, asked.limit), asked.limit, _read)


@router.get("/{organisation}")
def show(organisation: Id, admin: Reads, parts: Parts) -> OrganisationRow:
    with parts.engine.connect() as connection:
        return _row(connection, organisation, admin)


@router.patch("/{organisation}")
def rename(organisation: Id, body: OrganisationBody, admin: Operates, parts: Parts) -> OrganisationRow:
    _refuse_bound(admin)
    with changing(parts.engine, admin.name) as change:
        rename_organisation(change, organisation, body.name, admin)
        return _row(change.connection, organisation, admin)


@router.post("/{organisation}/close")
def close(organisation: Id, admin: Operates, parts: Parts) -> OrganisationRow:
    """All its accounts' keys stop, for good."""
    _refuse_bound(admin)
    with changing(parts.engine, admin.name) as change:
        close_organisation(change, organisation, admin)
        return _row(change.connection, organisation, admin)


def _refuse_bound(admin: AdminRow) -> None:
    if admin.organisation is not None:
        raise HTTPException(403, f"{admin.name} belongs to one organisation and cannot make or change any.")


def _row(connection: Connection, organisation: str, admin: AdminRow) -> OrganisationRow:
    return _read(organisation_of(connection, organisation, admin))


def _read(row: RowMapping) -> OrganisationRow:
    return OrganisationRow(**row)
