"""What the figures of every stage are read as: the keys that are named, whatever else there is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StageFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
