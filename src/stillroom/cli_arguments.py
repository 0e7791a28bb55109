"""What the commands' arguments have in common: their types, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.recipe import RUNS, load_recipe

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

FLAG = ""
"""In a command's help, instead of the `<bool>` that typer writes behind an option that takes no value."""

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe: a YAML file, see docs/recipe.md.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value: --set ask.samples=8. May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print the result as JSON, for machines.")]
Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The gateway's YAML file.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it, for the record; the system's name for you.")
]
Roots = Annotated[
    Path | None,
    typer.Option("--roots", metavar="FILE", help="Certificates (PEM) that time stamps have to trace back to."),
]


def run_folder_of(run: str) -> Path:
    """The folder of a run, from its name, its folder or its recipe. Whether there is one is for the caller to see."""
    path = Path(run)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return RUNS / load_recipe(path).name
    return path if path.is_dir() else RUNS / run


def person_of(by: str | None) -> str:
    """Who is named, or the system's user: not from the environment, which anyone can set."""
    import os
    import pwd

    if by is not None:
        return by
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return f"uid {os.getuid()}"


def roots_of(path: Path | None) -> list[Certificate] | None:
    """Raises as `read_roots` does."""
    if path is None:
        return None
    from stillroom.store.time_stamps import read_roots

    return read_roots(path)
