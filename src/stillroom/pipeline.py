"""The stages, wired: what the commands call, and what a notebook uses.

    import stillroom.pipeline as sr
    sr.ask("recipe.yaml")

Each function takes a recipe (or its file), does what is not done yet in `runs/NAME/`, and returns the stage's figures.
A stage whose settings and input files are unchanged is skipped, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stillroom import __version__
from stillroom.ask.distinct import Distinct, Place
from stillroom.ask.estimate import estimate as estimate_stage
from stillroom.ask.files import file_rows
from stillroom.ask.first_look import refuse_what_cannot_be_asked, refuse_what_cannot_be_called
from stillroom.ask.run import LONGER_LIMITS, Again
from stillroom.ask.run import ask as ask_stage
from stillroom.ask.settings import TeacherSettings
from stillroom.ask.sources import read_placed
from stillroom.base.canonical import digest
from stillroom.base.clock import SystemClock
from stillroom.base.errors import DataError, ModelError, StoreError, UsageError
from stillroom.base.interrupts import held_back
from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Question
from stillroom.check.dataset import DATASET, write_dataset
from stillroom.check.dataset import TABLES as DATASET_TABLES
from stillroom.check.manifest import verify_manifest
from stillroom.check.origin import Origin
from stillroom.check.run import check as check_stage
from stillroom.check.settings import OFF, SAME_AS_QUESTION
from stillroom.check.student_tokens import token_count
from stillroom.classroom.models import base_folder
from stillroom.classroom.models import teacher_folder as classroom_teacher
from stillroom.client.settings import Endpoint
from stillroom.exam.paper import read_paper, refuse_overlap
from stillroom.exam.settings import ExaminedModel, OwnTaker, name_of
from stillroom.recipe import CLASSROOM, ClassroomSource, Recipe, RecipeTeacher, Source, load_recipe
from stillroom.report.look import Looked
from stillroom.report.look import look as look_at
from stillroom.report.rows import RowFilter
from stillroom.report.run_files import read_recipe, read_run
from stillroom.report.warnings import warnings_of_check
from stillroom.store.files import read_object, write_atomically, write_json
from stillroom.store.stages import file_digest, is_finished, run_stage
from stillroom.store.tables import write_questions
from stillroom.train.settings import Method, TrainSettings
from stillroom.verify import verify

if TYPE_CHECKING:
    from stillroom.train.preview import Preview

RUNS = Path("runs")
TEACHER = "teacher"
SILENT = Silent()
EVERY_ROW = RowFilter()
Inputs = Mapping[str, str | None]
_HOW_FAST = {
    "concurrency", "requests_per_minute", "tokens_per_minute", "budget_usd", "max_calls", "max_total_tokens", "retries",
    "timeout_s", "idle_timeout_s", "replicas",
}  # fmt: skip
"""Settings that do not change what the replies are."""


def run(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask, check, train, examine and report: whatever the recipe has. Returns what `summary.json` holds."""
    recipe = _recipe(recipe)
    # What can go wrong later is looked at before the first call is paid for.
    if recipe.train:
        _student(recipe.train)
    exam_sources = chain.from_iterable(recipe.exam.sources()) if recipe.exam else ()
    folder = _begin(recipe, runs, [*recipe.questions, *exam_sources])
    if recipe.questions:
        _gather_questions(recipe, folder, progress)
    if recipe.exam:
        _papers(recipe, folder, progress)
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
    folder = _begin(recipe, runs, recipe.questions)
    _gather_questions(recipe, folder, progress)
    local = _teacher_folder(recipe)

    def work() -> bool:
        with _serving(recipe, {TEACHER: local} if local else {}) as served:
            facts = ask_stage(
                folder,
                _teacher(recipe, served),
                recipe.ask,
                progress,
                is_right=_is_right,
                again=again,
                longer_limits=longer_limits,
            )
        return not facts["by_status"].get("failed")  # another run tries the failed calls again

    inputs = {
        "teacher": digest(teacher.model_dump(mode="json", exclude=_HOW_FAST)),
        "teacher_folder": file_digest(local) if local else None,
        "settings": digest(recipe.ask.model_dump(mode="json", exclude=_HOW_FAST)),
        "questions.parquet": file_digest(folder / "questions.parquet"),
        **{f"prompt {file}": _source_digest(file) for file in recipe.ask.prompt_files()},
    }
    if again is None:
        _stage(folder, "ask", inputs, ["replies.parquet", "attempts.parquet", "ask.json"], work, progress)
    else:
        run_stage(folder, "ask", {"stillroom": __version__, **inputs}, work)
    return read_object(folder / "ask.json")


def estimate(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask a few of the questions, and say what the others will cost and take. The replies are kept."""
    recipe = _recipe(recipe)
    _asked(recipe)
    folder = _begin(recipe, runs, recipe.questions)
    _gather_questions(recipe, folder, progress)
    local = _teacher_folder(recipe)
    with _serving(recipe, {TEACHER: local} if local else {}) as served:
        return estimate_stage(folder, _teacher(recipe, served), recipe.ask, progress)


def _is_right(question: Question, answer: str) -> bool:
    return verify(question, answer).verdict == "right"


def check(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Judge the replies, and keep those that passed as traces. Returns what `check.json` holds."""
    recipe = _recipe(recipe)
    folder = _folder(recipe, runs)
    _need(folder, "replies.parquet", "ask")
    examinations = _exam_questions(recipe, folder, progress) if recipe.exam else []
    student = _student(recipe.train) if recipe.train and recipe.check.counts_tokens else None

    def work() -> bool:
        count_tokens = None
        if student is not None:
            with _extra("train"):
                count_tokens = token_count(student)
        check_stage(
            folder, recipe.check, progress, examinations=examinations, read_rows=file_rows, count_tokens=count_tokens
        )
        for warning in warnings_of_check(read_run(folder)):  # now, and not only after hours of training
            progress.say(f"check: warning: {warning}")
        return True

    inputs = {
        "settings": digest(recipe.check.model_dump(mode="json")),
        "questions.parquet": file_digest(folder / "questions.parquet"),
        "replies.parquet": file_digest(folder / "replies.parquet"),
        "student": file_digest(student) if student is not None else None,
        **{str(file): _source_digest(file) for file in (*map(Path, recipe.check.files()), *examinations)},
    }
    _stage(folder, "check", inputs, ["traces.parquet", "rejected.parquet", "check.json"], work, progress)
    _publishable(recipe, folder)
    return read_object(folder / "check.json")


def _publishable(recipe: Recipe, folder: Path) -> None:
    """Write the data set of a run that is checked, unless it is written already."""
    origin = _origin(recipe)

    def work() -> bool:
        write_dataset(folder, origin, SystemClock().now_us())
        return True

    inputs = {
        # Another value of another section is another recipe, and the same data set.
        "origin": digest({key: value for key, value in asdict(origin).items() if key != "recipe_digest"}),
        **{table: file_digest(folder / table) for table in (*DATASET_TABLES, "ask.json")},
    }
    _stage(folder, "dataset", inputs, [f"{DATASET}/manifest.json"], work, SILENT)


def _origin(recipe: Recipe) -> Origin:
    teacher = _asked(recipe)
    served = teacher.base_url in ("", CLASSROOM)
    return Origin(
        name=recipe.name,
        recipe_digest=recipe.digest,
        model=teacher.model,
        host=None if served else urlsplit(teacher.base_url).hostname,
        terms=teacher.terms,
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
    folder = _folder(recipe, runs)
    if recipe.train is None:
        raise UsageError(f"The recipe {recipe.name} has no train section.", "Add train: {student: ...} to it.")
    _need(folder, "traces.parquet", "check")
    with _extra("train"):
        from stillroom.train.loop import train as train_stage
    student = _student(recipe.train)
    methods: list[Method] = [recipe.train.method]
    if recipe.exam and "answers_only" in recipe.exam.compare and "answers_only" not in methods:
        methods.append("answers_only")
    for method in methods:
        settings = recipe.train.model_copy(update={"method": method})
        out = folder / "train" / method

        def work(settings: TrainSettings = settings, out: Path = out) -> bool:
            train_stage(folder / "traces.parquet", student, out, settings, progress)
            return True

        inputs = {
            "settings": digest(settings.model_dump(mode="json")),
            "student": file_digest(student),
            "traces.parquet": file_digest(folder / "traces.parquet"),
        }
        _stage(
            folder, f"train {method}", inputs, [f"train/{method}/student", f"train/{method}/train.json"], work, progress
        )
    return {method: read_object(folder / "train" / method / "train.json") for method in methods}


def exam(recipe: Recipe | str | Path, *, runs: Path = RUNS, progress: Progress = SILENT) -> dict[str, Any]:
    """Ask all takers the same held-out questions. Returns what `exam.json` holds."""
    recipe = _recipe(recipe)
    if recipe.exam is None:
        raise UsageError(f"The recipe {recipe.name} has no exam section.", "Add exam: {questions: [...]} to it.")
    folder = _begin(recipe, runs, list(chain.from_iterable(recipe.exam.sources())))
    from stillroom.exam.run import exam as exam_stage  # statistics: half of what the whole pipeline weighs

    settings, teacher = recipe.exam, recipe.teacher
    papers = _papers(recipe, folder, progress)
    _keep_recipe(recipe, folder)
    local = _local_takers(recipe, folder, runs)
    learned_from = {other.name: runs / other.run / "questions.parquet" for other in settings.others if other.run}

    def work() -> bool:
        with _serving(recipe, local) as served:
            takers = {name_of(taker): _taker(recipe, taker, served) for taker in settings.compare}
            facts = exam_stage(folder, takers, settings, progress, learned_from=learned_from)
        return not any(taker["failed"] for taker in facts["takers"].values())

    inputs = {
        "settings": digest(settings.model_dump(mode="json")),
        "teacher": digest(teacher.model_dump(mode="json")) if teacher and TEACHER in settings.own else None,
        **{f"{taker} folder": file_digest(path) for taker, path in local.items()},
        **{str(paper.relative_to(folder)): file_digest(paper) for paper in papers},
    }
    _stage(folder, "exam", inputs, ["exam.json", "exam/answers.parquet"], work, progress)
    return read_object(folder / "exam.json")


def report(recipe: Recipe | str | Path, *, runs: Path = RUNS) -> dict[str, Any]:
    """Write `summary.json`, `report.html` and `exam.html` from whatever the stages have left. Returns the summary."""
    folder = _folder(_recipe(recipe), runs)
    from stillroom.report.page import summarise, write_report

    summary = summarise(folder)
    write_report(folder)
    return summary


def serve(models: Mapping[str, Path], host: str, port: int, threads: int | None = None) -> None:
    """Serve model folders (`classroom` is the embedded teacher's) until interrupted."""
    with _extra("serve"):
        from stillroom.serve.run import serve as serve_models
    folders = {name: classroom_teacher() if path == Path(CLASSROOM) else path for name, path in models.items()}
    serve_models(folders, host, port, threads=threads)


def verify_dataset(folder: Path) -> list[str]:
    """What differs in a data set's folder from its manifest, a sentence for each file; empty where nothing does."""
    return verify_manifest(folder)


def look(run_folder: Path, count: int = 4, wanted: RowFilter = EVERY_ROW) -> Looked:
    """A few replies of a run as a person would want to see them: what was asked, what came, what was kept and why.

    Half of the rows are rejected ones, as far as there are so many. Before the check, they are what was replied.
    """
    if not (run_folder / "recipe.yaml").exists():
        raise UsageError(
            f"There is no run at {run_folder}.", "stillroom look, without a name, lists the runs there are."
        )
    _need(run_folder, "replies.parquet", "ask")
    return look_at(run_folder, wanted, count)


def look_at_masks(run_folder: Path, count: int = 4, wanted: RowFilter = EVERY_ROW) -> list[Preview]:
    """A few kept replies as training gets them, token by token, with what each counts in the loss."""
    if not (run_folder / "recipe.yaml").exists():
        raise UsageError(
            f"There is no run at {run_folder}.", "stillroom look, without a name, lists the runs there are."
        )
    settings = load_recipe(run_folder / "recipe.yaml").train
    if settings is None:
        raise UsageError(f"The recipe of {run_folder.name} has no train section.", "Add train: {student: ...} to it.")
    _need(run_folder, "traces.parquet", "check")
    with _extra("train"):
        from stillroom.train.preview import preview
    return preview(run_folder / "traces.parquet", _student(settings), settings, wanted, count)


def _recipe(recipe: Recipe | str | Path) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def _begin(recipe: Recipe, runs: Path, sources: Sequence[Source]) -> Path:
    """The folder of a run that may be new: then nothing is made before what it needs was looked at."""
    folder = runs / recipe.name
    if folder.is_dir():
        return folder
    local = _teacher_folder(recipe)
    if local is not None:
        _refuse_no_model(local)
    elif recipe.teacher is not None:
        refuse_what_cannot_be_asked(_teacher(recipe, {}), recipe.ask)
    for other in recipe.exam.others if recipe.exam else ():
        if other.base_url:
            refuse_what_cannot_be_called(other.endpoint())
    for source in sources:
        for _first in islice(_questions(source), 1):
            pass
    for file in recipe.check.files():
        for _row in islice(file_rows(Path(file), Path(file).name), 1):
            pass
    return folder


def _folder(recipe: Recipe, runs: Path) -> Path:
    """The folder of a run that has begun, with the resolved recipe in it."""
    folder = runs / recipe.name
    if not folder.is_dir():
        raise StoreError(f"There is no run {folder} yet.", "Run stillroom ask with this recipe first.")
    _keep_recipe(recipe, folder)
    return folder


def _keep_recipe(recipe: Recipe, folder: Path) -> None:
    path, text = folder / "recipe.yaml", recipe.to_yaml()
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):  # a run that is done can be looked at anywhere
        write_atomically(path, text)


def _need(folder: Path, file: str, stage: str) -> None:
    if not (folder / file).exists():
        raise StoreError(f"{folder} has no {file} yet.", f"Run stillroom {stage} with this recipe first.")


def _stage(
    folder: Path, stage: str, inputs: Inputs, outputs: Sequence[str], work: Callable[[], bool], progress: Progress
) -> None:
    inputs = {"stillroom": __version__, **inputs}
    if is_finished(folder, stage, inputs, [folder / output for output in outputs]):
        progress.update(stage, 0, 0, skipped="nothing has changed")
    else:
        run_stage(folder, stage, inputs, work)


def _gather_questions(recipe: Recipe, folder: Path, progress: Progress) -> None:
    _gather(folder / "questions.parquet", "questions", recipe.questions, folder, progress)
    _keep_recipe(recipe, folder)


def _gather(path: Path, stage: str, sources: Sequence[Source], folder: Path, progress: Progress) -> None:
    """Read the questions of all sources into one table, once."""
    files = [Path(held) for source in sources if (held := getattr(source, "path", None)) is not None]

    def work() -> bool:
        questions = Distinct(chain.from_iterable(map(_questions, sources)))
        count = write_questions(path, questions)
        if count == 0:
            raise DataError(f"There are no {stage}: the sources gave none.", "Look at the recipe's questions.")
        write_json(path.with_suffix(".json"), {"questions": count, "repeated": questions.repeated})
        progress.update(stage, count, count, repeated=questions.repeated or None)
        return True

    inputs = {
        "sources": digest([source.model_dump(mode="json", by_alias=True) for source in sources]),
        **{str(file): _source_digest(file) for file in files},
    }
    try:
        _stage(folder, stage, inputs, [str(path.relative_to(folder))], work, SILENT)
    finally:
        with suppress(OSError):  # a folder that was made for questions which could not be read is empty
            for parent in path.parents[: len(path.relative_to(folder).parts)]:
                parent.rmdir()


def _source_digest(path: Path) -> str | None:
    try:
        return file_digest(path) if path.is_file() or path.is_dir() else None
    except OSError:
        return None  # reading it says what is wrong, in words for a person


def _questions(source: Source) -> Iterator[tuple[Place, Question]]:
    if isinstance(source, ClassroomSource):
        from stillroom.classroom.questions import questions as classroom_questions  # loads reasoning_gym

        made = classroom_questions(source.count, source.seed, source.split, source.families)
        return ((Place("classroom question", number), question) for number, question in enumerate(made))
    return read_placed(source, base_folder=Path())


def _papers(recipe: Recipe, folder: Path, progress: Progress) -> list[Path]:
    """Each set of the exam's questions, fit for one: each can be judged, and none is trained on."""
    assert recipe.exam is not None
    own = folder / "questions.parquet"
    learned_from = [own] if recipe.train and own.exists() else []
    learned_from += [folder.parent / other.run / "questions.parquet" for other in recipe.exam.others if other.run]
    paths = _exam_questions(recipe, folder, progress)
    for path in paths:
        questions = read_paper(path)
        for table in learned_from:
            refuse_overlap(questions, table)
    return paths


def _exam_questions(recipe: Recipe, folder: Path, progress: Progress) -> list[Path]:
    assert recipe.exam is not None
    paths = []
    for paper, sources in zip(recipe.exam.papers(), recipe.exam.sources(), strict=True):
        paths.append(folder / paper.file)
        _gather(paths[-1], f"exam questions {paper.name or ''}".strip(), sources, folder, progress)
    return paths


def _asked(recipe: Recipe) -> RecipeTeacher:
    """The teacher. Raises UsageError where the recipe only examines."""
    if recipe.teacher is None or not recipe.questions:
        what = f"The recipe {recipe.name} only examines."
        raise UsageError(what, "Run stillroom exam with it, or give it questions and a teacher.")
    return recipe.teacher


def _teacher_folder(recipe: Recipe) -> Path | None:
    if recipe.teacher is None:
        return None
    if recipe.teacher.base_url == CLASSROOM:
        return classroom_teacher()
    return Path(recipe.teacher.serve) if recipe.teacher.serve else None


def _student(settings: TrainSettings) -> Path:
    """The model that training starts from, on this machine; one of the hub is fetched."""
    path = Path(settings.student)
    if settings.student == CLASSROOM:
        return base_folder()
    if path.is_absolute() or path.exists():
        if not path.exists():
            raise ModelError(
                f"There is no model at {path}.", "train.student names a model's folder, or one of the hub."
            )
        return path
    with _extra("train"):
        from stillroom.generate.hub import fetch_model
    return fetch_model(settings.student)


def _local_takers(recipe: Recipe, folder: Path, runs: Path) -> dict[str, Path]:
    """The takers of the exam that the run serves itself."""
    assert recipe.exam is not None
    found: dict[str, Path | None] = {TEACHER: _teacher_folder(recipe)}
    if recipe.train:
        found["base"] = _student(recipe.train)
        found["answers_only"] = folder / "train" / "answers_only" / "student"
        found["student"] = folder / "train" / recipe.train.method / "student"
    takers: dict[str, Path] = {taker: path for taker in recipe.exam.own if (path := found.get(taker)) is not None}
    for taker, path in takers.items():
        if taker in ("answers_only", "student") and not path.exists():
            raise StoreError(f"{path} does not exist.", "Run stillroom train with this recipe first.")
    for other in recipe.exam.others:
        if other.folder is not None:
            takers[other.name] = Path(other.folder)
        elif other.run is not None:
            takers[other.name] = _student_of(runs / other.run)
    return takers


def _student_of(run_folder: Path) -> Path:
    """Another run's student. Raises StoreError where that run has none."""
    recipe = read_recipe(run_folder / "recipe.yaml")
    student = run_folder / "train" / (recipe.method if recipe else "sft") / "student"
    if not student.exists():
        raise StoreError(f"{student} does not exist.", "exam.compare names a run that has trained a student.")
    return student


def _taker(recipe: Recipe, taker: OwnTaker | ExaminedModel, served: Mapping[str, Endpoint]) -> Endpoint:
    if isinstance(taker, ExaminedModel):
        return served[taker.name] if taker.name in served else taker.endpoint()
    return _teacher(recipe, served) if taker == TEACHER else served[taker]


def served_name(name: str, folder: Path) -> str:
    """The name a local model is served under: with its digest, so that no journal takes other weights for it."""
    _refuse_no_model(folder)
    return f"{name}@{str(file_digest(folder)).removeprefix('sha256:')[:8]}"


def _refuse_no_model(folder: Path) -> None:
    if not folder.exists():
        raise ModelError(f"There is no model folder {folder}.", "Name a folder with config.json and safetensors.")


@contextmanager
def _serving(recipe: Recipe, models: Mapping[str, Path]) -> Iterator[dict[str, Endpoint]]:
    """Serve local models, by taker, while the body runs; where there are none, start nothing."""
    if not models:
        yield {}
        return
    with _extra("serve"):
        from stillroom.serve.spawn import serving
    names = {
        taker: served_name(recipe.teacher.model if taker == TEACHER and recipe.teacher else taker, folder)
        for taker, folder in models.items()
    }
    with serving({names[taker]: folder for taker, folder in models.items()}) as base_url:
        yield {taker: Endpoint(model=name, base_url=base_url, price="none") for taker, name in names.items()}


def _teacher(recipe: Recipe, served: Mapping[str, Endpoint]) -> TeacherSettings:
    """The teacher as the stages want it: where the run serves it, at the address where it now is."""
    assert recipe.teacher is not None
    settings = recipe.teacher.model_dump(exclude={"serve"})
    local = served.get(TEACHER)
    if local is not None:
        settings |= {"model": local.model, "base_url": local.base_url, "api_key_env": None}
        settings["price"] = settings["price"] or "none"
    return TeacherSettings.model_validate(settings)


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Around an import of what only an extra installs."""
    try:
        with held_back():
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("stillroom"):
            raise
        raise UsageError(f"{error.name} is not installed.", f"Run: pip install 'stillroom[{name}]'") from error
