"""What an administrator says to have a permit issued, and what is told of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field
from sqlalchemy import RowMapping

from stillroom.base.permit import read_unverified_permit
from stillroom.serve.accounts.rows import Count, Id, ModelName, Name, Row, Sentence, Time
from stillroom.serve.limits.bound import LimitName

PermitState = Literal["not_begun", "holds", "expired", "revoked"]
SECOND = 1_000_000

MOST_ACCOUNTS = 100
MOST_MODELS = 50
MOST_CONDITIONS = 20


class NewPermit(Row):
    organisation: Id
    accounts: Annotated[list[Id], Field(min_length=1, max_length=MOST_ACCOUNTS)] | None = None
    """Ids; null: every account that the organisation has now."""
    models: Annotated[list[ModelName], Field(min_length=1, max_length=MOST_MODELS)]
    purpose: Sentence
    student: Name
    """What the model that may be trained is called."""
    calls: Count | None = None
    tokens: Count | None = None
    """The most that may be made under it, prompt and completion together; null: as many as they like."""
    begins_at: Time | None = None
    """UTC microseconds, in whole seconds; null: now."""
    expires_at: Time
    conditions: Annotated[list[Sentence], Field(default_factory=list, max_length=MOST_CONDITIONS)]


class PermitRow(Row):
    id: str
    organisation: str
    accounts: list[str]
    state: PermitState
    issued_at: int
    begins_at: int
    expires_at: int
    revoked_at: int | None
    revoked_for: str | None
    calls_used: int | None
    tokens_used: int | None
    """As far as workers have told; null: the permit has no limit of it, and nobody counts."""
    says: dict[str, Any]
    """The claims of the permit."""
    token: str
    """The permit itself, to be given to whoever may use it."""

    @classmethod
    def of(cls, row: RowMapping, used: Mapping[LimitName, int], now: int) -> Self:
        """`used` by limit name."""
        values = {name: row[name] for name in cls.model_fields if name in row}
        says = read_unverified_permit(row["token"])
        return cls(
            **values,
            state=_state(row, now),
            calls_used=None if says.calls is None else used.get("permit_calls", 0),
            tokens_used=None if says.tokens is None else used.get("permit_tokens", 0),
            says=says.model_dump(mode="json"),
        )


def _state(row: RowMapping, now: int) -> PermitState:
    if row["revoked_at"] is not None:
        return "revoked"
    if now >= row["expires_at"]:
        return "expired"
    return "holds" if now >= row["begins_at"] else "not_begun"
