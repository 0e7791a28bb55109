"""A few rows of a run, as a person or as training sees them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stillroom.base.errors import UsageError
from stillroom.local_models import student_folder
from stillroom.pipeline.recipes import check_is_run, recipe_of_run
from stillroom.report.look import Looked
from stillroom.report.look import look as look_at
from stillroom.report.rows import RowFilter
from stillroom.run_folder import importing_extra, need

if TYPE_CHECKING:
    from stillroom.train.preview import Preview

_EVERY_ROW = RowFilter()


def look(run_folder: Path, count: int = 4, wanted: RowFilter = _EVERY_ROW) -> Looked:
    """A few replies of a run as a person would want to see them: what was asked, what came, what was kept and why.

    Half of the rows are rejected ones, as far as there are so many. Before the check, they are what was replied.
    """
    check_is_run(run_folder)
    if not (run_folder / "replies.parquet").exists() and not recipe_of_run(run_folder).questions:
        raise UsageError(
            f"The run {run_folder.name} only examines: there are no replies of a teacher to look at.",
            f"{run_folder / 'exam.html'} shows its questions, on which models differ.",
        )
    need(run_folder, "replies.parquet", "ask")
    return look_at(run_folder, wanted, count)


def look_at_masks(run_folder: Path, count: int = 4, wanted: RowFilter = _EVERY_ROW) -> list[Preview]:
    """A few kept replies as training gets them, token by token, with what each counts in the loss."""
    settings = recipe_of_run(run_folder).train
    if settings is None:
        raise UsageError(f"The recipe of {run_folder.name} has no train section.", "Add train: {student: ...} to it.")
    need(run_folder, "traces.parquet", "check")
    with importing_extra("train"):
        from stillroom.train.preview import preview
    return preview(run_folder / "traces.parquet", student_folder(settings), settings, wanted, count)
