"""What is told about organisations, accounts, keys and administrators: never a key or its hash."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from sqlalchemy import RowMapping

from stillroom.serve.limits.bound import LimitName

Role = Literal["owner", "operator", "auditor"]
AccountState = Literal["active", "restricted", "closed"]
KeyState = Literal["active", "expired", "revoked"]

# Nothing that ends a line, turns the direction of writing or cannot be seen: two names would look the same. Joiners are
# letters' own in some scripts.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_VISIBLE = rf"[^\s{_UNSEEN}]"
_ONE_LINE = rf"^{_VISIBLE}([^{_UNSEEN}]*{_VISIBLE})?$"
_USD = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$"
_ID = r"^[a-z]{2,10}_[0-9a-f]{22}$"
FORMS = {
    _ONE_LINE: "should be one line of text, without spaces around it and without characters that are not seen",
    _USD: "should be an amount in USD, such as 2.50, below 1000000000 and with nine decimals at most",
    _ID: "should be an id, such as acct_ and 22 digits and letters",
}
"""A pattern, in words for whoever wrote something else."""
Name = Annotated[str, StringConstraints(max_length=100, pattern=_ONE_LINE)]
"""One line of text that neither begins nor ends with a space."""
Sentence = Annotated[str, StringConstraints(max_length=1000, pattern=_ONE_LINE)]
ModelName = Annotated[str, StringConstraints(max_length=200, pattern=_ONE_LINE)]
Usd = Annotated[str, StringConstraints(pattern=_USD)]
"""Decimal USD as text, below a thousand million and in whole nano-USD."""
Id = Annotated[str, StringConstraints(pattern=_ID)]
"""What `Change.new_id` makes."""
WHOLE = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
"""Of a strict integer: JSON has one kind of number, and 60.0 is a whole one. Stands behind the integer's bounds."""
Count = Annotated[int, Field(ge=1, le=10**15), WHOLE]
Time = Annotated[int, Field(ge=1, le=253_402_300_799_000_000), WHOLE]
"""UTC microseconds, up to the end of the year 9999."""


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LimitsRow(Row):
    """The most an account may use; null: as much as it likes."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent: Count | None = None
    usd_per_day: Usd | None = None
    usd_per_month: Usd | None = None


class UsedRow(Row):
    """What was used of budgets, as far as workers have told; null: there is no such budget, and nobody counts."""

    usd_today: str | None
    usd_this_month: str | None


class OrganisationRow(Row):
    id: str
    name: str
    created_at: int
    closed_at: int | None


class AccountRow(Row):
    id: str
    organisation: str
    name: str
    state: AccountState
    restricted_for: str | None
    """Why, in the words that whoever calls with its keys is told."""
    replaced_by: str | None
    limits: LimitsRow
    used: UsedRow
    models: list[str] | None
    retention: bool
    terms_version: str | None
    terms_accepted_at: int | None
    billing_print: str | None
    created_at: int
    closed_at: int | None

    @classmethod
    def of(cls, row: RowMapping, used: Mapping[LimitName, int]) -> Self:
        """`used` by limit name."""
        values = {name: row[name] for name in cls.model_fields if name in row}
        limits = LimitsRow(**{name: row[name] for name in LimitsRow.model_fields})
        spent = UsedRow(
            usd_today=None if limits.usd_per_day is None else _usd(used.get("nano_usd_per_day", 0)),
            usd_this_month=None if limits.usd_per_month is None else _usd(used.get("nano_usd_per_month", 0)),
        )
        return cls(**values, limits=limits, used=spent, state=_account_state(row))


class KeyRow(Row):
    id: str
    account: str
    name: str | None
    prefix: str
    """What the key begins with, to recognise it by."""
    state: KeyState
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    replaced_by: str | None

    @classmethod
    def of(cls, row: RowMapping, now: int) -> Self:
        values = {name: row[name] for name in cls.model_fields if name in row}
        return cls(**values, state=_key_state(row, now))


class AdminRow(Row):
    id: str
    name: str
    role: Role
    organisation: str | None
    """The only one it sees and changes; null: all of them."""
    prefix: str
    created_at: int
    revoked_at: int | None

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        return cls(**{name: row[name] for name in cls.model_fields})

    def sees(self, organisation: str | None) -> bool:
        return self.organisation is None or self.organisation == organisation


def _usd(nano: int) -> str:
    return format((Decimal(nano) / 10**9).normalize(), "f")


def _account_state(row: RowMapping) -> AccountState:
    if row["closed_at"] is not None:
        return "closed"
    return "active" if row["restricted_at"] is None else "restricted"


def _key_state(row: RowMapping, now: int) -> KeyState:
    if row["revoked_at"] is not None:
        return "revoked"
    return "active" if row["expires_at"] is None or now < row["expires_at"] else "expired"
