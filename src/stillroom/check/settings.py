"""What the check keeps."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stillroom.base.records import Kind
from stillroom.check.language_names import LANGUAGES
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.text.nearest import nearest_name
from stillroom.verify.settings import JudgeSettings

_CONFIG = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

SAME_AS_QUESTION, OFF = "same_as_question", "off"
Share = Annotated[float, Field(ge=0, le=1)]
RuleOfThumb = Literal["refused_in_words", "answer_in_reasoning", "repetition", "mixed_scripts"]


class MixSettings(BaseModel):
    """Traces from elsewhere: a file with one conversation in each row. It is checked like the teacher's replies."""

    model_config = _CONFIG

    from_: Literal["file"] = Field(default="file", alias="from")
    path: str
    """JSON lines, JSON or Parquet; relative to the recipe's folder."""
    weight: float | None = Field(default=None, gt=0)
    """How many of its good rows are kept, for each one of the teacher's that is kept: 0.25 makes a fifth of all rows,
    where no other file is mixed in. None: all."""
    answer: str | None = None
    """The column with the reference answer. None: there is none, and nothing is verified."""
    kind: Kind | None = None
    """How the answer is verified, for rows that do not say it. None: `number` for references in GSM8K's form, `exact`
    for others."""
    licence: str | None = None
    """For rows that name none."""
    terms: str | None = None
    """Under which its replies came, as `teacher.terms`. None: nobody says, and nobody is asked to."""


class CheckSettings(BaseModel):
    """`check:` of a recipe. Right replies are kept, and those of questions that nothing can verify (`kind: none`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: Literal["all_right", "shortest_right"] = "all_right"
    """Which of a question's right replies: all, or the shortest (in completion tokens) first."""
    per_question: int | None = Field(default=None, ge=1)
    """The most replies that are kept of one question. None: all of them, or one with `shortest_right`."""
    require_reasoning: bool = False
    """Reject replies without readable reasoning. Off: a teacher that does not think aloud, or reasons in its answer,
    can be distilled too. Turn it on where a reasoning teacher sometimes does not reason."""
    accept_summaries: bool = False
    """Train on reasoning that the API only summarises, as if it were the reasoning itself."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Replies longer than this are left out whole: what a student cannot hold would be cut, and teach it not to end."""
    language: str = SAME_AS_QUESTION
    """The language of the replies: a code such as `en`, that of each question, or `off`."""
    ignore: tuple[RuleOfThumb, ...] = ()
    """Rules of thumb that are not used, where `rejected.parquet` shows that they are wrong about these replies."""
    agreement: float | None = Field(default=None, gt=0.5, le=1)
    """Where no answer is known: the share of a question's samples that must come to the same one to be called right.
    None: agreement is not looked at."""
    judge: JudgeSettings | None = None
    """A model that judges the answers that nothing else can."""
    overlap: OverlapSettings = OverlapSettings()
    pass_rate: tuple[Share, Share] | None = None
    """Keep questions of this difficulty only: the least and the largest share of right answers to them."""
    pass_rates: str | None = None
    """A file with `question_id` and `pass_rate` in each row, of the base student for instance. None: the teacher's own
    samples say how difficult a question is."""
    most_per_source: int | None = Field(default=None, ge=1)
    """The most rows that are kept of one source, so that a large one does not drown the others."""
    long_share: Share | None = None
    """The share of kept rows that are long. None: whatever comes."""
    long_from: int = Field(default=1024, ge=1)
    """With `long_share`: tokens from which on a reply is a long one."""
    mix: tuple[MixSettings, ...] = ()
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """The share of questions whose rows are held out of training, in a table of their own."""
    seed: int = Field(default=0, ge=0)
    """Of what is drawn by lot: which rows a share or a weight keeps, which questions are held out."""

    @field_validator("language")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in LANGUAGES and value not in (SAME_AS_QUESTION, OFF):
            codes = {name.lower(): code for code, name in LANGUAGES.items()} | {code: code for code in LANGUAGES}
            near = nearest_name(value, [*codes, SAME_AS_QUESTION, OFF])
            raise ValueError(
                f"a language is a code such as en, or {SAME_AS_QUESTION}, or {OFF}; {value!r} is none of them"
                + (f" (perhaps {codes.get(near, near)})" if near else "")
            )
        return value

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.pass_rate is not None and self.pass_rate[0] > self.pass_rate[1]:
            raise ValueError("pass_rate is the least and the largest share, in this order")
        if self.pass_rates is not None and self.pass_rate is None:
            raise ValueError("pass_rates is read for pass_rate; give both, or none")
        return self

    @property
    def counts_tokens(self) -> bool:
        """Whether how many tokens a reply has makes a difference."""
        return self.max_tokens is not None or self.long_share is not None

    def files(self) -> list[str]:
        """The files that the check reads, besides the run's own."""
        rates = [] if self.pass_rates is None else [self.pass_rates]
        return [*(source.path for source in self.mix), *rates, *self.overlap.against]
