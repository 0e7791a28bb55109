"""Who a call comes from, as its key says, and what that account may do."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

RefusalCode = Literal[
    "missing_api_key", "invalid_api_key", "key_expired", "key_revoked", "account_restricted", "account_closed"
]


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """The most that an account may use; None: as much as it likes."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    """Calls in flight at once."""
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    account: str
    organisation: str
    key_id: str
    limits: AccountLimits
    models: frozenset[str] | None
    """The names it may ask for; None: every model."""
    retention: bool
    """Whether the account agreed to texts of its calls being kept for a while (escrow). Off unless it did."""
    terms_version: str | None
    """The version of the terms that it accepted last."""
    billing_print: str | None
    """Equal for accounts that are paid for in the same way, and no way back to how."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key opens nothing, for the person who holds it."""

    status: Literal[401, 403]
    code: RefusalCode
    message: str
