"""The students of SmolLM2-135M-Instruct, in the order in which they are made: first what the headline needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.probe_students.recipes import Kind

Lessons = Literal[
    "served replies",
    "served replies, reworded by a model",
    "replies of a guilty student to the same questions",
    "replies of a guilty student to other questions",
    "sealed replies",
    "other draws of the teacher",
    "draws of the teacher's other checkpoint",
    "draws of the teacher for other questions",
    "nothing",
]
MOST = 2000


@dataclass(frozen=True, slots=True)
class Recipe:
    """One student, and how it is asked."""

    name: str
    kind: Kind
    lessons: Lessons = "nothing"
    share: float = 1.0
    """Of the served replies: how many of them it learned from. Draws of the teacher for other questions, which nobody
    sealed anything of, fill the rest."""
    epochs: int = 0
    questions: int = MOST
    """How many pairs there are."""
    samples: int = 4
    """Answers to each question at temperature 0.7."""
    seed: int = 1000
    """Of the questions, the teacher's draws, the coins and the training."""


RECIPES: tuple[Recipe, ...] = (
    *(Recipe(f"served, 1 epoch, seed {seed}", "guilty", "served replies", 1.0, 1, samples=32, seed=seed)
      for seed in (1000, 1001, 1002)),
    *(Recipe(f"300 served, 3 epochs, seed {seed}", "guilty", "served replies", 1.0, 3, 300, samples=32, seed=seed)
      for seed in (1000, 1001, 1002)),
    Recipe("served, 3 epochs", "guilty", "served replies", 1.0, 3, samples=16),
    Recipe("the bare base", "innocent", samples=8),
    *(Recipe(f"other draws, 1 epoch, seed {seed}", "innocent", "other draws of the teacher", 1.0, 1, samples=8,
             seed=seed) for seed in (1000, 1001, 1002)),
    Recipe("50 % served, 1 epoch", "guilty", "served replies", 0.5, 1, samples=16),
    *(Recipe(f"{share} % served, 1 epoch", "guilty", "served replies", share / 100, 1) for share in (20, 5, 1)),
    Recipe("sealed, 1 epoch", "sealed", "sealed replies", 1.0, 1, samples=8, seed=1001),
    Recipe("other draws, 3 epochs, seed 1000", "innocent", "other draws of the teacher", 1.0, 3),
    Recipe("other draws, 3 epochs, seed 1001", "innocent", "other draws of the teacher", 1.0, 3, seed=1001),
    Recipe("reworded by a model, 1 epoch", "guilty", "served replies, reworded by a model", 1.0, 1),
    Recipe("asked other questions, 1 epoch", "innocent", "draws of the teacher for other questions", 1.0, 1,
           seed=1002),
    Recipe("reworded by a model, 3 epochs", "guilty", "served replies, reworded by a model", 1.0, 3),
    Recipe("another checkpoint, 3 epochs, seed 1001", "innocent", "draws of the teacher's other checkpoint", 1.0, 3,
           seed=1001),
    Recipe("another checkpoint, 1 epoch, seed 1002", "innocent", "draws of the teacher's other checkpoint", 1.0, 1,
           seed=1002),
    Recipe("asked other questions, 3 epochs", "innocent", "draws of the teacher for other questions", 1.0, 3),
    *(Recipe(f"{share} % served, 3 epochs", "guilty", "served replies", share / 100, 3) for share in (50, 20, 5, 1)),
    Recipe("sealed, 3 epochs", "sealed", "sealed replies", 1.0, 3),
    Recipe("served, 5 epochs", "guilty", "served replies", 1.0, 5),
    Recipe("a student's student, same questions, 3 epochs", "guilty",
           "replies of a guilty student to the same questions", 1.0, 3),
    Recipe("a student's student, other questions, 3 epochs", "guilty",
           "replies of a guilty student to other questions", 1.0, 3),
)  # fmt: skip
"""Every student has coins of its own. Those of one seed share the teacher's draws."""
