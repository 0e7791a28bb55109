"""What a recipe says about where questions come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillroom.base.records import Kind


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
