"""All stages that a recipe has, one after the other, and the report of whatever they have left."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from stillroom.base.progress import Progress
from stillroom.gather import begin, gather_papers, gather_questions
from stillroom.local_models import student_folder
from stillroom.pipeline.asking import ask
from stillroom.pipeline.checking import check
from stillroom.pipeline.examining import exam
from stillroom.pipeline.recipes import recipe_of
from stillroom.pipeline.training import train
from stillroom.recipe import RUNS, Recipe
from stillroom.run_folder import SILENT, folder_of
from stillroom.teacher_terms import require_grant


def run(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask, check, train, examine and report: whatever the recipe has. Returns what `summary.json` holds."""
    recipe = recipe_of(recipe)
    # What can go wrong later is looked at before the first call is paid for.
    if recipe.questions:
        require_grant(recipe)
    if recipe.train:
        student_folder(recipe.train)
    exam_sources = chain.from_iterable(recipe.exam.sources()) if recipe.exam else ()
    folder = begin(recipe, runs, [*recipe.questions, *exam_sources])
    if recipe.questions:
        gather_questions(recipe, folder, progress)
    if recipe.exam:
        gather_papers(recipe, folder, progress)
    if recipe.questions:
        ask(recipe, runs=runs, progress=progress)
        check(recipe, runs=runs, progress=progress)
    if recipe.train:
        train(recipe, runs=runs, progress=progress)
    if recipe.exam:
        exam(recipe, runs=runs, progress=progress)
    return report(recipe, runs=runs)


def report(recipe: Recipe | str | Path, *, runs: Path = RUNS) -> dict[str, Any]:
    """Write `summary.json`, `report.html`, `exam.html` and the students' cards from whatever the stages have left.

    Returns the summary.
    """
    folder = folder_of(recipe_of(recipe), runs)
    from stillroom.report.model_card import write_model_cards
    from stillroom.report.page import summarise, write_report

    summary = summarise(folder)
    write_report(folder)
    write_model_cards(folder)
    return summary
