"""The student is trained, or learning rates for it are tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stillroom.base.canonical import digest
from stillroom.base.errors import UsageError
from stillroom.base.progress import Progress
from stillroom.local_models import student_folder
from stillroom.model_lineage import base_of, lineage_of
from stillroom.pipeline.recipes import recipe_of
from stillroom.recipe import RUNS, Recipe
from stillroom.report.lineage import LINEAGE, Base, write_lineage
from stillroom.run_folder import SILENT, folder_of, importing_extra, need, run_if_changed
from stillroom.store.files import read_object
from stillroom.store.stages import file_digest, forget_stage
from stillroom.train.settings import Method, TrainSettings


def train(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, dict[str, Any]]:
    """Train the student, and the answers-only student if the exam compares with it. Returns each `train.json`."""
    recipe = recipe_of(recipe)
    settings, student = _trained(recipe, runs)
    folder = folder_of(recipe, runs)
    need(folder, "traces.parquet", "check")
    from stillroom.report.model_card import write_model_cards

    base = base_of(settings.student, student)
    methods: list[Method] = [settings.method]
    if recipe.exam and "answers_only" in recipe.exam.compare and "answers_only" not in methods:
        methods.append("answers_only")
    for method in methods:
        _train_by(settings.model_copy(update={"method": method}), recipe, folder, student, base, progress)
    write_model_cards(folder)
    return {method: read_object(folder / "train" / method / "train.json") for method in methods}


def _train_by(
    settings: TrainSettings, recipe: Recipe, folder: Path, student: Path, base: Base, progress: Progress
) -> None:
    """By the settings' method, unless nothing has changed since."""
    with importing_extra("train"):
        from stillroom.train.held_out import HeldOutFiles
        from stillroom.train.run import train as train_stage
    stage, out = f"train {settings.method}", folder / "train" / settings.method
    held_out = HeldOutFiles(folder / "held_out.parquet", folder / "questions.parquet")

    def forget() -> None:
        forget_stage(folder, stage)
        (out / LINEAGE).unlink(missing_ok=True)

    def work() -> bool:
        traces = folder / "traces.parquet"
        train_stage(traces, student, out, settings, progress, held_out=held_out, before_replacing=forget)
        return True

    inputs = {
        "settings": digest(settings.model_dump(mode="json")),
        "student": base.digest,
        "traces.parquet": file_digest(folder / "traces.parquet"),
        "held_out.parquet": file_digest(held_out.traces) if settings.held_out.questions else None,
    }
    outputs = [f"train/{settings.method}/student", f"train/{settings.method}/train.json"]
    run_if_changed(folder, stage, inputs, outputs, work, progress, forget_first=False)
    if not (out / LINEAGE).exists():  # what it says is of the time of the training
        write_lineage(out / LINEAGE, lineage_of(recipe, folder, settings, base))


def sweep(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Try learning rates on a share of the traces, and say which is best. Returns what `sweep.json` holds."""
    recipe = recipe_of(recipe)
    settings, student = _trained(recipe, runs)
    folder = folder_of(recipe, runs)
    need(folder, "traces.parquet", "check")
    with importing_extra("train"):
        from stillroom.train.held_out import HeldOutFiles
        from stillroom.train.sweep import sweep as sweep_rates
    held_out = HeldOutFiles(folder / "held_out.parquet", folder / "questions.parquet")
    out = folder / "train" / "sweep"
    return sweep_rates(folder / "traces.parquet", student, out, settings, progress, held_out=held_out)


def _trained(recipe: Recipe, runs: Path) -> tuple[TrainSettings, Path]:
    """The settings, and where the student lies that training starts from.

    Raises UsageError where there is nothing to train, or where that student is one that the training would write.
    """
    if recipe.train is None:
        raise UsageError(f"The recipe {recipe.name} has no train section.", "Add train: {student: ...} to it.")
    student = student_folder(recipe.train)
    if student.resolve().is_relative_to((runs / recipe.name / "train").resolve()):
        what = f"train.student, {student}, lies where this run writes its own students."
        raise UsageError(what, "Give the recipe another name, so that it has a run of its own.")
    return recipe.train, student
