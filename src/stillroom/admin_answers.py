"""What a gateway's admin API answers, as far as the commands read it. A newer gateway may say more."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field

from stillroom.base.permit import Permit

Moment = Annotated[int, Field(strict=True, ge=0, le=253_402_300_799_999_999)]
"""UTC microseconds, up to the end of the year 9999: what can be shown as a date."""
Count = Annotated[int, Field(strict=True, ge=0)]


class OrganisationRow(BaseModel):
    id: str
    name: str
    created_at: Moment
    closed_at: Moment | None


class LimitsOfAccount(BaseModel):
    usd_per_day: str | None
    usd_per_month: str | None


class UsedOfAccount(BaseModel):
    usd_today: str | None
    usd_this_month: str | None


class AccountRow(OrganisationRow):
    organisation: str
    state: str
    limits: LimitsOfAccount
    used: UsedOfAccount
    retention: bool
    terms_version: str | None


class KeyRow(BaseModel):
    id: str
    prefix: str
    name: str | None
    state: str
    created_at: Moment
    expires_at: Moment | None
    replaced_by: str | None


class AdminRow(BaseModel):
    id: str
    name: str
    role: str
    organisation: str | None
    prefix: str
    created_at: Moment
    revoked_at: Moment | None


class RowOfKey(BaseModel):
    id: str


class NewKey(BaseModel):
    key: str
    row: RowOfKey


class PermitRow(BaseModel):
    id: str
    state: str
    expires_at: Moment
    revoked_for: str | None
    calls_used: Count | None
    tokens_used: Count | None
    says: Permit
    token: str


class EventRow(BaseModel):
    at: Moment
    actor: str
    event: str
    account: str | None
    detail: dict[str, Any]


_FORMS: tuple[tuple[re.Pattern[str], type[BaseModel]], ...] = (
    (re.compile(r"GET /v1/accounts/[^/]+/keys|POST /v1/keys/[^/]+/revoke"), KeyRow),
    (re.compile(r"POST /v1/accounts/[^/]+/keys|POST /v1/keys/[^/]+/rotate"), NewKey),
    (re.compile(r"\w+ /v1/organisations(/.*)?"), OrganisationRow),
    (re.compile(r"\w+ /v1/accounts(/.*)?"), AccountRow),
    (re.compile(r"\w+ /v1/(admins(/.*)?|me)"), AdminRow),
    (re.compile(r"\w+ /v1/permits(/.*)?"), PermitRow),
    (re.compile(r"GET /v1/events"), EventRow),
)


def check_row(method: str, path: str, row: object) -> None:
    """Raises ValidationError for a row that is not as `path` (without its query) answers them."""
    form = next((form for request, form in _FORMS if request.fullmatch(f"{method} {path}")), None)
    if form is not None:
        form.model_validate(row)
