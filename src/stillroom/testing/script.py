"""A teacher as a YAML file says it: what it answers, what it costs, what it allows and what it does wrong."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from stillroom.base.errors import UsageError
from stillroom.store.files import write_atomically
from stillroom.testing.answer import FILLER, Answer, short_answer
from stillroom.testing.faults import FAULTS, Fault
from stillroom.testing.ledger import Price
from stillroom.testing.limits import Limits
from stillroom.testing.owner import Owner
from stillroom.testing.rules import Rule, RuleBook
from stillroom.testing.teacher import MisbehavingTeacher
from stillroom.text.plain_yaml import Document, read_yaml_file
from stillroom.text.problems import describe


class RuleSettings(BaseModel):
    """A fault by its name, its own parameters (in the models made from this one), and which requests meet it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str
    question: str | None = Field(default=None, min_length=1)
    after: int = Field(default=0, ge=0)
    first: int | None = Field(default=None, ge=1)
    every: int = Field(default=1, ge=1)
    share: float | None = Field(default=None, ge=0, le=1)

    def rule(self) -> Rule:
        parameters = self.model_dump(exclude=set(RuleSettings.model_fields))
        fault = FAULTS[self.fault](**parameters)
        return Rule(fault, self.question, self.after, self.first, self.every, self.share)


def _with_parameters_of(function: Callable[..., Fault]) -> type[RuleSettings]:
    """The settings for one fault: the parameters of its function are keys beside those of every rule."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {"fault": (Literal[function.__name__], ...)}
    for name, parameter in inspect.signature(function).parameters.items():
        fields[name] = (hints[name], ... if parameter.default is parameter.empty else parameter.default)
    return create_model(function.__name__, __base__=RuleSettings, __doc__=function.__doc__, **fields)


if TYPE_CHECKING:
    AnyRule = RuleSettings
else:
    _MODELS = tuple(_with_parameters_of(function) for function in FAULTS.values())
    AnyRule = Annotated[Union[_MODELS], Field(discriminator="fault")]  # noqa: UP007 - the members are not known here


class AnswerSettings(BaseModel):
    """What the teacher says when it behaves. None: something short that depends on the question alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str | None = None
    reasoning: str | None = None
    tokens: int | None = Field(default=None, ge=1)
    """The reasoning is made longer, word by word, until the answer has so many tokens."""
    cached_tokens: int | None = Field(default=None, ge=0)
    """How many tokens of the prompt are said to come from a cache."""

    def answer(self, question: str) -> Answer:
        short = short_answer(question)
        answer = Answer(
            short.content if self.content is None else self.content,
            short.reasoning_content if self.reasoning is None else self.reasoning,
            cached_tokens=self.cached_tokens,
        )
        missing = (self.tokens or 0) - answer.tokens
        if missing <= 0:
            return answer
        return replace(answer, reasoning_content=f"{answer.reasoning_content}{f' {FILLER}' * missing}".strip())


class OwnerSettings(BaseModel):
    """Who signs the replies, and looks at permits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "owner"
    permit: str | None = None
    """A file that a permit for all models is written to, for a year and without limits."""


class Delay(BaseModel):
    """Seconds that each reply takes; see `MisbehavingTeacher`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_s: float = Field(ge=0)
    most_s: float = Field(ge=0)
    shape: Literal["uniform", "heavy_tailed"] = "uniform"

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.least_s > self.most_s:
            raise ValueError("least_s is more than most_s")
        if self.shape == "heavy_tailed" and self.least_s == 0:
            raise ValueError("a heavy-tailed delay needs a least_s above 0")
        return self


class Script(BaseModel):
    """Everything that a teacher is told. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(default=("teacher",), min_length=1)
    api_key: str | None = None
    answer: AnswerSettings = AnswerSettings()
    price: Price | None = None
    seed: int = 0
    delay: Delay = Delay(least_s=0, most_s=0)
    limits: Limits = Limits()
    owner: OwnerSettings | None = None
    """None: replies come without receipts."""
    faults: tuple[AnyRule, ...] = ()

    @field_validator("faults")
    @classmethod
    def _parts_of_one_whole(cls, value: tuple[RuleSettings, ...]) -> tuple[RuleSettings, ...]:
        RuleBook([settings.rule() for settings in value])
        return value

    def teacher(self, *, port: int = 0, ledger: Path | None = None) -> MisbehavingTeacher:
        """The teacher, which begins to listen when its block is entered. Raises StoreError for a permit's file."""
        owner = None
        if self.owner is not None:
            owner = Owner(self.owner.name, self.seed)
            if self.owner.permit is not None:
                write_atomically(Path(self.owner.permit), owner.permit(self.models) + "\n")
        return MisbehavingTeacher(
            self.answer.answer,
            rules=[settings.rule() for settings in self.faults],
            delay_s=(self.delay.least_s, self.delay.most_s),
            delay_shape=self.delay.shape,
            seed=self.seed,
            limits=self.limits,
            price=self.price,
            ledger=ledger,
            api_key=self.api_key,
            models=self.models,
            owner=owner,
            port=port,
        )


def load_script(path: Path) -> Script:
    """Read a script.

    Raises UsageError: no such file, not YAML, an unknown key or fault (with the nearest right one), a value of the
    wrong type or out of range; each with its line.
    """
    document = _read(path)
    data = {} if document.value is None else document.value
    try:
        return Script.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        what, _ = describe(error, Script, data, document.lines, str(path))
        raise UsageError(what, "The keys and the faults are listed in docs/testing.md.") from error


def _read(path: Path) -> Document:
    try:
        document = read_yaml_file(path, UsageError)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Name a YAML file that you may read.") from error
    if not isinstance(document.value, dict | None):
        raise UsageError(f"{path} is not a mapping of keys to values.", "See docs/testing.md.")
    return document
