"""Rows by their id, and lists of them page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Table, select

from stillroom.serve.accounts.problems import NotFound
from stillroom.serve.accounts.rows import AdminRow
from stillroom.serve.accounts.tables import accounts, keys, organisations


def organisation_of(connection: Connection, organisation: str, admin: AdminRow) -> RowMapping:
    """Raises NotFound where there is none, or `admin` does not see it: both look the same."""
    row = _by_id(connection, organisations, organisation)
    if row is None or not admin.sees(organisation):
        raise _missing("organisation", organisation)
    return row


def account_of(connection: Connection, account: str, admin: AdminRow) -> RowMapping:
    """Raises NotFound where there is none, or `admin` does not see it."""
    row = _by_id(connection, accounts, account)
    if row is None or not admin.sees(row["organisation"]):
        raise _missing("account", account)
    return row


def key_of(connection: Connection, key_id: str, admin: AdminRow) -> tuple[RowMapping, RowMapping]:
    """A key and its account. Raises NotFound where there is none, or `admin` does not see it."""
    row = _by_id(connection, keys, key_id)
    account = row and _by_id(connection, accounts, row["account"])
    if row is None or account is None or not admin.sees(account["organisation"]):
        raise _missing("key", key_id)
    return row, account


def page(connection: Connection, query: Select[Any], table: Table, after: str, limit: int) -> Sequence[RowMapping]:
    """The first `limit` rows of the query with an id above `after`, and one more where there is one."""
    query = query.where(table.c.id > after).order_by(table.c.id).limit(limit + 1)
    return connection.execute(query).mappings().all()


def _by_id(connection: Connection, table: Table, row_id: str) -> RowMapping | None:
    return connection.execute(select(table).where(table.c.id == row_id)).mappings().one_or_none()


def _missing(kind: str, row_id: str) -> NotFound:
    return NotFound(f"There is no {kind} {row_id}.", f"`stillroom {kind} list` shows those that there are.")
