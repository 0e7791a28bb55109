"""Changes of accounts: what each may do, and whether it may do anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, exists, insert, select, update

from stillroom.serve.accounts.events import Change
from stillroom.serve.accounts.organisations import open_organisation
from stillroom.serve.accounts.problems import Conflict
from stillroom.serve.accounts.reading import account_of
from stillroom.serve.accounts.rows import AdminRow
from stillroom.serve.accounts.tables import accounts

CHANGEABLE = (
    "name",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent",
    "usd_per_day",
    "usd_per_month",
    "models",
    "retention",
)
"""The columns that `create_account` and `change_account` set as told; the others have an event of their own."""


def create_account(
    change: Change,
    organisation: str,
    admin: AdminRow,
    settings: Mapping[str, Any],
    *,
    terms_version: str | None = None,
    billing: str | None = None,
) -> str:
    """Returns its id. `settings`: some of CHANGEABLE, `name` at least. `billing` is a `billing_print`.

    Raises NotFound for the organisation, Conflict where that is closed or has an account of this name.
    """
    open_organisation(change, organisation, admin)
    _refuse_taken(change, organisation, settings["name"])
    account = change.new_id("acct")
    values = {"retention": False, **settings}
    change.connection.execute(
        insert(accounts).values(
            id=account, organisation=organisation, created_at=change.at, billing_print=billing, **values
        )
    )
    change.record(
        "created",
        organisation=organisation,
        account=account,
        detail=values,
        prints={} if billing is None else {"billing": billing},
    )
    if terms_version is not None:
        accept_terms(change, account, admin, terms_version)
    return account


def change_account(change: Change, account: str, admin: AdminRow, settings: Mapping[str, Any]) -> None:
    """Set some of CHANGEABLE. Raises NotFound, or Conflict where it is closed or the name is taken."""
    row = open_account(change, account, admin)
    new = {name: value for name, value in settings.items() if row[name] != value}
    if not new:
        return
    if "name" in new:
        _refuse_taken(change, row["organisation"], new["name"])
    _set(change, account, new)
    detail = {name: [row[name], value] for name, value in new.items()}
    change.record("changed", organisation=row["organisation"], account=account, detail=detail)


def change_payment(change: Change, account: str, admin: AdminRow, billing: str | None) -> None:
    """`billing`: a `billing_print`, or None for an account that is not paid for. Raises NotFound, Conflict (closed)."""
    row = open_account(change, account, admin)
    if row["billing_print"] == billing:
        return
    _set(change, account, {"billing_print": billing})
    prints = {} if billing is None else {"billing": billing}
    change.record("payment changed", organisation=row["organisation"], account=account, prints=prints)


def accept_terms(change: Change, account: str, admin: AdminRow, version: str) -> None:
    """The account has accepted this version of the terms. Raises NotFound, or Conflict where it is closed."""
    row = open_account(change, account, admin)
    if row["terms_version"] == version:
        return
    _set(change, account, {"terms_version": version, "terms_accepted_at": change.at})
    detail = {"terms_version": [row["terms_version"], version]}
    change.record("accepted terms", organisation=row["organisation"], account=account, detail=detail)


def restrict_account(change: Change, account: str, admin: AdminRow, reason: str) -> None:
    """No call is served until `lift_restriction`; whoever calls is told why. Raises NotFound, Conflict (closed)."""
    row = open_account(change, account, admin)
    if row["restricted_for"] == reason:
        return
    _set(change, account, {"restricted_at": row["restricted_at"] or change.at, "restricted_for": reason})
    change.record("restricted", organisation=row["organisation"], account=account, detail={"reason": reason})


def lift_restriction(change: Change, account: str, admin: AdminRow) -> None:
    """Raises NotFound, or Conflict where it is closed or not restricted."""
    row = open_account(change, account, admin)
    if row["restricted_at"] is None:
        raise Conflict(f"The account {account} is not restricted.")
    _set(change, account, {"restricted_at": None, "restricted_for": None})
    detail = {"reason": row["restricted_for"]}
    change.record("restriction lifted", organisation=row["organisation"], account=account, detail=detail)


def close_account(change: Change, account: str, admin: AdminRow, *, replaced_by: str | None = None) -> None:
    """Its keys stop, for good. `replaced_by`: the account, of the same organisation, that goes on in its place.

    Raises NotFound for either account, Conflict where it is closed already or would replace itself.
    """
    row = open_account(change, account, admin)
    if replaced_by is not None:
        successor = open_account(change, replaced_by, admin)
        if replaced_by == account or successor["organisation"] != row["organisation"]:
            raise Conflict(
                f"The account {replaced_by} cannot replace {account}.", "Name another one of its organisation."
            )
    _set(change, account, {"closed_at": change.at, "replaced_by": replaced_by})
    change.record("closed", organisation=row["organisation"], account=account)
    if replaced_by is not None:
        change.record(
            "replaced", organisation=row["organisation"], account=account, detail={"replaced_by": replaced_by}
        )


def open_account(change: Change, account: str, admin: AdminRow) -> RowMapping:
    """Raises NotFound, or Conflict where the account or its organisation is closed."""
    row = account_of(change.connection, account, admin)
    if row["closed_at"] is not None:
        raise Conflict(f"The account {account} is closed.", "A closed account stays closed: make another.")
    open_organisation(change, row["organisation"], admin)
    return row


def _set(change: Change, account: str, values: Mapping[str, Any]) -> None:
    change.connection.execute(update(accounts).where(accounts.c.id == account).values(**values))


def _refuse_taken(change: Change, organisation: str, name: str) -> None:
    taken = exists().where(accounts.c.organisation == organisation, accounts.c.name == name)
    if change.connection.scalar(select(taken)):
        raise Conflict(f"The organisation has an account called {name!r} already.", "Choose another name.")
