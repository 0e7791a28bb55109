"""Routes of administrators: for owners alone, but that each may see who it is itself."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import select

from stillroom.serve.accounts.admins import admin_of, create_admin, revoke_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.reading import page
from stillroom.serve.accounts.rows import AdminRow, Id, Name, Role, Row
from stillroom.serve.accounts.tables import admins
from stillroom.serve.admin.answers import MadeAdmin, Page, PageAsked, page_of
from stillroom.serve.admin.authority import Owns, Parts, Reads

router = APIRouter(prefix="/v1", tags=["administrators"])


class NewAdminBody(Row):
    name: Name
    role: Role
    organisation: Id | None = None
    """The only one that it shall see and change; null: all of them."""


@router.get("/me")
def me(admin: Reads) -> AdminRow:
    return admin


@router.post("/admins", status_code=201)
def create(body: NewAdminBody, admin: Owns, parts: Parts) -> MadeAdmin:
    with changing(parts.engine, admin.name) as change:
        admin_id, key = create_admin(
            change, parts.admin_hashes, admin, name=body.name, role=body.role, organisation=body.organisation
        )
        return MadeAdmin(key=key.text, row=AdminRow.of(admin_of(change.connection, admin_id)))


@router.get("/admins")
def list_admins(admin: Owns, parts: Parts, asked: PageAsked) -> Page[AdminRow]:  # noqa: ARG001 - admin: the role
    with parts.engine.connect() as connection:
        rows = page(connection, select(admins), admins, asked.after, asked.limit)
        return page_of(rows, asked.limit, AdminRow.of)


@router.post("/admins/{other}/revoke")
def revoke(other: Id, admin: Owns, parts: Parts) -> AdminRow:
    """Its credential stops working at once."""
    with changing(parts.engine, admin.name) as change:
        revoke_admin(change, other)
        return AdminRow.of(admin_of(change.connection, other))
