"""How an examination is held: who takes it, on which sets of questions, and how often each is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from stillroom.client.settings import Endpoint, Sampling

OwnTaker = Literal["teacher", "base", "answers_only", "student"]
"""What a recipe itself asks and trains."""
OWN_TAKERS: tuple[OwnTaker, ...] = ("teacher", "base", "answers_only", "student")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _names_a_file(value: str) -> str:
    if not _FILE_NAME.fullmatch(value):
        raise ValueError(
            "a name is up to 64 letters, digits and . _ -, and begins with a letter or digit: it names a file"
        )
    return value


class ExaminedModel(Endpoint):
    """A model that the recipe neither asks nor trains: at an address, in a folder, or another run's student."""

    name: str
    """What the results call it."""
    group: str | None = None
    """What it is one of, where several models differ by their training's seed alone: `sft` for sft-1, sft-2, sft-3."""
    model: str = ""
    """With `base_url`: the model's name at its server."""
    base_url: str = ""
    folder: str | None = None
    """A folder of a Hugging Face model, served while the examination lasts; relative to the recipe's."""
    run: str | None = None
    """The name of a run, whose student it is."""

    _names_a_journal = field_validator("name")(_names_a_file)

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        return value and super()._plain_address(value)

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if sum((bool(self.base_url), self.folder is not None, self.run is not None)) != 1:
            raise ValueError("give one of base_url (with model), folder and run")
        if bool(self.base_url) != bool(self.model):
            raise ValueError("base_url and model go together: the address, and the model's name there")
        if self.name in OWN_TAKERS:
            raise ValueError(f"{self.name} is what a model of the recipe itself is called; choose another name")
        return self

    def endpoint(self) -> Endpoint:
        """Where it is asked. Only for a model at an address."""
        return Endpoint.model_validate(self.model_dump(exclude={"name", "group", "folder", "run"}))


def _whose(value: Any) -> str:
    return "own" if isinstance(value, str) else "other"


Taker = Annotated[Annotated[OwnTaker, Tag("own")] | Annotated[ExaminedModel, Tag("other")], Discriminator(_whose)]


class ExamSet(BaseModel):
    """A set of questions with a name. What it leaves out is as the examination has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    samples: int | None = Field(default=None, ge=1, le=10_000)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    keep: bool = False
    """A skill that the student is to keep: nothing needs to be gained here, and no more than `margin` may be lost."""

    _names_a_table = field_validator("name")(_names_a_file)


@dataclass(frozen=True, slots=True)
class Paper:
    """A set of questions as it is asked."""

    name: str | None
    """None: the questions that belong to no set."""
    samples: int
    sampling: Sampling

    @property
    def file(self) -> str:
        """Where its questions lie in a run's folder."""
        return "exam/questions.parquet" if self.name is None else f"exam/questions/{self.name}.parquet"


class ExamSettings(BaseModel):
    """`exam:` of a recipe, but for its questions. Every taker is asked the same questions, in the same way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sets: tuple[ExamSet, ...] = ()
    """Sets of questions with names and settings of their own; without any, there is one set without a name."""
    compare: tuple[Taker, ...] = Field(default=OWN_TAKERS, min_length=1)
    """Who takes the examination."""
    samples: int = Field(default=1, ge=1, le=10_000)
    """Replies to each question."""
    temperature: float | None = Field(default=0.0, ge=0)
    """0: the likeliest answer. None: the server's own default."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of one reply, reasoning included. A reply that is cut here is not right."""
    concurrency: int = Field(default=32, ge=1)
    """Calls in flight at most, for one taker at a time."""
    retries: int = Field(default=5, ge=0)
    """Calls after the first one, for one reply, where another try can help."""
    margin: float = Field(default=0.02, ge=0, le=1)
    """The accuracy that the student may lose against its base on a set that it is to keep, as a share."""

    @field_validator("compare")
    @classmethod
    def _each_once(cls, value: tuple[Taker, ...]) -> tuple[Taker, ...]:
        names = [name_of(taker).casefold() for taker in value]  # each names files, on some disks whatever its case
        if len(set(names)) != len(names):
            raise ValueError("a taker is named twice")
        return value

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        names = [each.name.casefold() for each in self.sets]
        if len(set(names)) != len(names):
            raise ValueError("two sets have the same name")
        for paper in self.papers():
            if paper.samples > 1 and paper.sampling.temperature == 0:
                where = "" if paper.name is None else f" of {paper.name}"
                raise ValueError(
                    f"the {paper.samples} samples{where} would be one and the same at temperature 0; "
                    "set temperature, for example to 0.6"
                )
        return self

    @model_validator(mode="after")
    def _has_something_to_gain(self) -> Self:
        if self.sets and all(each.keep for each in self.sets):
            raise ValueError("every set is marked keep; leave at least one for the student to gain on")
        return self

    @property
    def others(self) -> tuple[ExaminedModel, ...]:
        """Those that the recipe neither asks nor trains."""
        return tuple(taker for taker in self.compare if isinstance(taker, ExaminedModel))

    @property
    def own(self) -> tuple[OwnTaker, ...]:
        return tuple(taker for taker in self.compare if not isinstance(taker, ExaminedModel))

    @property
    def groups(self) -> dict[str, str]:
        """The group of each taker that has one."""
        return {taker.name: taker.group for taker in self.others if taker.group is not None}

    def papers(self) -> Iterator[Paper]:
        """Each set with what it does not say itself."""
        for part in self.sets or (None,):
            said = {} if part is None else part.model_dump(exclude={"name", "questions", "keep"}, exclude_none=True)
            as_a_whole = {key: getattr(self, key) for key in ("samples", "temperature", "top_p", "max_tokens")}
            settings = as_a_whole | said
            yield Paper(None if part is None else part.name, settings.pop("samples"), Sampling(**settings))


def name_of(taker: OwnTaker | ExaminedModel) -> str:
    return taker.name if isinstance(taker, ExaminedModel) else taker
