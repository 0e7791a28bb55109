"""Which learning rate: several are tried on a small share of the traces, and scored by what is held out.

    sweep/traces.parquet       the traces that every rate is tried on
          held_out.parquet     where the check holds nothing out: some more, to score by
          x0.25/               one folder for each rate, by its factor: train.json, row.json
          sweep.json           the table

A rate that was tried is not tried again, unless what it was tried with has changed.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError, DivergedError, StoreError
from stillroom.base.progress import Progress
from stillroom.generate.load import load_model
from stillroom.store.files import read_object, write_json
from stillroom.store.lock import FolderLock
from stillroom.store.stages import file_digest, is_finished, model_digest, run_stage
from stillroom.store.tables import count_rows, read_traces, write_traces
from stillroom.train.defaults import default_learning_rate
from stillroom.train.held_out import HeldOutFiles
from stillroom.train.run import train
from stillroom.train.settings import HeldOutSettings, TrainSettings

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the recipe's rate, or of the one that suits the student's size."""
SHARE = 0.2
"""Of the questions, whose traces each rate is tried on."""
LEAST_QUESTIONS = 200
"""Where there are so many: a fifth of few traces is a step or two."""
MOST_STEPS = 100
HELD_OUT_SHARE = 0.1
"""Of the questions, where the check holds nothing out; at most as many as are asked."""
LAST_STEPS = 0.1
"""The share of the steps, at the end, over which a rate's loss is averaged."""
CONFIDENCE = 0.95


def sweep(
    traces: Path, student: Path, out: Path, settings: TrainSettings, progress: Progress, *, held_out: HeldOutFiles
) -> dict[str, Any]:
    """Try each rate on the same few traces, with the same seed, and write `out/sweep.json`, which is returned.

    A rate is scored by the right answers of its student to the held-out questions, and by the loss on the teacher's
    replies to them where it has as many as another, or where no answer can be verified. A rate at which training
    diverges is a row with its reason. What training of one rate raises besides is raised here.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(out / "sweep.lock", f"The sweep in {out}")
    try:
        files, facts = _divide(traces, out, settings, held_out)
        rates = _rates(student, settings)
        rows = [
            _tried(number, factor, rate, student, out, settings, progress, files)
            for number, (factor, rate) in enumerate(rates.items(), 1)
        ]
        report = {"sweep": "lr", "student": settings.student, "method": settings.method, **facts}
        report |= {"rates": rows, **verdict(rows)}
        write_json(out / "sweep.json", report)
        return report
    finally:
        lock.release()


def verdict(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the table says: the `best` rate (None: all diverged), whether it lies `at_the_end` of the rates that were
    tried (`lowest`, `highest`, None), and the rates that are `as_good` as far as anybody can tell.

    A rate is told apart from the best one where the 95 % intervals of their right answers do not meet. Of a loss alone
    nobody knows how much it would differ with another seed: then no rate is said to be as good.
    """
    finished = [row for row in rows if row["problem"] is None]
    if not finished:
        return {"best": None, "at_the_end": None, "as_good": []}
    best = max(finished, key=lambda row: (row["right"], -row["held_out_loss"], -row["learning_rate"]))
    ends = {rows[0]["learning_rate"]: "lowest", rows[-1]["learning_rate"]: "highest"}
    as_good = [
        row["learning_rate"] for row in finished if row is not best and best["asked"] and row["high"] >= best["low"]
    ]
    return {
        "best": best["learning_rate"],
        "at_the_end": ends.get(best["learning_rate"]),
        "as_good": as_good,
    }


def _divide(
    traces: Path, out: Path, settings: TrainSettings, held_out: HeldOutFiles
) -> tuple[tuple[Path, HeldOutFiles], dict[str, Any]]:
    """What each rate is tried on and scored by: the traces of some questions, drawn by their ids and the seed."""
    questions = sorted({trace.question_id for trace in read_traces(traces)}, key=lambda each: _lot(each, settings.seed))
    by_check = held_out.traces.exists() and count_rows(held_out.traces) > 0
    asked = settings.held_out.questions or HeldOutSettings().questions
    held = 0 if by_check else min(asked, math.ceil(HELD_OUT_SHARE * len(questions)))
    wanted = max(math.ceil(SHARE * len(questions)), LEAST_QUESTIONS)
    tried = set(questions[held : held + wanted])
    if not tried:
        raise DataError(
            f"There are traces of {len(questions)} questions: too few to try learning rates on.",
            "Ask more questions, or see in check.json why so few replies were kept.",
        )
    own = HeldOutFiles(out / "held_out.parquet", held_out.questions)
    count = write_traces(out / "traces.parquet", (each for each in read_traces(traces) if each.question_id in tried))
    if not by_check:
        scored = set(questions[:held])
        write_traces(own.traces, (each for each in read_traces(traces) if each.question_id in scored))
    facts = {"traces": count, "share": len(tried) / len(questions), "held_out_by": "check" if by_check else "sweep"}
    return (out / "traces.parquet", held_out if by_check else own), facts


def _lot(question_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"sweep {seed} {question_id}".encode("utf-8", "replace")).digest()


def _rates(student: Path, settings: TrainSettings) -> dict[float, float]:
    """Learning rates, ascending, by factor."""
    middle = settings.learning_rate
    if middle is None:
        parameters = load_model(student).model.num_parameters()
        middle = default_learning_rate(parameters, with_lora=settings.lora is not None)
    return {factor: float(f"{factor * middle:.3g}") for factor in FACTORS}


def _tried(
    number: int,
    factor: float,
    rate: float,
    student: Path,
    out: Path,
    settings: TrainSettings,
    progress: Progress,
    files: tuple[Path, HeldOutFiles],
) -> dict[str, Any]:
    """The table's row of one rate; trained, unless that was done."""
    traces, held_out = files
    steps = min(MOST_STEPS, settings.max_steps or MOST_STEPS)
    questions = settings.held_out.questions or HeldOutSettings().questions
    # Scored once, at the end: what is looked for is the rate, not the best step.
    once = settings.held_out.model_copy(update={"questions": questions, "every_steps": steps, "stop_after": None})
    tried = settings.model_copy(update={"learning_rate": rate, "max_steps": steps, "held_out": once})
    folder = out / f"x{factor:g}"
    row_file = folder / "row.json"

    def work() -> bool:
        progress.say(f"sweep: learning rate {rate:g} ({number} of {len(FACTORS)})")
        try:
            row = _row(train(traces, student, folder, tried, progress, held_out=held_out))
        except DivergedError as error:
            row = _NOTHING | {"problem": error.what}
        for left in ("student", "adapter", "checkpoints"):  # a share of the data makes no student to keep
            shutil.rmtree(folder / left, ignore_errors=True)
        write_json(row_file, {"factor": factor, "learning_rate": rate, **row})
        return True

    inputs = {
        "settings": digest(tried.model_dump(mode="json")),
        "student": model_digest(student),
        "traces": file_digest(traces),
        "held_out": file_digest(held_out.traces),
    }
    if not is_finished(out, folder.name, inputs, [row_file]):
        run_stage(out, folder.name, inputs, work)
    row = read_object(row_file)
    if not row.keys() >= {"factor", "learning_rate", *_NOTHING}:
        raise StoreError(f"{row_file} is not what a sweep writes.", "Delete it and run again: that rate is tried anew.")
    return row


_NOTHING: dict[str, Any] = dict.fromkeys(
    ("steps", "loss", "held_out_loss", "right", "asked", "low", "high", "seconds", "problem")
)


def _row(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of what training reports: the loss of its last steps in nats per token, and how the student did at the end."""
    if facts["held_out"] is None:
        raise DataError(
            "None of the held-out traces can be shown to the student: they are too long, or its template refuses them.",
            "See some with `stillroom look RUN --mask`, or take a student with a longer context.",
        )
    losses = [point[1] for point in facts["curve"]]
    last = losses[-max(1, round(LAST_STEPS * len(losses))) :]
    _, right, asked, loss, *_ = facts["held_out"]["curve"][-1]
    low, high = proportion_confint(right, asked, alpha=1 - CONFIDENCE, method="wilson") if asked else (None, None)
    return _NOTHING | {
        "steps": facts["steps"],
        "loss": round(sum(last) / len(last), 5),
        "held_out_loss": loss,
        "right": right,
        "asked": asked,
        "low": low if low is None else round(float(low), 4),
        "high": high if high is None else round(float(high), 4),
        "seconds": facts["seconds"],
    }
