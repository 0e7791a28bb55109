"""What a recipe says about where questions come from. docs/sources.md describes each source."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stillroom.ask.template import Template
from stillroom.base.records import Kind

_CONFIG = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


def _template(text: str | None) -> str | None:
    if text is not None and not Template(text).columns:
        raise ValueError("a template without a column in braces would ask the same question of every row")
    return text


CHOICES = "choices"
"""What stands for the choices in a template, in braces."""


class ChoiceColumns(BaseModel):
    """The columns of a multiple-choice question's choices, which are put in an order that the seed decides."""

    model_config = _CONFIG

    right: str
    wrong: tuple[str, ...] = Field(min_length=1, max_length=25)
    seed: int = Field(default=0, ge=0)


class RowSource(BaseModel):
    """What sources of rows have in common: which column holds what. Columns that are not named are kept in `meta`."""

    model_config = _CONFIG

    question: str | None = None
    """The column with the question's text; None: `question`, `prompt`, `messages` or `conversations`."""
    messages: str | None = None
    """The column with a conversation, in OpenAI's or ShareGPT's shape."""
    template: str | None = None
    """The question's text, with columns in braces: `Solve {problem}`."""
    answer: str | None = None
    """The column with the reference; None: `answer`, where there is one."""
    choices: ChoiceColumns | None = None
    """Instead of `answer`: the columns with the choices. They follow the question, or stand at `{choices}`."""
    id: str | None = None
    """The column with the question's id; None: `id`, where there is one."""
    family: str | None = None
    """The column with the question's family, by which results are told apart; None: `family`, where there is one."""
    kind: Kind | None = None
    """For rows that name none; None: `number` for answers in GSM8K's form, `exact` for other answers, else `none`."""
    licence: str | None = None
    """For rows that name none."""
    count: int | None = Field(default=None, ge=1)
    """The first so many rows; None: all."""

    _readable_template = field_validator("template")(_template)

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if sum(text is not None for text in (self.question, self.messages, self.template)) > 1:
            raise ValueError("give one of question, messages and template")
        return self

    @model_validator(mode="after")
    def _choices_stand_somewhere(self) -> Self:
        if self.choices is None:
            return self
        if self.answer is not None or self.messages is not None or self.kind not in (None, "choice"):
            raise ValueError("choices say which answer is right: leave out answer, messages and any other kind")
        if self.template is not None and CHOICES not in Template(self.template).columns:
            raise ValueError("the template must hold {choices}")
        return self


class FileSource(RowSource):
    """Questions from a file of JSON lines, CSV, TSV or Parquet."""

    from_: Literal["file"] = Field(default="file", alias="from")
    path: str
    """Relative to the recipe's folder."""


class HuggingFaceSource(RowSource):
    """Questions from a data set of the Hugging Face hub, or from a folder that is laid out like one."""

    from_: Literal["huggingface"] = Field(default="huggingface", alias="from")
    name: str | None = None
    """The data set's name at the hub, `owner/name`."""
    path: str | None = None
    """Instead of `name`: a folder, relative to the recipe's."""
    config: str | None = None
    """Which of its parts; None: the one that is its default."""
    split: str | None = None
    """None: the only one that it has."""
    revision: str | None = None
    """A commit, branch or tag of the hub's; None: the newest."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.name is None) == (self.path is None):
            raise ValueError("give either name (at the hub) or path (a folder)")
        if self.revision is not None and self.name is None:
            raise ValueError("revision belongs to name: a folder has none")
        return self


class DocumentSource(BaseModel):
    """Questions about passages of text files."""

    model_config = _CONFIG

    from_: Literal["documents"] = Field(default="documents", alias="from")
    path: str
    """A .txt or .md file, or a folder of them; relative to the recipe's folder."""
    template: str
    """The question's text: `{passage}` stands for the passage, `{document}` for the file's name."""
    max_characters: int = Field(default=2000, ge=1)
    """Of one passage. Passages end where paragraphs do, and never overlap."""
    licence: str | None = None
    count: int | None = Field(default=None, ge=1)
    """The first so many passages; None: all."""

    @field_validator("template")
    @classmethod
    def _holds_the_passage(cls, text: str) -> str:
        columns = set(Template(text).columns)
        if "passage" not in columns or columns - {"passage", "document"}:
            raise ValueError("the template must hold {passage}, and may hold {document}; {{ and }} are braces")
        return text


class ReasoningGymSource(BaseModel):
    """Questions made by one of reasoning-gym's tasks, which also scores the answers."""

    model_config = _CONFIG

    from_: Literal["reasoning-gym"] = Field(default="reasoning-gym", alias="from")
    task: str
    count: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)
    """Two seeds share no more questions than chance makes."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The task's own parameters."""


SourceSettings = Annotated[
    FileSource | HuggingFaceSource | DocumentSource | ReasoningGymSource, Field(discriminator="from_")
]
