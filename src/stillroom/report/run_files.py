"""What a report reads: the files of one run, each of which may not be there yet.

Only the keys that a report shows are named here; a stage may write more. Shares lie in 0 to 1, times are seconds,
money is a decimal string in USD, and None is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import Field, ValidationError

from stillroom.base.errors import DataError, StoreError
from stillroom.report.stage_file import StageFile
from stillroom.report.training_file import Trained
from stillroom.store.files import read_json
from stillroom.terms.grants import Grant, read_grant

DIGEST_MARK = "# digest:"


class Asked(StageFile):
    """ask.json"""

    asked: int
    samples: int | None = None
    replies: int
    calls: int | None = None
    by_status: dict[str, int] = Field(default_factory=dict)
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: str | None = None
    price_id: str | None = None
    seconds: float | None = None
    teacher: str | None = None
    served_models: tuple[str, ...] = ()
    base_url: str | None = None


class FamilyKept(StageFile):
    rows: int
    kept: int


class Rate(StageFile):
    """`count` of `n`, as a share with its 95 % interval; None where `n` is 0."""

    count: int
    n: int
    share: float | None
    low: float | None
    high: float | None


class Measured(StageFile):
    """A judge's verdicts on answers whose verdict is known."""

    asked: int
    unsure: int
    agreement: Rate
    called_right: Rate
    called_wrong: Rate
    replies: int = 0
    repaired: int = 0
    unreadable: int = 0


class Judged(StageFile):
    """check.json, `judge`"""

    model: str
    answers: int
    measured: dict[str, Measured]
    """By the way in which the judge was asked."""


class Checked(StageFile):
    """check.json"""

    rows: int
    kept: int
    held_out: int = 0
    """Of the kept ones."""
    rejected: dict[str, int] = Field(default_factory=dict)
    why: dict[str, str] = Field(default_factory=dict)
    """A sentence for each reason."""
    may_be_wrong: tuple[str, ...] = ()
    """Reasons that rest on a rule of thumb."""
    verdicts: dict[str, int] = Field(default_factory=dict)
    families: dict[str, FamilyKept] = Field(default_factory=dict)
    judge: Judged | None = None
    seconds: float | None = None


class Accuracy(StageFile):
    """The share of right answers, with its 95 % interval and the number of questions."""

    accuracy: float
    low: float
    high: float
    n: int


class PartOfReplies(StageFile):
    """Those that ended by themselves, or those that were cut."""

    replies: int
    right: int
    accuracy: float
    low: float
    high: float


class Taker(Accuracy):
    """One model that sat the examination. `n` are questions, the counts are replies: several of each, it may be."""

    replies: int | None = None
    accuracy_at_most: float | None = None
    """Had every call that failed brought a right answer."""
    right: int | None = None
    wrong: int | None = None
    unsure: int | None = None
    failed: int | None = None
    truncated_share: float | None = None
    complete: PartOfReplies | None = None
    cut: PartOfReplies | None = None
    pass_at: dict[str, Accuracy] | None = None
    completion_tokens_mean: float | None = None
    completion_tokens_median: float | None = None
    tokens_per_right: float | None = None
    cost_usd_per_1000: str | None = None
    cost_usd_per_right: str | None = None
    latency_median_s: float | None = None
    latency_p95_s: float | None = None
    mean_of_sets: Accuracy | None = None
    model: str | None = None
    families: dict[str, Accuracy] = Field(default_factory=dict)


class Comparison(StageFile):
    """Two takers on the same questions; `difference` is a's accuracy minus b's."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    only_a: int | None
    """These four are None where a question was asked several times."""
    only_b: int | None
    both_right: int | None
    both_wrong: int | None
    better_a: int | None = None
    better_b: int | None = None
    n: int | None = None
    left_out: int = 0
    p_value: float
    p_holm: float | None = None
    test: str = "mcnemar"

    @property
    def questions(self) -> int:
        """That were compared."""
        counts = (self.only_a, self.only_b, self.both_right, self.both_wrong)
        return sum(count or 0 for count in counts) if self.n is None else self.n


class Group(StageFile):
    """Models that differ by a seed. `low` and `high` are those of the mean over further seeds."""

    takers: tuple[str, ...]
    accuracy: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


class GroupComparison(StageFile):
    a: str
    b: str
    difference: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_holm: float | None = None


class ExamPart(StageFile):
    """Everybody's figures in one set of questions, or in all of them."""

    n: int
    samples: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    families: tuple[str, ...] = ()
    takers: dict[str, Taker]
    comparisons: tuple[Comparison, ...] = ()
    groups: dict[str, Group] = Field(default_factory=dict)
    group_comparisons: tuple[GroupComparison, ...] = ()


class ShipSet(StageFile):
    """Student minus base on one set of questions; None where there was nothing to compare."""

    name: str | None
    keep: bool
    outcome: str
    n: int
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None = None
    p_holm: float | None = None


class Ship(StageFile):
    """exam.json, `ship`: whether the student is called better than its base."""

    verdict: str
    why: str
    margin: float
    sets: tuple[ShipSet, ...] = ()


class Examined(ExamPart):
    """exam.json"""

    sets: dict[str, ExamPart] = Field(default_factory=dict)
    ship: Ship | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """recipe.yaml, as far as a report reads it."""

    text: str
    name: str | None
    digest: str | None
    stages: tuple[str, ...]
    """Those that the recipe has, of `ask`, `check`, `train` and `exam`."""
    method: str
    """How it trains, `sft` or `answers_only`."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    folder: Path
    name: str
    """The recipe's, or the folder's where there is no recipe."""
    recipe: Recipe | None
    asked: Asked | None
    checked: Checked | None
    trained: dict[str, Trained]
    """By method; methods in alphabetical order, `sft` before the others."""
    examined: Examined | None
    granted: Grant | None = None
    """Why the teacher's replies may train a model; None: nothing was asked, or before grants were kept."""

    def has(self, stage: str) -> bool:
        """Whether the run's recipe has this stage; any stage may be, where there is no recipe."""
        return self.recipe is None or stage in self.recipe.stages


def read_run(folder: Path) -> RunFiles:
    """Read whatever a run's folder holds so far.

    Raises DataError where there is no such folder, StoreError for a file that is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.", "Name the folder of a run, for example runs/demo.")
    recipe = read_recipe(folder / "recipe.yaml")
    trained = {}
    for path in sorted((folder / "train").glob("*/train.json"), key=lambda path: (path.parent.name != "sft", path)):
        trained[path.parent.name] = _read(path, Trained)
    return RunFiles(
        folder=folder,
        name=(recipe.name if recipe else None) or folder.resolve().name,
        recipe=recipe,
        asked=read_stage_file(folder / "ask.json", Asked),
        checked=read_stage_file(folder / "check.json", Checked),
        trained=trained,
        examined=read_stage_file(folder / "exam.json", Examined),
        granted=read_grant(folder),
    )


File = TypeVar("File", bound=StageFile)


def read_stage_file(path: Path, model: type[File]) -> File | None:
    """The figures of a stage; None where it has not run. Raises StoreError for a file that is damaged."""
    return _read(path, model) if path.exists() else None


def _read(path: Path, model: type[File]) -> File:
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise StoreError(
            f"{path} is not what its stage writes: {where}: {first['msg']}.",
            "Delete the file and run its stage again.",
        ) from error


def read_recipe(path: Path) -> Recipe | None:
    """A run's recipe.yaml; None where there is none. Raises StoreError for one that is not YAML."""
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    first_line = text.partition("\n")[0]
    try:
        recipe = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StoreError(f"{path} is damaged: {error}.", "Run the recipe again, it is written anew.") from error
    values = recipe if isinstance(recipe, dict) else {}
    name, training = values.get("name"), values.get("train")
    if isinstance(name, str):
        # PyYAML reads an escaped surrogate pair as two halves of a character, and no file can be written with those.
        name = name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Recipe(
        text=text,
        name=name if isinstance(name, str) else None,
        digest=first_line.removeprefix(DIGEST_MARK).strip() if first_line.startswith(DIGEST_MARK) else None,
        stages=tuple(_stages(values)),
        method=str(training.get("method", "sft")) if isinstance(training, dict) else "sft",
    )


def _stages(values: Mapping[str, Any]) -> Iterator[str]:
    if values.get("questions") != []:  # a recipe that only examines asks nothing
        yield from ("ask", "check")
    yield from (stage for stage in ("train", "exam") if values.get(stage) is not None)
