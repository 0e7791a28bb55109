"""Routes of accounts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection, select

from stillroom.base.clock import SystemClock
from stillroom.serve.accounts.accounts import (
    accept_terms,
    change_account,
    change_payment,
    close_account,
    create_account,
    lift_restriction,
    restrict_account,
)
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.reading import account_of, page
from stillroom.serve.accounts.rows import AccountRow, AdminRow, Id, LimitsRow, ModelName, Name, Row, Sentence
from stillroom.serve.accounts.tables import accounts
from stillroom.serve.admin.answers import Page, PageQuery, page_of
from stillroom.serve.admin.authority import AdminParts, Operates, Parts, Reads
from stillroom.serve.admin.known_models import refuse_unknown_models
from stillroom.serve.limits.used import used_by
from stillroom.text.prints import billing_print

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

Models = Annotated[list[ModelName], Field(max_length=1000)]


class NewAccountBody(Row):
    organisation: Id
    name: Name
    limits: LimitsRow = LimitsRow()
    models: Models | None = None
    """The names that it may ask for; null: every model."""
    retention: bool = False
    """Whether it agreed to texts of its calls being kept for a while."""
    terms_version: Name | None = None
    """The version of the terms that it has accepted."""
    billing_reference: Name | None = None
    """How it is paid for, such as a customer number: only a keyed print of it is kept."""


class ChangeAccountBody(Row):
    """What is not named stays as it is; a limit that is null is taken away."""

    # Defaults that nobody reads, and that the OpenAPI description does not name.
    name: Name = Field(default_factory=str)
    limits: LimitsRow = Field(default_factory=LimitsRow)
    models: Models | None = None
    retention: bool = Field(default_factory=bool)
    billing_reference: Name | None = None


class TermsBody(Row):
    version: Name


class RestrictBody(Row):
    reason: Sentence
    """In words for the people of the account: whoever calls is told it."""


class CloseBody(Row):
    replaced_by: Id | None = None
    """The account, of the same organisation, that goes on in its place."""


class AccountsQuery(PageQuery):
    organisation: Id | None = None


@router.post("", status_code=201)
def create(body: NewAccountBody, admin: Operates, parts: Parts) -> AccountRow:
    _refuse_unknown(parts, body.models)
    settings = {
        "name": body.name,
        "models": body.models,
        "retention": body.retention,
        **body.limits.model_dump(),
    }
    with changing(parts.engine, admin.name) as change:
        account = create_account(
            change,
            body.organisation,
            admin,
            settings,
            terms_version=body.terms_version,
            billing=_billing(parts, body.billing_reference),
        )
        return _row(change.connection, account, admin)


@router.get("")
def list_accounts(admin: Reads, parts: Parts, asked: Annotated[AccountsQuery, Query()]) -> Page[AccountRow]:
    query = select(accounts)
    for organisation in (asked.organisation, admin.organisation):
        if organisation is not None:
            query = query.where(accounts.c.organisation == organisation)
    with parts.engine.connect() as connection:
        rows = page(connection, query, accounts, asked.after, asked.limit)
        used = used_by(connection, [row["id"] for row in rows], SystemClock().now_us())
    return page_of(rows, asked.limit, lambda row: AccountRow.of(row, used[row["id"]]))


@router.get("/{account}")
def show(account: Id, admin: Reads, parts: Parts) -> AccountRow:
    with parts.engine.connect() as connection:
        return _row(connection, account, admin)


@router.patch("/{account}")
def change_one(account: Id, body: ChangeAccountBody, admin: Operates, parts: Parts) -> AccountRow:
    _refuse_unknown(parts, body.models)
    settings: dict[str, Any] = body.model_dump(
        include={"name", "models", "retention"}, exclude_unset=True
    ) | body.limits.model_dump(exclude_unset=True)
    with changing(parts.engine, admin.name) as change:
        change_account(change, account, admin, settings)
        if "billing_reference" in body.model_fields_set:
            change_payment(change, account, admin, _billing(parts, body.billing_reference))
        return _row(change.connection, account, admin)


@router.post("/{account}/terms")
def accept(account: Id, body: TermsBody, admin: Operates, parts: Parts) -> AccountRow:
    """The account has accepted this version of the terms."""
    with changing(parts.engine, admin.name) as change:
        accept_terms(change, account, admin, body.version)
        return _row(change.connection, account, admin)


@router.post("/{account}/restrict")
def restrict(account: Id, body: RestrictBody, admin: Operates, parts: Parts) -> AccountRow:
    """No call is served until the restriction is lifted."""
    with changing(parts.engine, admin.name) as change:
        restrict_account(change, account, admin, body.reason)
        return _row(change.connection, account, admin)


@router.post("/{account}/lift")
def lift(account: Id, admin: Operates, parts: Parts) -> AccountRow:
    with changing(parts.engine, admin.name) as change:
        lift_restriction(change, account, admin)
        return _row(change.connection, account, admin)


@router.post("/{account}/close")
def close(account: Id, admin: Operates, parts: Parts, body: CloseBody | None = None) -> AccountRow:
    """Its keys stop, for good."""
    with changing(parts.engine, admin.name) as change:
        close_account(change, account, admin, replaced_by=body.replaced_by if body else None)
        return _row(change.connection, account, admin)


def _refuse_unknown(parts: AdminParts, models: list[str] | None) -> None:
    if parts.models is not None:
        refuse_unknown_models(models or (), parts.models)


def _billing(parts: AdminParts, reference: str | None) -> str | None:
    return None if reference is None else billing_print(parts.secrets, reference)


def _row(connection: Connection, account: str, admin: AdminRow) -> AccountRow:
    row = account_of(connection, account, admin)
    return AccountRow.of(row, used_by(connection, [account], SystemClock().now_us())[account])
