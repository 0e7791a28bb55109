"""What is looked for among the questions, and what happens to what is found."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class OverlapSettings(BaseModel):
    """`check: overlap:` of a recipe. What is left out is listed with both texts in overlap.parquet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicates: Literal["remove", "keep"] = "remove"
    """Of questions with the same text: keep only the one with the smallest id, or keep all, listed."""
    near_duplicates: Literal["remove", "keep"] = "remove"
    """The same for questions that are nearly the same."""
    near: float = Field(default=0.7, gt=0, le=1)
    """How alike near duplicates are: the share of runs of words (of both texts' together) that they have in common."""
    contaminated: Literal["remove", "keep"] = "remove"
    """Questions that the examinations, or the files of `against`, hold as well, in the same words or in others."""
    numbers_swapped: Literal["remove", "keep"] = "keep"
    """Questions that an examination holds with other numbers. They have another answer, and are shown."""
    against: tuple[str, ...] = ()
    """Files of further questions that nobody should have been trained on: JSON lines, CSV or Parquet."""
    overrule: tuple[str, ...] = ()
    """Ids of questions that stay, whatever is found. The hits are listed nevertheless."""
