"""What was found: one row for each pair of questions that a rule holds to overlap."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

Rule = Literal["same_text", "same_parameters", "near_duplicate", "copy", "near_copy", "quoted_part", "numbers_swapped"]
Reason = Literal["duplicate_question", "near_duplicate_question", "contaminated"]
Action = Literal["left_out", "kept", "overruled"]

REASON_OF: dict[Rule, Reason] = {
    "same_text": "duplicate_question",
    "same_parameters": "duplicate_question",
    "near_duplicate": "near_duplicate_question",
    "copy": "contaminated",
    "near_copy": "contaminated",
    "quoted_part": "contaminated",
    "numbers_swapped": "contaminated",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a question is not used: a reason of rejected.parquet, and the words that say which other question it is."""

    reason: Reason
    detail: str


@dataclass(slots=True)
class Overlap:
    """What `find_overlap` returns; every pair is in overlap.parquet."""

    questions: int
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    """By id of the question. All others are kept."""
    hits: Counter[str] = field(default_factory=Counter)
    """Rows of overlap.parquet by rule, overruled ones and those that are only shown included."""

    def report(self) -> dict[str, Any]:
        """For check.json: questions = kept + left out, hits by rule."""
        reasons = Counter(each.reason for each in self.left_out.values())
        return {
            "questions": self.questions,
            "kept": self.questions - len(self.left_out),
            "left_out": dict(sorted(reasons.items())),
            "hits": dict(sorted(self.hits.items())),
        }
