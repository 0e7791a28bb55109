"""The replies are judged, and the data set of those that passed is written; or held against what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stillroom import __version__
from stillroom.ask.files import file_rows
from stillroom.base.canonical import digest
from stillroom.base.clock import SystemClock
from stillroom.base.progress import Progress
from stillroom.check.dataset import DATASET, write_dataset
from stillroom.check.dataset import TABLES as DATASET_TABLES
from stillroom.check.manifest import looks_whole, verify_manifest
from stillroom.check.origin import Origin
from stillroom.check.run import check as check_stage
from stillroom.check.settings import OFF, SAME_AS_QUESTION
from stillroom.check.student_tokens import token_count
from stillroom.gather import exam_questions
from stillroom.local_models import student_folder
from stillroom.pipeline.recipes import recipe_of, teacher_of
from stillroom.recipe import CLASSROOM, RUNS, Recipe
from stillroom.report.run_files import read_run
from stillroom.report.warnings import warnings_of_check
from stillroom.run_folder import SILENT, folder_of, importing_extra, need, run_if_changed, source_digest
from stillroom.store.files import read_object
from stillroom.store.permits import PERMITS
from stillroom.store.stages import file_digest, model_digest, run_stage
from stillroom.teacher_terms import refuse_mixed
from stillroom.terms.grants import GRANT, Grant, read_grant


def check(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Judge the replies, and keep those that passed as traces. Returns what `check.json` holds."""
    recipe = recipe_of(recipe)
    teacher_of(recipe)
    refuse_mixed(recipe)
    folder = folder_of(recipe, runs)
    need(folder, "replies.parquet", "ask")
    examinations = exam_questions(recipe, folder, progress) if recipe.exam else []
    student = student_folder(recipe.train) if recipe.train and recipe.check.counts_tokens else None
    grant = read_grant(folder)
    terms = grant.terms_id if grant else None

    def work() -> bool:
        count_tokens = None
        if student is not None:
            with importing_extra("train"):
                count_tokens = token_count(student)
        check_stage(
            folder,
            recipe.check,
            progress,
            examinations=examinations,
            read_rows=file_rows,
            count_tokens=count_tokens,
            terms=terms,
        )
        for warning in warnings_of_check(read_run(folder)):  # now, and not only after hours of training
            progress.say(f"check: warning: {warning}")
        return True

    inputs = {
        "settings": digest(recipe.check.model_dump(mode="json")),
        "questions.parquet": file_digest(folder / "questions.parquet"),
        "replies.parquet": file_digest(folder / "replies.parquet"),
        "student": model_digest(student) if student is not None else None,
        "terms": terms,
        **{str(file): source_digest(file) for file in (*map(Path, recipe.check.files()), *examinations)},
    }
    run_if_changed(folder, "check", inputs, ["traces.parquet", "rejected.parquet", "check.json"], work, progress)
    _publishable(recipe, folder)
    return read_object(folder / "check.json")


def _publishable(recipe: Recipe, folder: Path) -> None:
    """Write the data set of a run that is checked, unless it is written already."""
    origin = _origin(recipe, read_grant(folder))

    def work() -> bool:
        write_dataset(folder, origin, SystemClock().now_us())
        return True

    inputs = {
        # Another value of another section is another recipe, and the same data set.
        "origin": digest(_facts(origin)),
        GRANT: file_digest(folder / GRANT),
        **{table: file_digest(folder / table) for table in (*DATASET_TABLES, "ask.json", PERMITS)},
    }
    if looks_whole(folder / DATASET):
        run_if_changed(folder, "dataset", inputs, [f"{DATASET}/manifest.json"], work, SILENT)
    else:
        run_stage(folder, "dataset", {"stillroom": __version__, **inputs}, work)


def _facts(origin: Origin) -> dict[str, Any]:
    return {key: value for key, value in asdict(origin).items() if key not in ("recipe_digest", "grant")}


def _origin(recipe: Recipe, grant: Grant | None) -> Origin:
    teacher = teacher_of(recipe)
    served = teacher.base_url in ("", CLASSROOM)
    return Origin(
        name=recipe.name,
        recipe_digest=recipe.digest,
        model=teacher.model,
        host=None if served else urlsplit(teacher.base_url).hostname,
        terms=teacher.terms,
        grant=grant,
        samples=recipe.ask.most_samples,
        temperature=recipe.ask.temperature,
        top_p=recipe.ask.top_p,
        max_tokens=recipe.ask.max_tokens,
        seed=recipe.ask.seed,
        more_fields=tuple(sorted(teacher.extra_body)),
        has_system_prompt=recipe.ask.system is not None,
        has_examples=bool(recipe.ask.examples),
        held_out=recipe.check.held_out,
        language=None if recipe.check.language in (SAME_AS_QUESTION, OFF) else recipe.check.language,
    )


def verify_dataset(folder: Path) -> list[str]:
    """What differs in a data set's folder from its manifest, a sentence for each file; empty where nothing does."""
    return verify_manifest(folder)


def verify_receipts(
    folder: Path,
    keys: str,
    permits: Sequence[Path] = (),
    *,
    out: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Hold every row of a data set's folder against its receipt, by the owner's keys: an address or a file.

    `permits`: files of permits beside those in the data set. `out`: a file for all bad rows. docs/verify.md says what
    it returns.
    """
    from stillroom.check.receipts.owner import permit_in_file
    from stillroom.check.receipts.run import verify_receipts as verify_rows

    return verify_rows(folder, keys, [permit_in_file(path) for path in permits], out=out, progress=progress)
