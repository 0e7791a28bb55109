"""What a recipe says about asking: the teacher, the questions, how often and how each is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillroom.base.records import Kind
from stillroom.client.settings import Endpoint, Sampling


class TeacherSettings(Endpoint):
    """The model that is asked, and under which terms."""

    terms: str | None = None
    """An entry of the terms ledger, or `own` for a model that is yours; None: not stated."""


class FileSource(BaseModel):
    """Questions from a JSONL file; the format is in docs/formats.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    from_: Literal["file"] = Field(default="file", alias="from")
    path: str
    """Relative to the recipe's folder."""
    kind: Kind | None = None
    """For rows that name none; None: `number` for answers in GSM8K's form, `exact` for other answers, else `none`."""
    licence: str | None = None
    """For rows that name none."""
    count: int | None = Field(default=None, ge=1)
    """The first so many rows; None: all."""


class ReasoningGymSource(BaseModel):
    """Questions made by one of reasoning-gym's tasks, which also scores the answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    from_: Literal["reasoning-gym"] = Field(default="reasoning-gym", alias="from")
    task: str
    count: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)
    """Two seeds share no more questions than chance makes."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The task's own parameters."""


SourceSettings = Annotated[FileSource | ReasoningGymSource, Field(discriminator="from_")]


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
