"""The permit: an owner's signed word that somebody may distil some models, for what, how much and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stillroom.base.signatures import (
    LATEST,
    PublicKeys,
    SignatureRefused,
    open_token,
    unverified_claims,
)
from stillroom.base.validation import first_problem

PERMIT_TYP = "stillroom-permit+jws"
PERMIT_HEADER = "x-stillroom-permit"
MAX_PERMIT_BYTES = 7_000
"""It is presented in a header of every call, and common servers give one header 8 KiB."""

_Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""On one line, and without what a terminal would obey."""
_Pseudonym = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Seconds = Annotated[int, Field(ge=0, le=LATEST)]


class Permit(BaseModel):
    """What a permit says. The names are the claims'. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1]
    jti: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")
    """The permit's id."""
    iss: _Text
    """The owner of the models."""
    iat: _Seconds
    nbf: _Seconds
    """The first second at which it holds."""
    exp: _Seconds
    """The first second at which it holds no more."""
    organisation: _Text
    accounts: tuple[_Pseudonym, ...] = Field(strict=False, min_length=1)
    """Pseudonyms under this permit, as `sub` of receipts: a permit that is shown around names no account."""
    models: tuple[_Text, ...] = Field(strict=False, min_length=1)
    purpose: _Text
    calls: int | None = Field(gt=0)
    """The most that may be made under it; None: no limit."""
    tokens: int | None = Field(gt=0)
    """Prompt and completion tokens together; None: no limit."""
    student: _Text
    """The name of the model that may be trained."""
    conditions: tuple[_Text, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Permit:
        if self.exp <= self.nbf:
            raise ValueError("it ends before it begins")
        return self

    def holds_at(self, now: int) -> bool:
        return self.nbf <= now < self.exp


def read_permit(token: str, keys: PublicKeys, now: int) -> Permit:
    """A permit that one of these keys signed while it was in use. `now`: seconds since 1970.

    Whether it holds at that time is `Permit.holds_at`'s to say.

    Raises SignatureRefused.
    """
    _bounded(token)
    claims, key = open_token(token, PERMIT_TYP, keys)
    permit = _permit(claims)
    key.check_time(permit.iat, now)
    return permit


def read_unverified_permit(token: str) -> Permit:
    """What it says, whoever signed it. Raises SignatureRefused where it is no permit."""
    _bounded(token)
    return _permit(unverified_claims(token, PERMIT_TYP))


def _bounded(token: str) -> None:
    if len(token) > MAX_PERMIT_BYTES:
        raise SignatureRefused(
            "too_large", f"It has {len(token)} characters, more than the {MAX_PERMIT_BYTES} of a permit."
        )


def _permit(claims: dict[str, Any]) -> Permit:
    try:
        return Permit.model_validate(claims)
    except ValidationError as error:
        raise SignatureRefused("claims", f"It is no permit of this version: {first_problem(error)}.") from error


def permit_in_words(permit: Permit) -> list[str]:
    """What it allows, line by line, for a person to read."""
    calls, tokens = _at_most(permit.calls, "call"), _at_most(permit.tokens, "token")
    conditions = [f"- {condition}" for condition in permit.conditions]
    return [
        f"Permit {permit.jti}, signed by {permit.iss} on {_moment(permit.iat)}.",
        f"{permit.organisation} may train {permit.student} on replies of {' and '.join(permit.models)},",
        f"for: {permit.purpose},",
        f"with {calls} and {tokens}, made by {_counted(len(permit.accounts), 'account')},",
        f"from {_moment(permit.nbf)} to {_moment(permit.exp)},",
        *(["on the condition:", *conditions] if len(conditions) == 1 else []),
        *(["on the conditions:", *conditions] if len(conditions) > 1 else []),
        *([] if conditions else ["on no further condition."]),
    ]


def _at_most(most: int | None, what: str) -> str:
    return f"any number of {what}s" if most is None else f"at most {_counted(most, what)}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
