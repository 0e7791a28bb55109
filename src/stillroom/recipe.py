"""The one configuration: a YAML file becomes the stages' own settings, and one digest.

A recipe is checked strictly: text is not taken for a number, and an unknown key is an error that names the nearest
right one. Relative paths are taken from the recipe's own folder, those of overrides from the current one. The format is
written down in docs/recipe.md.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.ask.source_settings import SourceSettings
from stillroom.base.canonical import digest
from stillroom.base.errors import RecipeError, UsageError
from stillroom.check.settings import CheckSettings
from stillroom.exam.settings import ExamSet, ExamSettings
from stillroom.text.plain_yaml import Document, YamlError, read_yaml, read_yaml_file, write_yaml
from stillroom.text.problems import describe
from stillroom.train.settings import TrainSettings

RUNS = Path("runs")
"""Where runs lie: each in a folder of its name."""
CLASSROOM = "classroom"
"""As a teacher's URL, a student or a source of questions: what is embedded in the package."""


class ClassroomSource(BaseModel):
    """Questions that the embedded classroom makes up. The splits `train` and `exam` never share a question."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: Literal["classroom"] = Field(alias="from")
    count: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)
    split: Literal["train", "exam"]
    families: tuple[str, ...] | None = Field(default=None, min_length=1)
    """None: all of them, in equal parts."""


Source = Annotated[ClassroomSource | SourceSettings, Field(discriminator="from_")]


class RecipeTeacher(TeacherSettings):
    """The teacher: a model at a URL, the embedded one (`base_url: classroom`), or a folder that the run serves."""

    base_url: str = ""
    serve: str | None = None
    """A folder of a Hugging Face model, served by the run itself. It takes the place of `base_url`."""

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        return value if value == CLASSROOM else super()._plain_address(value)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.base_url) == (self.serve is not None):
            raise ValueError("give either base_url (a URL, or classroom) or serve (a model's folder)")
        if self.permit is not None and self.base_url in ("", CLASSROOM):
            raise ValueError("a permit is for a model that somebody else serves, at a base_url that is a URL")
        return self


class RecipeExamSet(ExamSet):
    """A set with its questions."""

    questions: tuple[Source, ...] = Field(min_length=1)


class RecipeExam(ExamSettings):
    """The examination, with the held-out questions that it asks: without names, or in sets that have some."""

    questions: tuple[Source, ...] = ()
    sets: tuple[RecipeExamSet, ...] = ()

    @model_validator(mode="after")
    def _has_questions_once(self) -> Self:
        if not (self.questions or self.sets):
            raise ValueError("questions should have at least one entry, or sets should")
        if self.questions and self.sets:
            raise ValueError("give either questions or sets; questions may be a set of their own")
        return self

    def sources(self) -> list[tuple[Source, ...]]:
        """Those of each of `papers()`."""
        return [each.questions for each in self.sets] or [self.questions]


class Recipe(BaseModel):
    """Everything a run is made of. Frozen; holds no secret (a key is named by its environment variable)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The folder of the run: runs/NAME."""
    teacher: RecipeTeacher | None = None
    """None: nobody is asked; the recipe only examines."""
    questions: tuple[Source, ...] = ()
    """None of them: nothing is asked but the examination's."""
    ask: AskSettings = AskSettings()
    check: CheckSettings = CheckSettings()
    train: TrainSettings | None = None
    exam: RecipeExam | None = None

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise ValueError(
                "a name is up to 64 letters, digits and . _ -, and begins with a letter or digit: it names a folder"
            )
        return value

    @model_validator(mode="after")
    def _asks_or_only_examines(self) -> Self:
        only_examines = self.exam is not None and self.train is None and not self.questions
        if not only_examines and (self.teacher is None or not self.questions):
            absent = "teacher is missing" if self.teacher is None else "questions should have at least one entry"
            raise ValueError(f"{absent}; only a recipe with an exam section, and without train, does without")
        return self

    @model_validator(mode="after")
    def _takers_come_from_somewhere(self) -> Self:
        own = self.exam.own if self.exam else ()
        untrained = [taker for taker in own if taker != "teacher"]
        if untrained and not self.train:
            raise ValueError(
                f"exam.compare has {', '.join(untrained)}, but there is no train section; "
                "add one, or write compare: [teacher]"
            )
        if "teacher" in own and self.teacher is None:
            raise ValueError("exam.compare has teacher, but there is no teacher section")
        return self

    @property
    def digest(self) -> str:
        """Digest of the resolved recipe: of every value, defaults included, and of nothing else."""
        return digest(self.resolved())

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included, as plain values that a recipe file can hold."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """The resolved recipe as a file: reading it again gives this recipe. Its first line says the digest."""
        return f"# digest: {self.digest}\n{write_yaml(self.resolved())}"


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, with `overrides` such as `ask.samples=8` on top (the value is YAML).

    Raises RecipeError: no such file, not YAML (with line and column), a key that stands twice, an unknown key (with the
    nearest right one), a value of the wrong type or out of range (with the line).
    """
    path = Path(path)
    document = _read(path)
    if not isinstance(document.value, dict):
        what = "is empty" if document.value is None else "is not a mapping of keys to values"
        raise RecipeError(f"{path} {what}.", "A recipe begins with name:, teacher: and questions:; see docs/recipe.md.")
    data = document.value
    lines = dict(document.lines)
    _resolve_paths(data, path.absolute().parent)
    for override in overrides:
        _override(data, lines, override)
    _resolve_paths(data, Path.cwd())  # what was typed in a shell is meant from where the shell is
    for section in [key for key, value in data.items() if value is None]:
        del data[section]  # `check:` with nothing below it is a section left as it is
    try:
        return Recipe.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise RecipeError(*describe(error, Recipe, data, lines, str(path))) from error


def _read(path: Path) -> Document:
    try:
        return read_yaml_file(path, RecipeError)
    except FileNotFoundError as error:
        raise RecipeError(f"There is no recipe {path}.", "Check the path, or begin from a file in recipes/.") from error
    except IsADirectoryError as error:
        inside = path / "recipe.yaml"
        remedy = f"Its recipe is {inside}." if inside.exists() else "Name a YAML file."
        raise RecipeError(f"{path} is a folder, not a recipe.", remedy) from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.", "Name a YAML file that you may read.") from error


def _override(data: dict[str, Any], lines: dict[tuple[str | int, ...], int], override: str) -> None:
    """Put the value of `ask.samples=8` into `data`. Its line is forgotten: the file says something else there."""
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {override} is not of the form KEY.KEY=VALUE.", "Write --set ask.samples=8.")
    try:
        value = read_yaml(text).value
    except YamlError as error:
        raise UsageError(f"--set {override}: the value is not YAML: {error.problem}.", "Put it in quotes.") from error
    place: Any = data
    walked: list[str | int] = []
    for key in keys:
        step = _step(place, key, override)
        walked.append(step)
        if len(walked) == len(keys):
            place[step] = value
        elif isinstance(place, dict) and place.get(step) is None:
            place[step] = {}
        place = place[step]
    for known in [known for known in lines if known[: len(walked)] == tuple(walked)]:
        del lines[known]


def _step(place: Any, key: str, override: str) -> str | int:
    """The key of a mapping, or the position in a list, that `key` means in `place`."""
    if isinstance(place, dict):
        return key
    if not isinstance(place, list):
        raise UsageError(f"--set {override}: there is nothing below a single value.", f"Leave out .{key}.")
    if not key.isdecimal() or int(key) >= len(place):
        raise UsageError(
            f"--set {override}: {key} is not a position in this list of {len(place)}.", "Positions count from 0."
        )
    return int(key)


def _resolve_paths(data: dict[str, Any], folder: Path) -> None:
    """Make the recipe's paths absolute, so that the resolved recipe means the same wherever it lies."""
    exam, teacher, train, ask, check = (data.get(part) for part in ("exam", "teacher", "train", "ask", "check"))
    for asked in (data, exam, *_listed(exam, "sets")):
        for source in _listed(asked, "questions"):
            _resolve(source, "path", folder)
    for taker in _listed(exam, "compare"):
        if isinstance(taker, dict) and taker.get("folder") != CLASSROOM:
            _resolve(taker, "folder", folder)
    for endpoint in (teacher, *_listed(exam, "compare"), check.get("judge") if isinstance(check, dict) else None):
        _resolve(endpoint, "permit", folder)
    _resolve(teacher, "serve", folder)
    for part in ("system", "examples"):  # text in the recipe, or a file
        _resolve(ask.get(part) if isinstance(ask, dict) else None, "path", folder)
    _resolve(check, "pass_rates", folder)
    for source in _listed(check, "mix"):
        _resolve(source, "path", folder)
    overlap = check.get("overlap") if isinstance(check, dict) else None
    against = _listed(overlap, "against")
    for position in range(len(against)):
        _resolve_at(against, position, folder)
    # A student may also be a name of the model hub, `owner/name`: it is a path only where something lies there.
    student = train.get("student") if isinstance(train, dict) else None
    if isinstance(student, str) and student != CLASSROOM:
        written_as_path = student.startswith((".", "/", "~"))
        if written_as_path or (folder / student).exists():
            _resolve(train, "student", folder)


def _listed(section: Any, key: str) -> list[Any]:
    """The list below `key`, if there is one."""
    listed = section.get(key) if isinstance(section, dict) else None
    return listed if isinstance(listed, list) else []


def _resolve(section: Any, key: str, folder: Path) -> None:
    if isinstance(section, dict) and key in section:
        _resolve_at(section, key, folder)


def _resolve_at(container: Any, key: str | int, folder: Path) -> None:
    if isinstance(container[key], str):
        path = os.path.expanduser(container[key])  # noqa: PTH111 - `~nobody` is a name
        container[key] = os.path.normpath(folder / path)
