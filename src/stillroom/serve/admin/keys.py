"""Routes of keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Connection, select

from stillroom.base.clock import SystemClock
from stillroom.serve.accounts.account_keys import create_key, revoke_key, rotate_key
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.reading import account_of, key_of, page
from stillroom.serve.accounts.rows import WHOLE, AdminRow, Id, KeyRow, Name, Row, Time
from stillroom.serve.accounts.tables import keys
from stillroom.serve.admin.answers import MadeKey, Page, PageAsked, page_of
from stillroom.serve.admin.authority import Operates, Parts, Reads

router = APIRouter(prefix="/v1", tags=["keys"])

_DAY_S = 24 * 60 * 60


class NewKeyBody(Row):
    name: Name | None = None
    expires_at: Time | None = None


class RotateBody(Row):
    grace_s: Annotated[int, Field(ge=0, le=365 * _DAY_S), WHOLE] = _DAY_S
    """Seconds for which the old key works on."""
    expires_at: Time | None = None
    """When the new key ends; null: it lives as long as the old one was to."""


@router.post("/accounts/{account}/keys", status_code=201)
def create(account: Id, body: NewKeyBody, admin: Operates, parts: Parts) -> MadeKey:
    with changing(parts.engine, admin.name) as change:
        key_id, key = create_key(change, parts.key_hashes, account, admin, name=body.name, expires_at=body.expires_at)
        return MadeKey(key=key.text, row=_row(change.connection, key_id, admin))


@router.get("/accounts/{account}/keys")
def list_keys(account: Id, admin: Reads, parts: Parts, asked: PageAsked) -> Page[KeyRow]:
    now = SystemClock().now_us()
    with parts.engine.connect() as connection:
        account_of(connection, account, admin)
        rows = page(connection, select(keys).where(keys.c.account == account), keys, asked.after, asked.limit)
        return page_of(rows, asked.limit, lambda row: KeyRow.of(row, now))


@router.get("/keys/{key}")
def show(key: Id, admin: Reads, parts: Parts) -> KeyRow:
    with parts.engine.connect() as connection:
        return _row(connection, key, admin)


@router.post("/keys/{key}/rotate", status_code=201)
def rotate(key: Id, body: RotateBody, admin: Operates, parts: Parts) -> MadeKey:
    """A new key in its place; the old one works on for a while."""
    with changing(parts.engine, admin.name) as change:
        new_id, new = rotate_key(change, parts.key_hashes, key, admin, grace_s=body.grace_s, expires_at=body.expires_at)
        return MadeKey(key=new.text, row=_row(change.connection, new_id, admin))


@router.post("/keys/{key}/revoke")
def revoke(key: Id, admin: Operates, parts: Parts) -> KeyRow:
    """It stops working within two seconds."""
    with changing(parts.engine, admin.name) as change:
        revoke_key(change, key, admin)
        return _row(change.connection, key, admin)


def _row(connection: Connection, key: str, admin: AdminRow) -> KeyRow:
    row, _ = key_of(connection, key, admin)
    return KeyRow.of(row, SystemClock().now_us())
