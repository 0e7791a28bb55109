"""The runs that there are, told from the files in their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stillroom.report.run_files import Recipe, read_recipe
from stillroom.report.staleness import is_stale
from stillroom.store.files import read_object
from stillroom.store.stages import STAGES

RECIPE = "recipe.yaml"


def list_runs(runs: Path) -> list[dict[str, Any]]:
    """Each run below `runs`, the latest first: `name`, `folder`, `changed_at`, and its stages `done` and `to_do`.

    `changed_at` is in microseconds, UTC. A folder without a recipe is no run. Raises StoreError for a damaged file.
    """
    found = [_listed(path.parent) for path in runs.glob(f"*/{RECIPE}")]
    return sorted(found, key=lambda run: (-run["changed_at"], run["name"]))


def _listed(folder: Path) -> dict[str, Any]:
    recipe = read_recipe(folder / RECIPE)
    assert recipe is not None
    done = _done(folder, recipe)
    return {
        "name": folder.name,
        "folder": str(folder),
        "changed_at": max(path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()) // 1000,
        "done": done,
        "to_do": [stage for stage in recipe.stages if stage not in done],
    }


def _done(folder: Path, recipe: Recipe) -> list[str]:
    """The stages that have finished, up to one that is older than what it was made from: those after it are, too."""
    finished = read_object(folder / STAGES) if (folder / STAGES).exists() else {}
    done: list[str] = []
    for stage in recipe.stages:
        key = _key(stage, recipe)
        if key in finished and is_stale(folder, key):
            break
        if key in finished:
            done.append(stage)
    return done


def _key(stage: str, recipe: Recipe) -> str:
    """What stages.json calls it."""
    return f"train {recipe.method}" if stage == "train" else stage
