"""The recipe that a stage is given, or that a run was last run with."""

from __future__ import annotations

from pathlib import Path

from stillroom.base.errors import UsageError
from stillroom.recipe import Recipe, RecipeTeacher, load_recipe
from stillroom.report.runs import RECIPE


def recipe_of(recipe: Recipe | str | Path) -> Recipe:
    """Itself, or as its file has it."""
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def recipe_of_run(run_folder: Path) -> Recipe:
    """The recipe that a run was last run with. Raises UsageError where there is no run."""
    check_is_run(run_folder)
    return load_recipe(run_folder / RECIPE)


def check_is_run(run_folder: Path) -> None:
    """Raises UsageError where there is no run."""
    if not (run_folder / RECIPE).exists():
        raise UsageError(
            f"There is no run at {run_folder}.", "stillroom look, without a name, lists the runs there are."
        )


def teacher_of(recipe: Recipe) -> RecipeTeacher:
    """The teacher. Raises UsageError where the recipe only examines."""
    if recipe.teacher is None or not recipe.questions:
        what = f"The recipe {recipe.name} only examines."
        raise UsageError(what, "Run stillroom exam with it, or give it questions and a teacher.")
    return recipe.teacher
