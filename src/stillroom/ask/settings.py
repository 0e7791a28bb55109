"""What a recipe says about asking: the teacher, how often and how each question is asked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from stillroom.client.settings import Endpoint, Sampling


class TeacherSettings(Endpoint):
    """The model that is asked, and under which terms."""

    terms: str | None = None
    """An entry of the terms ledger, or `own` for a model that is yours; None: not stated."""


class AskSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=1, ge=1)
    """Replies to each question."""
    temperature: float | None = Field(default=0.7, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=1024, gt=0)
    seed: int | None = None
    concurrency: int = Field(default=64, ge=1)
    """Calls in flight at most."""
    retries: int = Field(default=5, ge=0)
    """Calls after the first one, for one reply, where another try can help."""

    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, seed=self.seed)
