"""What a recipe says about a judge: which model is asked, by which rubric, and for how much."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from stillroom.client.budget import BudgetLimits
from stillroom.client.pacing import PaceLimits
from stillroom.client.settings import Endpoint, Sampling

RUBRIC = (
    "An answer is right if it answers all that the question asks and its final result is correct. How it was reached, "
    "its length, its style and its confidence do not matter. An answer that commits itself to no result, or to several "
    "that differ, is wrong."
)


class JudgeSettings(Endpoint):
    """A model that judges answers. Its replies are paid once, like a teacher's, and lie in a journal of their own."""

    rubric: str = Field(default=RUBRIC, min_length=1)
    """When an answer is right, in words for the judge."""
    samples: int = Field(default=1, ge=1, le=99)
    """Replies to each request; more than half of them must say the same."""
    compare_with_reference: bool = True
    """Where a question has a reference answer, ask whether both mean the same, in either order of the two: an answer is
    judged only where both orders say the same. Without it, and without a reference, ask whether the answer is right."""
    measure_on: int = Field(default=100, ge=0)
    """Answers whose verdict is known, half of them wrong as far as there are so many, that the judge is asked about
    too, so that its own errors can be counted. 0: none."""
    temperature: float | None = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=2048, gt=0, le=2**31)
    """The most tokens of one reply, reasoning included."""
    concurrency: int = Field(default=32, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    budget_usd: Decimal | None = Field(default=None, gt=0)
    """The most that the judge may cost, with all that earlier starts of the run spent on it. The teacher's is apart."""
    max_calls: int | None = Field(default=None, ge=1)
    max_total_tokens: int | None = Field(default=None, ge=1)
    retries: int = Field(default=5, ge=0)

    @model_validator(mode="after")
    def _samples_can_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples at temperature 0 are one sample, paid several times")
        return self

    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)

    def pace(self) -> PaceLimits:
        return PaceLimits(self.concurrency, self.requests_per_minute, self.tokens_per_minute)

    def limits(self) -> BudgetLimits:
        return BudgetLimits(
            budget_usd=self.budget_usd, max_calls=self.max_calls, max_total_tokens=self.max_total_tokens
        )
