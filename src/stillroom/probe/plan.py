"""A plan: what will be asked of which suspect and how it will be judged, all of it fixed before the suspect is asked.

`plan.json` is canonical JSON, and its digest stands in the log of plans before anybody asks. It commits to both replies
of every pair and, by a salted digest, to the coins, which it does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillroom.base.canonical import canonical_bytes, digest, digest_bytes
from stillroom.base.errors import DataError
from stillroom.base.signatures import LATEST
from stillroom.base.validation import first_problem
from stillroom.client.settings import Sampling
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""Of a plan: it is a folder's name."""
LIKELIHOOD = "likelihood"
"""The measure that is no measure of texts: how likely the suspect holds each of the two."""
SEED_BITS = 31

Text = Annotated[str, Field(min_length=1, max_length=500)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class MeasureNamed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Text
    version: int = Field(ge=1)
    """Another version may give other numbers for the same texts."""


class Plan(BaseModel):
    """The names are those of plan.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    name: str = Field(pattern=f"^{NAME}$")
    question: Text
    """One sentence for a reader: what is to be found out."""
    suspect: Text
    """As whoever asks it calls it: a model's name, an address or a folder."""
    base: Text | None = None
    """What the suspect was trained from, where that is known; the measure `likelihood` is relative to it."""
    teacher: Text | None = None
    accounts: tuple[Text, ...] = Field(min_length=1, strict=False)
    """To whom the served replies went."""
    grade: Literal["recorded", "assumed"]
    """`recorded`: of every pair, a coin was tossed and committed to. `assumed`: of one at least there was none."""
    primary: MeasureNamed
    """Its p-value is the answer."""
    others: tuple[MeasureNamed, ...] = Field(default=(), strict=False)
    """Told beside it, corrected for how many there are."""
    samples: int = Field(ge=0, le=1000)
    """Answers to each question; 0 where only the likelihood is looked at."""
    sampling: Sampling = Sampling()
    """How the suspect's answers are drawn. Without a seed, `asking_seed` of the plan's digest is taken."""
    level: float = Field(gt=0, lt=0.5)
    """The share of innocent models that such a test accuses at most."""
    pairs: int = Field(ge=1)
    questions: int = Field(ge=1)
    may_lack: float = Field(default=0.1, ge=0, lt=1)
    """The share of questions that may be without an answer; with more, nothing is tested."""
    is_pilot: bool = False
    """Made to learn how many pairs are needed: whatever it shows is no evidence, and its pairs are not used again."""
    pairs_digest: Digest
    """`pairs_digest_of` the pairs: of all that the asker is given."""
    openings_digest: Digest
    """`openings_digest_of` the coins, under a salt that is told when they are opened."""
    references_digest: Digest | None = None
    """`answers_digest_of` further replies of the teacher, beside which the suspect's likeness is told, by the measures
    of texts; None: it is told by itself. Those that are drawn later do not count."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Pairs of these accounts that are not in the plan, by the reason why."""
    created_at: int = Field(ge=0, le=LATEST * 1_000_000)
    """UTC microseconds."""
    by: Text
    software: Text
    """Name and version of what made the plan."""

    @property
    def digest(self) -> str:
        return digest_bytes(self.to_bytes())

    @property
    def measures(self) -> tuple[MeasureNamed, ...]:
        """The primary one first."""
        return (self.primary, *self.others)

    @property
    def needs_likelihood(self) -> bool:
        return any(measure.name == LIKELIHOOD for measure in self.measures)

    def to_bytes(self) -> bytes:
        """plan.json."""
        return canonical_bytes(self.model_dump(mode="json")) + b"\n"


def read_plan(data: bytes, name: str) -> Plan:
    """From the bytes of a plan.json. `name`: of the file, for errors. Raises DataError.

    Spelled in any other way than `to_bytes` does, it is refused: its digest would be another one.
    """
    remedy = "Take the plan again from whoever made it."
    try:
        plan = Plan.model_validate_json(data)
    except ValidationError as error:
        raise DataError(f"{name} is no plan of this version: {first_problem(error)}.", remedy) from error
    if not is_spelled(plan, data):
        raise DataError(f"{name} is not spelled as a plan is.", remedy)
    return plan


class Spelled(Protocol):
    def to_bytes(self) -> bytes: ...


def is_spelled(value: Spelled, data: bytes) -> bool:
    """Whether these are the bytes that it is written as. False for what has no canonical form, such as infinity."""
    try:
        return value.to_bytes() == data
    except ValueError:
        return False


def asking_seed(plan_digest: str) -> int:
    """The seed with which the suspect is asked, where the plan has none: nobody could choose it for what it gives.

    Whoever has the suspect's weights can ask again and see the same answers.
    """
    return int(plan_digest.removeprefix("sha256:")[:8], 16) >> (32 - SEED_BITS)


def sampling_of(plan: Plan) -> Sampling:
    """With the seed that the suspect is asked with."""
    if plan.sampling.seed is not None:
        return plan.sampling
    return plan.sampling.model_copy(update={"seed": asking_seed(plan.digest)})


def pairs_digest_of(pairs: Iterable[Pair]) -> str:
    """In any order. Over what they say, and not over a file's bytes, which another writer may make otherwise."""
    return _rows_digest(pairs, ("pair_id", "question_id", "messages", "first", "second"))


def openings_digest_of(openings: Iterable[Opening], salt: bytes) -> str:
    """In any order. The salt keeps the coins hidden, however few there are."""
    rows = sorted([each.pair_id, each.account, each.at, each.coin, each.coin_from] for each in openings)
    return digest({"salt": salt.hex(), "openings": rows})


def answers_digest_of(answers: Iterable[Answer]) -> str:
    return _rows_digest(answers, ("question_id", "sample", "text", "finish_reason", "asked_at"))


def likelihoods_digest_of(likelihoods: Iterable[Likelihood]) -> str:
    return _rows_digest(likelihoods, ("pair_id", "model", "first", "second", "tokens", "asked_at"))


def _rows_digest(rows: Iterable[Any], names: Sequence[str]) -> str:
    """Floats as the text that Python reads back as the same number: one that is no number has no canonical form."""
    written: list[bytes] = []
    for row in rows:
        values: Mapping[str, Any] = {name: getattr(row, name) for name in names}
        written.append(canonical_bytes({name: _plain(value) for name, value in values.items()}))
    return digest_bytes(b"\n".join(sorted(written)))


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value
