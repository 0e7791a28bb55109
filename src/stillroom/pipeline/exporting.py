"""A run's data set, or its student, is written for another tool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from stillroom.base.errors import UsageError
from stillroom.base.progress import Progress
from stillroom.export.dataset import export_dataset
from stillroom.export.form import About
from stillroom.export.model import export_model
from stillroom.export.settings import ModelTarget, Reasoning, Target
from stillroom.pipeline.recipes import recipe_of_run
from stillroom.recipe import Recipe
from stillroom.run_folder import SILENT, importing_extra, need
from stillroom.teacher_terms import binding_of_dataset, binding_of_student, refuse_name


def export(
    run_folder: Path,
    to: Target,
    out: Path | None = None,
    *,
    reasoning: Reasoning = "keep",
    name: str | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write a run's data set, or its student, for another tool. Returns what `export.json` holds, and the `folder`.

    `out` is a folder that is not there yet, or an earlier export, whose place is taken; None: `export/TO` of the run.
    `name` is what the student is given away as, None: the run's name. Terms of its teachers may ask for one.
    """
    recipe = recipe_of_run(run_folder)
    folder = out or run_folder / "export" / to
    about = About(
        name=recipe.name,
        teacher=recipe.teacher.model if recipe.teacher else None,
        terms=recipe.teacher.terms if recipe.teacher else None,
        student=recipe.train.student if recipe.train else None,
    )
    if to == "gguf" or to == "merged":
        facts = _export_student(run_folder, recipe, to, folder, about, name, progress)
    elif name is not None:
        raise UsageError("--name is for a student, and this is a data set.", "Export it without --name.")
    else:
        need(run_folder, "traces.parquet", "check")
        about = replace(about, binding=binding_of_dataset(run_folder, recipe))
        facts = export_dataset(run_folder, to, folder, about, reasoning, progress)
    return {**facts, "folder": str(folder)}


def _export_student(
    run_folder: Path, recipe: Recipe, to: ModelTarget, folder: Path, about: About, name: str | None, progress: Progress
) -> dict[str, Any]:
    if recipe.train is None:
        raise UsageError(f"The recipe {recipe.name} has no train section.", "So there is no student to export.")
    method = recipe.train.method
    about = replace(about, binding=binding_of_student(run_folder, recipe))
    refuse_name(recipe.name if name is None else name, about.binding, recipe.name, to)
    card = None
    if name is not None:
        from stillroom.report.model_card import model_card_as

        card = model_card_as(name, run_folder, method)
    student = run_folder / "train" / method / "student"
    with importing_extra("gguf"):
        return export_model(run_folder, to, student, folder, about, progress, name=name, card=card)
