"""What a training came to, in words and numbers: the rows of the page's table, and what its charts are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from stillroom.report.run_files import Accuracy
from stillroom.report.training_file import Mark, Step, Trained
from stillroom.report.words import count, duration, interval, percent, reason, short
from stillroom.text.gigabytes import gigabytes

METHODS = {"sft": "reasoning and answer", "answers_only": "answers only"}
"""What each method trains on."""
PART_OF_A_MEAN, FEWEST_OF_A_MEAN = 40, 5
"""The running mean of the loss is that of a fortieth of all steps, at least of five."""


UNKNOWN = count(None)


@dataclass(frozen=True, slots=True)
class Cell:
    said: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table: one cell for each training."""

    name: str
    cells: tuple[Cell, ...]


def method_name(method: str) -> str:
    return METHODS.get(method, short(method, 40))


def right_share(mark: Mark) -> Accuracy:
    """The share of held-out questions answered right, with Wilson's interval. At least one question was asked."""
    from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped] # slow to import

    share = mark.right / mark.asked
    low, high = proportion_confint(mark.right, mark.asked, method="wilson")
    return Accuracy(accuracy=share, low=min(float(low), share), high=max(float(high), share), n=mark.asked)


def running_mean(curve: Sequence[Step], position: int) -> float:
    """The mean loss of the step that stands there and those before it; of the first steps, of as many as there are."""
    size = max(FEWEST_OF_A_MEAN, len(curve) // PART_OF_A_MEAN)
    return fmean(step.loss for step in curve[max(0, position + 1 - size) : position + 1])


def figures(trained: Mapping[str, Trained]) -> list[Figure]:
    """What is known of at least one of the trainings."""
    rows = [Figure(name, tuple(map(cell, trained.values()))) for name, cell in _ROWS.items()]
    return [row for row in rows if any(cell.said != UNKNOWN for cell in row.cells)]


def _student(training: Trained) -> Cell:
    if training.parameters is None:
        return Cell(short(training.student, 60) if training.student else UNKNOWN)
    return Cell(short(training.student or "student", 60), f"{count(training.parameters)} parameters")


def _weights(training: Trained) -> Cell:
    lora = training.lora
    if lora is None:
        return Cell(UNKNOWN)
    note = f"rank {count(lora.rank)}, alpha {count(lora.alpha)}"
    if lora.trained_parameters is not None:
        note = f"{count(lora.trained_parameters)} of them, {note}"
    return Cell("LoRA", note)


def _left_out(training: Trained) -> Cell:
    left_out = sum(training.skipped.values())
    if not left_out:
        return Cell(UNKNOWN)
    together = left_out + (training.rows if training.rows is not None else training.traces or 0)
    why = ", ".join(f"{reason(name)} {count(number)}" for name, number in training.skipped.items() if number)
    return Cell(f"{count(left_out)} of {count(together)}", f"{percent(left_out / together)}: {why}")


def _steps(training: Trained) -> Cell:
    if training.held_out is None or not training.held_out.stopped_early:
        return Cell(count(training.steps))
    of = f", {count(training.planned_steps)} were planned" if training.planned_steps else ""
    return Cell(count(training.steps), f"stopped early{of}")


def _matrix_share(training: Trained) -> Cell:
    rate = training.matrix_rate_gflops
    return Cell(percent(training.matrix_share), f"of {count(rate)} GFLOP/s" if rate is not None else "")


def _last_loss(training: Trained) -> Cell:
    if not training.curve:
        return Cell(UNKNOWN)
    return Cell(
        f"{training.curve[-1].loss:.4f}", f"running mean {running_mean(training.curve, len(training.curve) - 1):.4f}"
    )


def _best(training: Trained) -> Cell:
    return _mark(training.held_out.best if training.held_out else None)


def _last_mark(training: Trained) -> Cell:
    curve = training.held_out.curve if training.held_out else ()
    return _mark(curve[-1] if curve else None)


def _mark(mark: Mark | None) -> Cell:
    if mark is None:
        return Cell(UNKNOWN)
    if not mark.asked:
        return Cell(f"step {count(mark.step)}", "by the loss: no answer can be verified")
    share = right_share(mark)
    said = f"{count(mark.right)} of {count(mark.asked)}"
    return Cell(said, f"{interval(share.low, share.high)}, step {count(mark.step)}")


def _memory(training: Trained) -> Cell:
    if training.peak_bytes is None:
        return Cell(UNKNOWN)
    notes = [] if training.predicted_bytes is None else [f"{gigabytes(training.predicted_bytes)} predicted"]
    notes += ["gradient checkpointing"] if training.gradient_checkpointing else []
    return Cell(gigabytes(training.peak_bytes), ", ".join(notes))


def _short_number(number: float | None) -> str:
    return UNKNOWN if number is None else f"{number:g}"


def _seed(training: Trained) -> Cell:
    parts = {"threads": training.threads, "processes": training.processes}
    note = ", ".join(f"{name} {count(value)}" for name, value in parts.items() if value is not None)
    return Cell(count(training.seed), note)


_ROWS: dict[str, Callable[[Trained], Cell]] = {
    "student": _student,
    "weights that were trained": _weights,
    "traces": lambda training: Cell(count(training.traces)),
    "rows": lambda training: Cell(count(training.rows), "packed" if training.packed else ""),
    "rows left out": _left_out,
    "epochs": lambda training: Cell(count(training.epochs)),
    "steps": _steps,
    "held-out questions right, best": _best,
    "held-out questions right, at the end": _last_mark,
    "last loss": _last_loss,
    "trained tokens": lambda training: Cell(count(training.trained_tokens)),
    "trained tokens per second": lambda training: Cell(count(training.tokens_per_second)),
    "share of the machine’s matrix rate": _matrix_share,
    "memory at most": _memory,
    "time": lambda training: Cell(duration(training.seconds)),
    "highest learning rate": lambda training: Cell(_short_number(training.learning_rate)),
    "seed": _seed,
}
