"""How an examination is held."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stillroom.client.settings import Sampling

Taker = Literal["teacher", "base", "answers_only", "student"]


class ExamSettings(BaseModel):
    """`exam:` of a recipe, but for its questions. Every taker is asked the same questions, in the same way, once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    compare: tuple[Taker, ...] = Field(default=("teacher", "base", "answers_only", "student"), min_length=1)
    """Who takes the examination."""
    temperature: float | None = Field(default=0.0, ge=0)
    """0: the likeliest answer. None: the server's own default."""
    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of one reply, reasoning included. A reply that is cut here is not right."""
    concurrency: int = Field(default=32, ge=1)
    """Calls in flight at most, for one taker at a time."""
    retries: int = Field(default=5, ge=0)
    """Calls after the first one, for one reply, where another try can help."""

    @field_validator("compare")
    @classmethod
    def _each_once(cls, value: tuple[Taker, ...]) -> tuple[Taker, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a taker is named twice")
        return value

    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
