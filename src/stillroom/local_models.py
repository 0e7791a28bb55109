"""The models that a run serves itself: where they lie, under which names they are served, and at which address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stillroom.ask.settings import TeacherSettings
from stillroom.base.errors import ModelError, StoreError
from stillroom.classroom.models import base_folder
from stillroom.classroom.models import teacher_folder as classroom_teacher
from stillroom.client.settings import Endpoint
from stillroom.exam.settings import ExaminedModel, OwnTaker
from stillroom.recipe import CLASSROOM, Recipe
from stillroom.report.run_files import read_recipe
from stillroom.run_folder import importing_extra
from stillroom.store.stages import model_digest
from stillroom.train.settings import TrainSettings

TEACHER = "teacher"


def teacher_folder(recipe: Recipe) -> Path | None:
    """Where the teacher lies, if the run serves it."""
    if recipe.teacher is None:
        return None
    if recipe.teacher.base_url == CLASSROOM:
        return classroom_teacher()
    return Path(recipe.teacher.serve) if recipe.teacher.serve else None


def student_folder(settings: TrainSettings) -> Path:
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
    with importing_extra("train"):
        from stillroom.generate.hub import fetch_model
    return fetch_model(settings.student)


def local_takers(recipe: Recipe, folder: Path, runs: Path) -> dict[str, Path]:
    """The takers of the exam that the run serves itself."""
    assert recipe.exam is not None
    found: dict[str, Path | None] = {TEACHER: teacher_folder(recipe)}
    if recipe.train:
        found["base"] = student_folder(recipe.train)
        found["answers_only"] = folder / "train" / "answers_only" / "student"
        found["student"] = folder / "train" / recipe.train.method / "student"
    takers: dict[str, Path] = {taker: path for taker in recipe.exam.own if (path := found.get(taker)) is not None}
    for taker, path in takers.items():
        if taker in ("answers_only", "student") and not path.exists():
            raise StoreError(f"{path} does not exist.", "Run stillroom train with this recipe first.")
    for other in recipe.exam.others:
        path = _place_of(other, runs)
        if path is not None:
            takers[other.name] = path
    return takers


def refuse_no_takers(recipe: Recipe, runs: Path) -> None:
    """Raises ModelError or StoreError for a model of the exam in a folder, or of a run, that is not there."""
    for other in recipe.exam.others if recipe.exam else ():
        path = _place_of(other, runs)
        if path is not None:
            refuse_no_model(path)


def _place_of(other: ExaminedModel, runs: Path) -> Path | None:
    """Where it lies, if it is served here."""
    if other.run is not None:
        return _student_of(runs / other.run)
    if other.folder is None:
        return None
    return classroom_teacher() if other.folder == CLASSROOM else Path(other.folder)


def _student_of(run_folder: Path) -> Path:
    """Another run's student. Raises StoreError where that run has none."""
    recipe = read_recipe(run_folder / "recipe.yaml")
    if recipe is None:
        raise StoreError(
            f"exam.compare names the run {run_folder.name}, and there is none at {run_folder}.",
            "stillroom look lists the runs there are.",
        )
    student = run_folder / "train" / recipe.method / "student"
    if not student.exists():
        what = f"exam.compare names the run {run_folder.name}, which has trained no student: {student} does not exist."
        raise StoreError(what, "Run stillroom train with its recipe first, or name another run.")
    return student


def endpoint_of(recipe: Recipe, taker: OwnTaker | ExaminedModel, served: Mapping[str, Endpoint]) -> Endpoint:
    """Where a taker of the examination is asked."""
    if isinstance(taker, ExaminedModel):
        return served[taker.name] if taker.name in served else taker.endpoint()
    return teacher_settings(recipe, served) if taker == TEACHER else served[taker]


def served_name(name: str, folder: Path) -> str:
    """The name a local model is served under: with its digest, so that no journal takes other weights for it."""
    refuse_no_model(folder)
    return f"{name}@{str(model_digest(folder)).removeprefix('sha256:')[:8]}"


def refuse_no_model(folder: Path) -> None:
    if not folder.exists():
        raise ModelError(f"There is no model folder {folder}.", "Name a folder with config.json and safetensors.")


@contextmanager
def serving_models(recipe: Recipe, models: Mapping[str, Path]) -> Iterator[dict[str, Endpoint]]:
    """Serve local models, by taker, while the body runs; where there are none, start nothing."""
    if not models:
        yield {}
        return
    with importing_extra("serve"):
        from stillroom.serve.spawn import serving
    names = {
        taker: served_name(recipe.teacher.model if taker == TEACHER and recipe.teacher else taker, folder)
        for taker, folder in models.items()
    }
    with serving({names[taker]: folder for taker, folder in models.items()}) as base_url:
        yield {taker: Endpoint(model=name, base_url=base_url, price="none") for taker, name in names.items()}


def teacher_settings(recipe: Recipe, served: Mapping[str, Endpoint]) -> TeacherSettings:
    """The teacher as the stages want it: where the run serves it, at the address where it now is."""
    assert recipe.teacher is not None
    settings = recipe.teacher.model_dump(exclude={"serve"})
    local = served.get(TEACHER)
    if local is not None:
        settings |= {"model": local.model, "base_url": local.base_url, "api_key_env": None}
        settings["price"] = settings["price"] or "none"
    return TeacherSettings.model_validate(settings)
