"""What a recipe says about asking: the teacher, how often and how each question is asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from stillroom.ask.prompt import TeacherPrompt
from stillroom.ask.written_price import read_price
from stillroom.client.budget import BudgetLimits
from stillroom.client.pacing import PaceLimits
from stillroom.client.settings import Endpoint, Sampling


class TeacherSettings(Endpoint):
    """The model that is asked, and under which terms."""

    terms: str | None = None
    """An entry of the terms ledger, or `own` for a model that is yours; None: not stated."""

    _written_price = field_validator("price", mode="before")(read_price)


class AskSettings(TeacherPrompt):
    """`ask:` of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=1, ge=1, le=10_000)
    """Replies to each question. With `stop_after_right`: at most, unless `max` says it."""
    stop_after_right: int | None = Field(default=None, ge=1)
    """Ask on only until so many replies to a question are verified right."""
    max: int | None = Field(default=None, ge=1, le=10_000)
    """With `stop_after_right`: the most replies to one question."""
    temperature: float | None = Field(default=0.7, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=1024, gt=0, le=2**31)
    """The most tokens of one reply, reasoning included. None: the server's own limit."""
    seed: int | None = None
    concurrency: int = Field(default=128, ge=1)
    """Calls in flight at most, at each address. The run begins with one, and finds out how many are good."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """At each address, in any 60 seconds."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """At each address, in any 60 seconds: prompt and completion, each call at its most until it has ended."""
    budget_usd: Decimal | None = Field(default=None, gt=0)
    """The most that the run may spend, with all that earlier starts of it spent."""
    max_calls: int | None = Field(default=None, ge=1)
    max_total_tokens: int | None = Field(default=None, ge=1)
    retries: int = Field(default=5, ge=0)
    """Calls after the first one, for one reply, where another try can help. Refusals by the rate limit do not count."""

    @model_validator(mode="after")
    def _samples_make_sense(self) -> Self:
        if self.stop_after_right is None and self.max is not None:
            raise ValueError("max goes with stop_after_right; without it, write samples")
        if self.stop_after_right is not None and self.stop_after_right > self.most_samples:
            raise ValueError("stop_after_right is larger than the most samples of a question (max, or samples)")
        return self

    @property
    def most_samples(self) -> int:
        """Of one question."""
        return self.max or self.samples

    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, seed=self.seed)

    def pace(self) -> PaceLimits:
        return PaceLimits(self.concurrency, self.requests_per_minute, self.tokens_per_minute)

    def limits(self) -> BudgetLimits:
        return BudgetLimits(
            budget_usd=self.budget_usd, max_calls=self.max_calls, max_total_tokens=self.max_total_tokens
        )
