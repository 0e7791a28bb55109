"""The questions are gathered and asked, or a few of them, to say what the others will cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillroom import __version__
from stillroom.ask.estimate import estimate as estimate_stage
from stillroom.ask.run import LONGER_LIMITS, Again
from stillroom.ask.run import ask as ask_stage
from stillroom.base.canonical import digest
from stillroom.base.progress import Progress
from stillroom.base.records import Question
from stillroom.gather import begin, gather_questions
from stillroom.local_models import TEACHER, serving_models, teacher_folder, teacher_settings
from stillroom.pipeline.recipes import recipe_of, teacher_of
from stillroom.recipe import RUNS, Recipe
from stillroom.run_folder import SILENT, run_if_changed, source_digest
from stillroom.store.files import read_object
from stillroom.store.stages import file_digest, model_digest, run_stage
from stillroom.teacher_terms import require_grant
from stillroom.terms.grants import keep_grant
from stillroom.verify import verify

_HOW_FAST = {
    "concurrency", "requests_per_minute", "tokens_per_minute", "budget_usd", "max_calls", "max_total_tokens", "retries",
    "timeout_s", "idle_timeout_s", "replicas", "permit",
}  # fmt: skip
"""Settings that do not change what the replies are."""


def ask(
    recipe: Recipe | str | Path,
    *,
    runs: Path = RUNS,
    progress: Progress = SILENT,
    again: Again | None = None,
    longer_limits: Sequence[int] = LONGER_LIMITS,
) -> dict[str, Any]:
    """Gather the questions and ask the teacher. Returns what `ask.json` holds.

    `again`: ask those questions again whose reply has this status, `truncated` ones with `longer_limits` in turn.
    """
    recipe = recipe_of(recipe)
    teacher = teacher_of(recipe)
    grant = require_grant(recipe)
    folder = begin(recipe, runs, recipe.questions)
    gather_questions(recipe, folder, progress)
    keep_grant(folder, grant)
    local = teacher_folder(recipe)

    def work() -> bool:
        with serving_models(recipe, {TEACHER: local} if local else {}) as served:
            facts = ask_stage(
                folder,
                teacher_settings(recipe, served),
                recipe.ask,
                progress,
                is_right=_is_right,
                again=again,
                longer_limits=longer_limits,
            )
        return not facts["by_status"].get("failed")  # another run tries the failed calls again

    inputs = {
        "teacher": digest(teacher.model_dump(mode="json", exclude=_HOW_FAST)),
        "teacher_folder": model_digest(local) if local else None,
        "settings": digest(recipe.ask.model_dump(mode="json", exclude=_HOW_FAST)),
        "questions.parquet": file_digest(folder / "questions.parquet"),
        **{f"prompt {file}": source_digest(file) for file in recipe.ask.prompt_files()},
    }
    if again is None:
        run_if_changed(folder, "ask", inputs, ["replies.parquet", "attempts.parquet", "ask.json"], work, progress)
    else:
        run_stage(folder, "ask", {"stillroom": __version__, **inputs}, work)
    return read_object(folder / "ask.json")


def estimate(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask a few of the questions, and say what the others will cost and take. The replies are kept."""
    recipe = recipe_of(recipe)
    teacher_of(recipe)
    grant = require_grant(recipe)
    folder = begin(recipe, runs, recipe.questions)
    gather_questions(recipe, folder, progress)
    keep_grant(folder, grant)
    local = teacher_folder(recipe)
    with serving_models(recipe, {TEACHER: local} if local else {}) as served:
        return estimate_stage(folder, teacher_settings(recipe, served), recipe.ask, progress)


def _is_right(question: Question, answer: str) -> bool:
    return verify(question, answer).verdict == "right"
