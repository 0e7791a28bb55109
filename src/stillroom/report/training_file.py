"""What a report reads of a training: train/METHOD/train.json, and those of earlier versions."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field, FiniteFloat, NonNegativeInt, field_validator

from stillroom.report.stage_file import StageFile


class Step(NamedTuple):
    """One of the training's: its loss in nats per trained token, and its own speed in trained tokens a second."""

    number: int
    loss: float
    """Of a training that has diverged it is no number."""
    learning_rate: FiniteFloat
    tokens_per_second: FiniteFloat | None = None


class Mark(NamedTuple):
    """How many held-out questions the student had right after so many steps."""

    step: NonNegativeInt
    right: NonNegativeInt
    asked: NonNegativeInt
    loss: float | None = None
    """On the held-out replies, in nats per trained token."""
    cut: NonNegativeInt | None = None
    """Answers that ran into the limit of tokens."""


class HeldOut(StageFile):
    """train.json, `held_out`"""

    curve: tuple[Mark, ...]
    best_step: int | None = None
    """After which the student is the one that is kept."""
    stopped_early: bool = False

    @field_validator("curve")
    @classmethod
    def _a_part_is_right(cls, curve: tuple[Mark, ...]) -> tuple[Mark, ...]:
        for mark in curve:
            if max(mark.right, mark.cut or 0) > mark.asked:
                raise ValueError(f"more answers than the {mark.asked} that were asked for at step {mark.step}")
        return curve

    @property
    def best(self) -> Mark | None:
        return next((mark for mark in self.curve if mark.step == self.best_step), None)


class Lora(StageFile):
    """train.json, `lora`"""

    rank: int | None = None
    alpha: FiniteFloat | None = None
    trained_parameters: int | None = None


class Trained(StageFile):
    """train/METHOD/train.json"""

    method: str
    student: str | None = None
    parameters: int | None = None
    lora: Lora | None = None
    """None where all weights were trained."""
    traces: NonNegativeInt | None = None
    rows: NonNegativeInt | None = None
    skipped: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """Rows that were left out, by reason."""
    steps: int | None = None
    planned_steps: int | None = None
    epochs: FiniteFloat | None = None
    trained_tokens: int | None = None
    tokens_per_second: FiniteFloat | None = None
    matrix_rate_gflops: FiniteFloat | None = None
    """At which this machine multiplies matrices of the model's shapes."""
    matrix_share: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Of that rate, what the steps came to."""
    peak_bytes: NonNegativeInt | None = None
    predicted_bytes: NonNegativeInt | None = None
    """What was expected before the first step."""
    gradient_checkpointing: bool = False
    packed: bool = False
    seconds: FiniteFloat | None = None
    learning_rate: FiniteFloat | None = None
    """The highest."""
    seed: int | None = None
    threads: int | None = None
    processes: int | None = None
    curve: tuple[Step, ...] = ()
    held_out: HeldOut | None = None
