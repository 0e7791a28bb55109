"""What the check keeps."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CheckSettings(BaseModel):
    """`check:` of a recipe. Right replies are kept, and those of questions that nothing can verify (`kind: none`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: Literal["all_right", "shortest_right"] = "all_right"
    """Which of a question's right replies: all, or the shortest (in completion tokens) first."""
    per_question: int | None = Field(default=None, ge=1)
    """The most replies that are kept of one question. None: all of them, or one with `shortest_right`."""
    require_reasoning: bool = False
    """Reject replies without readable reasoning. Off: a teacher that does not think aloud, or reasons in its answer,
    can be distilled too. Turn it on where a reasoning teacher sometimes does not reason."""
    accept_summaries: bool = False
    """Train on reasoning that the API only summarises, as if it were the reasoning itself."""
