"""Where a model is reached, and how it is to answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stillroom.base.validation import VariableName

_LIMITS = ("max_tokens", "max_completion_tokens")
_MOST_TOKENS, _LONGEST_S, _HIGHEST_USD = 2**31, 7 * 86400, 10**9
_OURS = {
    "model": "write teacher.model",
    "best_of": "write ask.samples",
    "messages": "the questions say it",
    "n": "write ask.samples",
    "stream": "write teacher.stream",
    "stream_options": "write teacher.stream",
}
"""Fields of a request that decide how its reply is read and paid for."""


class Price(BaseModel):
    """USD for one million tokens, for a model that the price list does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_per_million: Decimal = Field(ge=0, le=_HIGHEST_USD)
    output_per_million: Decimal = Field(ge=0, le=_HIGHEST_USD)
    cached_per_million: Decimal | None = Field(default=None, ge=0, le=_HIGHEST_USD)
    """Prompt tokens that the provider read from its cache; None: they cost what input costs."""
    per_call: Decimal = Field(default=Decimal(0), ge=0, le=_HIGHEST_USD)
    """USD for each call that is answered, beside its tokens."""


class Endpoint(BaseModel):
    """A model behind an OpenAI-compatible API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    base_url: str
    """Up to and without `/chat/completions`; most end in `/v1`."""
    replicas: tuple[str, ...] = ()
    """Further addresses of the same model. Each has a pace of its own; the run goes on while one of them answers."""
    api_key_env: VariableName | None = None
    """The environment variable that holds the key. The key itself is in no file, and is read when a run begins."""
    permit: str | None = None
    """A file with the permit under which the model's owner lets its replies be used. Sent along with each call."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Sent along as it is, over stillroom's own fields; a null takes a field out."""
    price: Literal["none"] | Price | None = None
    """None: from the price list, and an error where that does not know the model; `none`: it costs nothing."""
    timeout_s: float = Field(default=600, gt=0, le=_LONGEST_S)
    """Seconds for one whole call: a model that reasons may send nothing for minutes. Not used where `stream` is."""
    stream: bool = False
    """Have the reply sent as it is written: for long reasoning, which a time-out for the whole call would cut."""
    idle_timeout_s: float = Field(default=300, gt=0, le=_LONGEST_S)
    """With `stream`: seconds without a byte after which a call counts as lost."""

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.base_url, *self.replicas)

    @field_validator("replicas")
    @classmethod
    def _plain_addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_plain_address(value) for value in values)

    @model_validator(mode="after")
    def _each_address_once(self) -> Self:
        if len(set(self.addresses)) < len(self.addresses):
            raise ValueError("replicas name an address twice: its limits would count twice")
        return self

    @field_validator("extra_body")
    @classmethod
    def _leaves_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, remedy in _OURS.items():
            if name in value:
                raise ValueError(f"{name} does not belong here: {remedy}")
        for name in _LIMITS:
            limit = value.get(name)
            is_count = isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit <= _MOST_TOKENS
            if limit is not None and not is_count:
                raise ValueError(f"{name} must be a number of tokens, or null for no such field")
        return value

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        return _plain_address(value)


class Sampling(BaseModel):
    """How an answer is drawn. None leaves it to the model's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0, le=_MOST_TOKENS)
    """The most tokens of one reply, reasoning included."""
    seed: int | None = None
    """Sample n of a question is asked with seed + n, so that samples differ on a server that honours seeds."""


def _plain_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError("this is not an address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ValueError("an address must look like https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        # Addresses are written to files; a key in one would be written with it.
        raise ValueError("an address must hold no user, password, query or fragment; keys go into api_key_env")
    return value.rstrip("/")
