"""How many requests a teacher takes: in flight, and in a minute. Above that it answers 429."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MINUTE_S = 60.0


class Limits(BaseModel):
    """What a teacher allows. None: no such limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_flight: int | None = Field(default=None, ge=1)
    """Requests at once; one counts until the last byte of its response is sent."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    window: Literal["token_bucket", "fixed_minute"] = "token_bucket"
    """token_bucket: a request takes a token, and tokens come back one by one. fixed_minute: so many requests in each
    minute of the clock, however soon they come."""
    burst: int | None = Field(default=None, ge=1)
    """What the bucket holds, full at the start; None: the requests of a whole minute."""
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    """How a 429 says when to come back. Both are rounded up to whole seconds, since that is all the header can hold."""
    headers: bool = False
    """Whether responses have x-ratelimit-limit-requests, -remaining-requests and -reset-requests."""

    @model_validator(mode="after")
    def _has_a_bucket(self) -> Self:
        if self.burst is not None and (self.requests_per_minute is None or self.window != "token_bucket"):
            raise ValueError("burst is the size of a token bucket, which needs requests_per_minute")
        return self


@dataclass(frozen=True, slots=True)
class Refusal:
    name: str
    """in_flight_limit or rate_limit."""
    retry_after_s: float
    """When the next request will be taken; a guess of a second where too many are in flight."""


class LimitKeeper:
    """Applies limits to requests as they come. Pure: the time is passed in, as seconds since 1970."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._per_minute = limits.requests_per_minute
        self._most = limits.burst or limits.requests_per_minute or 0
        """What may be taken before any comes back."""
        self._left = float(self._most)
        self._counted_at = now

    def admit(self, now: float, in_flight: int) -> Refusal | None:
        """Take one request, or say why not. `in_flight` counts the others; a refused request uses up nothing."""
        if self._limits.in_flight is not None and in_flight >= self._limits.in_flight:
            return Refusal("in_flight_limit", 1.0)
        if self._per_minute is None:
            return None
        self._count(now)
        if self._left < 1:
            return Refusal("rate_limit", self._seconds_until(1, now))
        self._left -= 1
        return None

    def headers(self, now: float) -> tuple[tuple[str, str], ...]:
        """The x-ratelimit headers as they are now; none where they are not wanted or nothing is limited by time."""
        if self._per_minute is None or not self._limits.headers:
            return ()
        self._count(now)
        return (
            ("x-ratelimit-limit-requests", str(self._per_minute)),
            ("x-ratelimit-remaining-requests", str(int(self._left))),
            ("x-ratelimit-reset-requests", f"{self._seconds_until(self._most, now):.3f}s"),
        )

    def retry_after(self, refusal: Refusal, now: float) -> tuple[tuple[str, str], ...]:
        """The Retry-After header of a refusal, if it is to have one."""
        if self._limits.retry_after == "none":
            return ()
        if self._limits.retry_after == "date":
            return (("Retry-After", http_date(now + refusal.retry_after_s)),)
        return (("Retry-After", str(math.ceil(refusal.retry_after_s))),)

    def _count(self, now: float) -> None:
        """Give back what time has given back."""
        assert self._per_minute is not None
        if self._limits.window == "token_bucket":
            gained = max(0.0, now - self._counted_at) * self._per_minute / MINUTE_S
            self._left = min(float(self._most), self._left + gained)
        elif now // MINUTE_S > self._counted_at // MINUTE_S:
            self._left = float(self._most)
        self._counted_at = max(now, self._counted_at)

    def _seconds_until(self, wanted: int, now: float) -> float:
        """Seconds until so many requests could be taken at once."""
        assert self._per_minute is not None
        if self._left >= wanted:
            return 0.0
        if self._limits.window == "token_bucket":
            return (wanted - self._left) * MINUTE_S / self._per_minute
        return MINUTE_S - now % MINUTE_S


def http_date(at: float) -> str:
    """A moment, in seconds since 1970, as HTTP writes it: whole seconds, never before the moment."""
    return formatdate(math.ceil(at), usegmt=True)
