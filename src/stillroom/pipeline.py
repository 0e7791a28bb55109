"""The stages, wired: what the commands call, and what a notebook uses.

    import stillroom.pipeline as sr
    sr.ask("recipe.yaml")

Each function takes a recipe (or its file), does what is not done yet in `runs/NAME/`, and returns the stage's figures.
A stage whose settings and input files are unchanged is skipped, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stillroom import __version__
from stillroom.ask.estimate import estimate as estimate_stage
from stillroom.ask.files import file_rows
from stillroom.ask.run import LONGER_LIMITS, Again
from stillroom.ask.run import ask as ask_stage
from stillroom.base.canonical import digest
from stillroom.base.clock import SystemClock
from stillroom.base.errors import UsageError
from stillroom.base.progress import Progress
from stillroom.base.records import Question
from stillroom.check.dataset import DATASET, write_dataset
from stillroom.check.dataset import TABLES as DATASET_TABLES
from stillroom.check.manifest import looks_whole, verify_manifest
from stillroom.check.origin import Origin
from stillroom.check.run import check as check_stage
from stillroom.check.settings import OFF, SAME_AS_QUESTION
from stillroom.check.student_tokens import token_count
from stillroom.classroom.models import teacher_folder as classroom_teacher
from stillroom.exam.settings import name_of
from stillroom.export.dataset import export_dataset
from stillroom.export.form import About
from stillroom.export.model import export_model
from stillroom.export.settings import Reasoning, Target
from stillroom.gather import begin, exam_questions, gather_papers, gather_questions
from stillroom.local_models import (
    TEACHER,
    endpoint_of,
    local_takers,
    serving_models,
    student_folder,
    teacher_folder,
    teacher_settings,
)
from stillroom.model_lineage import base_of, lineage_of
from stillroom.recipe import CLASSROOM, RUNS, Recipe, RecipeTeacher, load_recipe
from stillroom.report.lineage import LINEAGE, write_lineage
from stillroom.report.look import Looked
from stillroom.report.look import look as look_at
from stillroom.report.rows import RowFilter
from stillroom.report.run_files import read_run
from stillroom.report.warnings import warnings_of_check
from stillroom.run_folder import (
    SILENT,
    folder_of,
    importing_extra,
    keep_recipe,
    need,
    run_if_changed,
    source_digest,
)
from stillroom.store.files import read_object
from stillroom.store.permits import PERMITS
from stillroom.store.stages import file_digest, forget_stage, model_digest, run_stage
from stillroom.teacher_terms import binding_of_dataset, binding_of_student, refuse_mixed, refuse_name, require_grant
from stillroom.terms.grants import GRANT, Grant, keep_grant, read_grant
from stillroom.train.settings import Method, TrainSettings
from stillroom.verify import verify

if TYPE_CHECKING:
    from stillroom.train.preview import Preview

EVERY_ROW = RowFilter()
_HOW_FAST = {
    "concurrency", "requests_per_minute", "tokens_per_minute", "budget_usd", "max_calls", "max_total_tokens", "retries",
    "timeout_s", "idle_timeout_s", "replicas", "permit",
}  # fmt: skip
"""Settings that do not change what the replies are."""


def run(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask, check, train, examine and report: whatever the recipe has. Returns what `summary.json` holds."""
    recipe = _recipe(recipe)
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
    recipe = _recipe(recipe)
    teacher = _asked(recipe)
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
    recipe = _recipe(recipe)
    _asked(recipe)
    grant = require_grant(recipe)
    folder = begin(recipe, runs, recipe.questions)
    gather_questions(recipe, folder, progress)
    keep_grant(folder, grant)
    local = teacher_folder(recipe)
    with serving_models(recipe, {TEACHER: local} if local else {}) as served:
        return estimate_stage(folder, teacher_settings(recipe, served), recipe.ask, progress)


def _is_right(question: Question, answer: str) -> bool:
    return verify(question, answer).verdict == "right"


def check(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Judge the replies, and keep those that passed as traces. Returns what `check.json` holds."""
    recipe = _recipe(recipe)
    _asked(recipe)
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
    teacher = _asked(recipe)
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


def train(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, dict[str, Any]]:
    """Train the student, and the answers-only student if the exam compares with it. Returns each `train.json`."""
    recipe = _recipe(recipe)
    settings_of, student = _trained(recipe, runs)
    folder = folder_of(recipe, runs)
    need(folder, "traces.parquet", "check")
    from stillroom.report.model_card import write_model_cards

    with importing_extra("train"):
        from stillroom.train.held_out import HeldOutFiles
        from stillroom.train.run import train as train_stage
    held_out = HeldOutFiles(folder / "held_out.parquet", folder / "questions.parquet")
    base = base_of(settings_of.student, student)
    methods: list[Method] = [settings_of.method]
    if recipe.exam and "answers_only" in recipe.exam.compare and "answers_only" not in methods:
        methods.append("answers_only")
    for method in methods:
        settings = settings_of.model_copy(update={"method": method})
        out = folder / "train" / method

        def forget(method: Method = method, out: Path = out) -> None:
            forget_stage(folder, f"train {method}")
            (out / LINEAGE).unlink(missing_ok=True)

        def work(settings: TrainSettings = settings, out: Path = out, forget: Callable[[], None] = forget) -> bool:
            traces = folder / "traces.parquet"
            train_stage(traces, student, out, settings, progress, held_out=held_out, before_replacing=forget)
            return True

        inputs = {
            "settings": digest(settings.model_dump(mode="json")),
            "student": base.digest,
            "traces.parquet": file_digest(folder / "traces.parquet"),
            "held_out.parquet": file_digest(held_out.traces) if settings.held_out.questions else None,
        }
        outputs = [f"train/{method}/student", f"train/{method}/train.json"]
        run_if_changed(folder, f"train {method}", inputs, outputs, work, progress, forget_first=False)
        if not (out / LINEAGE).exists():  # what it says is of the time of the training
            write_lineage(out / LINEAGE, lineage_of(recipe, folder, settings, base))
    write_model_cards(folder)
    return {method: read_object(folder / "train" / method / "train.json") for method in methods}


def sweep(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Try learning rates on a share of the traces, and say which is best. Returns what `sweep.json` holds."""
    recipe = _recipe(recipe)
    settings, student = _trained(recipe, runs)
    folder = folder_of(recipe, runs)
    need(folder, "traces.parquet", "check")
    with importing_extra("train"):
        from stillroom.train.held_out import HeldOutFiles
        from stillroom.train.sweep import sweep as sweep_rates
    held_out = HeldOutFiles(folder / "held_out.parquet", folder / "questions.parquet")
    out = folder / "train" / "sweep"
    return sweep_rates(folder / "traces.parquet", student, out, settings, progress, held_out=held_out)


def _trained(recipe: Recipe, runs: Path) -> tuple[TrainSettings, Path]:
    """The settings, and where the student lies that training starts from.

    Raises UsageError where there is nothing to train, or where that student is one that the training would write.
    """
    if recipe.train is None:
        raise UsageError(f"The recipe {recipe.name} has no train section.", "Add train: {student: ...} to it.")
    student = student_folder(recipe.train)
    if student.resolve().is_relative_to((runs / recipe.name / "train").resolve()):
        what = f"train.student, {student}, lies where this run writes its own students."
        raise UsageError(what, "Give the recipe another name, so that it has a run of its own.")
    return recipe.train, student


def exam(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask all takers the same held-out questions. Returns what `exam.json` holds."""
    recipe = _recipe(recipe)
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


def report(recipe: Recipe | str | Path, *, runs: Path = RUNS) -> dict[str, Any]:
    """Write `summary.json`, `report.html`, `exam.html` and the students' cards from whatever the stages have left.

    Returns the summary.
    """
    folder = folder_of(_recipe(recipe), runs)
    from stillroom.report.model_card import write_model_cards
    from stillroom.report.page import summarise, write_report

    summary = summarise(folder)
    write_report(folder)
    write_model_cards(folder)
    return summary


def serve(models: Mapping[str, Path], host: str, port: int, threads: int | None = None) -> None:
    """Serve model folders (`classroom` is the embedded teacher's) until interrupted."""
    with importing_extra("serve"):
        from stillroom.serve.run import serve as serve_models
    folders = {name: classroom_teacher() if path == Path(CLASSROOM) else path for name, path in models.items()}
    serve_models(folders, host, port, threads=threads)


def serve_gateway(
    config: Path,
    models: Mapping[str, Path],
    host: str | None = None,
    port: int | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
) -> None:
    """Be the gateway that a YAML file describes, until interrupted; `models` are folders to serve beside its own."""
    with importing_extra("gateway"):
        from stillroom.serve.gateway.supervisor import run_gateway
        from stillroom.serve.settings import read_settings, with_changes
    folders = {name: classroom_teacher() if path == Path(CLASSROOM) else path for name, path in models.items()}
    read = read_settings(config, {CLASSROOM: classroom_teacher()})
    settings = with_changes(read, folders, host=host, port=port, workers=workers)
    run_gateway(settings, threads=threads)


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


def look(run_folder: Path, count: int = 4, wanted: RowFilter = EVERY_ROW) -> Looked:
    """A few replies of a run as a person would want to see them: what was asked, what came, what was kept and why.

    Half of the rows are rejected ones, as far as there are so many. Before the check, they are what was replied.
    """
    if not (run_folder / "recipe.yaml").exists():
        raise UsageError(
            f"There is no run at {run_folder}.", "stillroom look, without a name, lists the runs there are."
        )
    if not (run_folder / "replies.parquet").exists() and not load_recipe(run_folder / "recipe.yaml").questions:
        raise UsageError(
            f"The run {run_folder.name} only examines: there are no replies of a teacher to look at.",
            f"{run_folder / 'exam.html'} shows its questions, on which models differ.",
        )
    need(run_folder, "replies.parquet", "ask")
    return look_at(run_folder, wanted, count)


def look_at_masks(run_folder: Path, count: int = 4, wanted: RowFilter = EVERY_ROW) -> list[Preview]:
    """A few kept replies as training gets them, token by token, with what each counts in the loss."""
    settings = _recipe_of(run_folder).train
    if settings is None:
        raise UsageError(f"The recipe of {run_folder.name} has no train section.", "Add train: {student: ...} to it.")
    need(run_folder, "traces.parquet", "check")
    with importing_extra("train"):
        from stillroom.train.preview import preview
    return preview(run_folder / "traces.parquet", student_folder(settings), settings, wanted, count)


def export(
    run_folder: Path,
    to: Target,
    out: Path | None = None,
    *,
    reasoning: Reasoning = "keep",
    name: str | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write a run's data set, or its student, for another tool. Returns what `export.json` holds, and the `folder`.

    `out` is a folder that is not there yet, or an earlier export, whose place is taken; None: `export/TO` of the run.
    `name` is what the student is given away as, None: the run's name. Terms of its teachers may ask for one.
    """
    recipe = _recipe_of(run_folder)
    folder = out or run_folder / "export" / to
    about = About(
        name=recipe.name,
        teacher=recipe.teacher.model if recipe.teacher else None,
        terms=recipe.teacher.terms if recipe.teacher else None,
        student=recipe.train.student if recipe.train else None,
    )
    if to == "gguf" or to == "merged":
        if recipe.train is None:
            raise UsageError(f"The recipe {recipe.name} has no train section.", "So there is no student to export.")
        method = recipe.train.method
        about = replace(about, binding=binding_of_student(run_folder, recipe))
        refuse_name(recipe.name if name is None else name, about.binding, recipe.name, to)
        card = None
        if name is not None:
            from stillroom.report.model_card import model_card_as

            card = model_card_as(name, run_folder, method)
        student = run_folder / "train" / method / "student"
        with importing_extra("gguf"):
            facts = export_model(run_folder, to, student, folder, about, progress, name=name, card=card)
    else:
        if name is not None:
            raise UsageError("--name is for a student, and this is a data set.", "Export it without --name.")
        need(run_folder, "traces.parquet", "check")
        about = replace(about, binding=binding_of_dataset(run_folder, recipe))
        facts = export_dataset(run_folder, to, folder, about, reasoning, progress)
    return {**facts, "folder": str(folder)}


def _recipe_of(run_folder: Path) -> Recipe:
    """The recipe that a run was last run with."""
    if not (run_folder / "recipe.yaml").exists():
        raise UsageError(
            f"There is no run at {run_folder}.", "stillroom look, without a name, lists the runs there are."
        )
    return load_recipe(run_folder / "recipe.yaml")


def _recipe(recipe: Recipe | str | Path) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def _asked(recipe: Recipe) -> RecipeTeacher:
    """The teacher. Raises UsageError where the recipe only examines."""
    if recipe.teacher is None or not recipe.questions:
        what = f"The recipe {recipe.name} only examines."
        raise UsageError(what, "Run stillroom exam with it, or give it questions and a teacher.")
    return recipe.teacher
