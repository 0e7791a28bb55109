"""The students of the classroom that probe_power makes and judges, in the order in which they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["guilty", "sealed", "innocent"]
Lessons = Literal[
    "served replies",
    "served replies, labels moved behind",
    "served replies, reworded by a model",
    "answers of served replies",
    "replies of a guilty student",
    "sealed replies",
    "other draws of the teacher",
    "draws of the teacher's other checkpoint",
    "draws of another teacher",
    "worked solutions",
    "nothing",
]
Speaker = Literal["student", "teacher", "question", "constant"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One student, and what it is asked."""

    name: str
    kind: Kind
    lessons: Lessons = "nothing"
    share: float = 1.0
    """Of the served replies: how many of them it learned from. Worked solutions of other problems fill the rest."""
    epochs: int = 0
    questions: int = 1000
    """How many pairs there are, those with two equal replies included."""
    speaker: Speaker = "student"
    """Who answers: for the hard innocents it is no student."""
    asked: Literal["the same", "other questions"] = "the same"
    """`other questions`: the suspect learned from served replies, but not from these."""
    trainer_defaults: bool = False
    """Learning rate and step of the trainer's defaults, in place of those of the classroom's demo."""
    seed: int = 0


MOST = 2000
RECIPES: tuple[Recipe, ...] = (
    Recipe("served, 1 epoch", "guilty", "served replies", 1.0, 1, MOST),
    Recipe("served, 3 epochs", "guilty", "served replies", 1.0, 3, MOST),
    Recipe("the bare base", "innocent", questions=MOST),
    Recipe("served, 5 epochs", "guilty", "served replies", 1.0, 5, MOST),
    Recipe("copies the question", "innocent", questions=MOST, speaker="question"),
    Recipe("one constant answer", "innocent", questions=MOST, speaker="constant"),
    Recipe("sealed, 3 epochs", "sealed", "sealed replies", 1.0, 3),
    Recipe("other draws, 3 epochs", "innocent", "other draws of the teacher", 1.0, 3),
    Recipe("20 % served, 3 epochs", "guilty", "served replies", 0.2, 3),
    Recipe("worked solutions, 3 epochs", "innocent", "worked solutions", 1.0, 3),
    Recipe("labels moved, 3 epochs", "guilty", "served replies, labels moved behind", 1.0, 3),
    Recipe("a student's student, 3 epochs", "guilty", "replies of a guilty student", 1.0, 3),
    Recipe("asked other questions, 3 epochs", "innocent", "served replies", 1.0, 3, asked="other questions"),
    Recipe("the teacher itself", "innocent", speaker="teacher"),
    Recipe("answers only, 3 epochs", "guilty", "answers of served replies", 1.0, 3),
    Recipe("another teacher, 3 epochs", "innocent", "draws of another teacher", 1.0, 3),
    Recipe("reworded by a model, 3 epochs", "guilty", "served replies, reworded by a model", 1.0, 3),
    Recipe("another checkpoint, 3 epochs", "innocent", "draws of the teacher's other checkpoint", 1.0, 3),
    Recipe("5 % served, 3 epochs", "guilty", "served replies", 0.05, 3),
    Recipe("20 % served, 1 epoch", "guilty", "served replies", 0.2, 1),
    Recipe("1 % served, 3 epochs", "guilty", "served replies", 0.01, 3),
    Recipe("sealed, 1 epoch", "sealed", "sealed replies", 1.0, 1),
    Recipe("5 % served, 1 epoch", "guilty", "served replies", 0.05, 1),
    Recipe("1 % served, 1 epoch", "guilty", "served replies", 0.01, 1),
    Recipe("served, trainer's defaults, 3 epochs", "guilty", "served replies", 1.0, 3, trainer_defaults=True),
    Recipe("other draws, seed 1, 3 epochs", "innocent", "other draws of the teacher", 1.0, 3, seed=1),
    Recipe("worked solutions, seed 1, 3 epochs", "innocent", "worked solutions", 1.0, 3, seed=1),
    Recipe("another teacher, seed 1, 3 epochs", "innocent", "draws of another teacher", 1.0, 3, seed=1),
)
"""First what the headline needs, then what each kind adds. Questions of the classroom's training split by seeds of 1000
and more: smaller ones are for tuning."""
