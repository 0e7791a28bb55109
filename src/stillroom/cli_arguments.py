"""What the commands' arguments have in common: their types, and which run is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillroom.recipe import RUNS, load_recipe

FLAG = ""
"""In a command's help, instead of the `<bool>` that typer writes behind an option that takes no value."""

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe: a YAML file, see docs/recipe.md.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value: --set ask.samples=8. May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print the result as JSON, for machines.")]


def run_folder_of(run: str) -> Path:
    """The folder of a run, from its name, its folder or its recipe. Whether there is one is for the caller to see."""
    path = Path(run)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return RUNS / load_recipe(path).name
    return path if path.is_dir() else RUNS / run
