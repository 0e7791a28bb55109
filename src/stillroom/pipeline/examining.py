"""All takers are asked the same held-out questions."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from stillroom.base.canonical import digest
from stillroom.base.errors import UsageError
from stillroom.base.progress import Progress
from stillroom.exam.settings import name_of
from stillroom.gather import begin, gather_papers
from stillroom.local_models import TEACHER, endpoint_of, local_takers, serving_models
from stillroom.pipeline.recipes import recipe_of
from stillroom.recipe import RUNS, Recipe
from stillroom.run_folder import SILENT, keep_recipe, run_if_changed
from stillroom.store.files import read_object
from stillroom.store.stages import file_digest, model_digest


def exam(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask all takers the same held-out questions. Returns what `exam.json` holds."""
    recipe = recipe_of(recipe)
    if recipe.exam is None:
        raise UsageError(f"The recipe {recipe.name} has no exam section.", "Add exam: {questions: [...]} to it.")
    folder = begin(recipe, runs, list(chain.from_iterable(recipe.exam.sources())))
    from stillroom.exam.run import exam as exam_stage  # statistics: half of what the whole pipeline weighs

    settings, teacher = recipe.exam, recipe.teacher
    papers = gather_papers(recipe, folder, progress)
    keep_recipe(recipe, folder)
    local = local_takers(recipe, folder, runs)
    learned_from = {other.name: runs / other.run / "traces.parquet" for other in settings.others if other.run}

    def work() -> bool:
        with serving_models(recipe, local) as served:
            takers = {name_of(taker): endpoint_of(recipe, taker, served) for taker in settings.compare}
            facts = exam_stage(folder, takers, settings, progress, learned_from=learned_from)
        return not any(taker["failed"] for taker in facts["takers"].values())

    inputs = {
        "settings": digest(settings.model_dump(mode="json")),
        "teacher": digest(teacher.model_dump(mode="json")) if teacher and TEACHER in settings.own else None,
        **{f"{taker} folder": model_digest(path) for taker, path in local.items()},
        **{str(paper.relative_to(folder)): file_digest(paper) for paper in papers},
    }
    run_if_changed(folder, "exam", inputs, ["exam.json", "exam/answers.parquet"], work, progress)
    return read_object(folder / "exam.json")
