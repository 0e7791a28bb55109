"""The folder of a run, and its stages: done once, and again only where what they start from has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stillroom import __version__
from stillroom.base.errors import StoreError, UsageError
from stillroom.base.interrupts import held_back
from stillroom.base.progress import Progress, Silent
from stillroom.recipe import Recipe
from stillroom.store.files import write_atomically
from stillroom.store.stages import file_digest, is_finished, run_stage

Inputs = Mapping[str, str | None]
SILENT = Silent()


def folder_of(recipe: Recipe, runs: Path) -> Path:
    """The folder of a run that has begun, with the resolved recipe in it."""
    folder = runs / recipe.name
    if not folder.is_dir():
        raise StoreError(f"There is no run {folder} yet.", "Run stillroom ask with this recipe first.")
    keep_recipe(recipe, folder)
    return folder


def keep_recipe(recipe: Recipe, folder: Path) -> None:
    """Write the resolved recipe into the run's folder."""
    path, text = folder / "recipe.yaml", recipe.to_yaml()
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):  # a run that is done can be looked at anywhere
        write_atomically(path, text)


def need(folder: Path, file: str, stage: str) -> None:
    """Raises StoreError where `stage` has not left its `file`."""
    if not (folder / file).exists():
        raise StoreError(f"{folder} has no {file} yet.", f"Run stillroom {stage} with this recipe first.")


def run_if_changed(
    folder: Path,
    stage: str,
    inputs: Inputs,
    outputs: Sequence[str],
    work: Callable[[], bool],
    progress: Progress,
    *,
    forget_first: bool = True,
) -> None:
    """Do the stage's `work`, unless it was done from the same `inputs` and its `outputs` are there."""
    inputs = {"stillroom": __version__, **inputs}
    if is_finished(folder, stage, inputs, [folder / output for output in outputs]):
        progress.update(stage, 0, 0, skipped="nothing has changed")
    else:
        run_stage(folder, stage, inputs, work, forget_first=forget_first)


def source_digest(path: Path) -> str | None:
    try:
        return file_digest(path) if path.is_file() or path.is_dir() else None
    except OSError:
        return None  # reading it says what is wrong, in words for a person


@contextmanager
def importing_extra(name: str) -> Iterator[None]:
    """Around an import of what only an extra installs."""
    try:
        with held_back():
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("stillroom"):
            raise
        raise UsageError(f"{error.name} is not installed.", f"Run: pip install 'stillroom[{name}]'") from error
