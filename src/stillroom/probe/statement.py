"""What a test found, as data: `statement.json` of a bundle, from which its page is written.

It holds everything that is said, so that whoever recomputes a bundle compares this file and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from stillroom.base.canonical import canonical_bytes
from stillroom.base.errors import DataError
from stillroom.base.validation import first_problem
from stillroom.probe.plan import Plan


@dataclass(frozen=True, slots=True)
class Result:
    """One measure's answer to: are the suspect's answers nearer to the served replies than to the sealed ones?"""

    measure: str
    p_value: float
    """One-sided: how often a model that never learned from these replies would be so far on the served side."""
    adjusted_p: float
    """Of the primary measure, `p_value` itself; of another one, corrected for all measures by max-T."""
    statistic: float
    """The sum of the units' signed scores; 0 is expected of an innocent model."""
    spread: float
    """Its standard deviation under coins alone."""
    units: int
    """Pairs that share no text with one another: what the coins are counted over."""
    informative: int
    """Units whose difference is not 0."""
    nearer_served: int
    """Units of which the answers are nearer to what was served."""
    nearer_sealed: int
    share: float | None
    """`nearer_served` of both; one half is expected of an innocent model. None where there are none."""
    share_low: float | None
    """Of its 95 % interval (Wilson)."""
    share_high: float | None
    sign_p_value: float
    """One-sided, of the bare count: how often fair coins alone would bring so many of the informative units to the
    served side. For customers who may have chosen questions by earlier replies: docs/probe.md says when it holds."""


@dataclass(frozen=True, slots=True)
class AccountResult:
    """The primary measure on the pairs of one account."""

    account: str
    pairs: int
    shared_units: int
    """Units with a text that other accounts may have received, too: what they show, they show of all of these."""
    shared_with: tuple[str, ...]
    """Those accounts."""
    result: Result
    holm_p: float
    """Corrected for the number of accounts."""
    is_accused: bool
    """`holm_p` is at most the plan's level."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Pairs of the plan = used + identical + unanswered. `left_out` of the plan counts what was not in it at all."""

    pairs: int
    used: int
    identical: int
    """The two replies are the same text, which says nothing."""
    unanswered: int
    """No answer to the question, or, for `likelihood`, no figure for the pair."""
    questions: int
    answered_questions: int
    answers: int
    unusable_answers: int
    """Failed, refused, empty or cut short; those that were cut short are used as far as they go."""


@dataclass(frozen=True, slots=True)
class TeacherCloseness:
    """How near the suspect's answers come to the pairs' replies, beside how near another draw of the teacher comes."""

    verdict: Literal["indistinguishable", "farther", "undecided"]
    """`indistinguishable`: from the teacher itself. Then no result near one half says anything: a suspect that is the
    teacher, or passes questions on to it, gives none by construction."""
    suspect: float
    """Mean likeness of the suspect's answers to the two replies."""
    teacher: float
    """The same of a third draw of the teacher."""
    difference: float
    """`suspect` less `teacher`."""
    low: float
    """Of the interval of the difference, questions resampled."""
    high: float
    margin: float
    """How much below 0 still counts as indistinguishable; fixed beforehand."""
    questions: int


@dataclass(frozen=True, slots=True)
class LoggedPlan:
    """One plan of the log, whatever became of it."""

    name: str
    suspect: str
    planned_at: int
    """UTC microseconds, as every time here."""
    is_pilot: bool
    state: Literal["planned", "answered", "opened", "abandoned"]
    level: float
    p_value: float | None
    """None: not opened."""


@dataclass(frozen=True, slots=True)
class LogSummary:
    plans: tuple[LoggedPlan, ...]
    """Every plan up to this result, this one included, in the order in which they were made."""
    records: int
    """Before the one of this result."""
    head: str
    """The digest of the last of them, which stands for all before it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Where the suspect stands among what the coins alone would have given: for a chart."""

    edges: tuple[float, ...]
    """Of equally wide bins of the statistic, in units of its standard deviation under coins alone: one more than
    `shares`. The first and the last bin have what lies beyond them, too."""
    shares: tuple[float, ...]
    """How probable fair coins make each bin: exact."""
    observed: float
    """In the same unit."""


@dataclass(frozen=True, slots=True)
class TellingPair:
    pair_id: str
    account: str
    difference: float
    """Likeness to what was served less likeness to what was sealed, by the primary measure."""


@dataclass(frozen=True, slots=True)
class CoinChecks:
    """Whether the coins look fair, and how far from fair they could have been. None of it changes the result."""

    first_served: int
    """Pairs of which the first reply was served: about half of them."""
    split_p_value: float
    """Two-sided: how often fair coins would split the pairs as unevenly."""
    served_longer: int
    """Units whose served replies are longer than the sealed ones."""
    served_shorter: int
    length_p_value: float
    """Two-sided: how often fair coins would make served and sealed replies differ as much in length. Small where pairs
    went missing by what was served: clients hang up on long replies."""
    odds_tolerated: float | None
    """Every coin may have leant towards the reply that this suspect is nearer to by so much to 1, and the result would
    still be positive. None: it is not positive."""


@dataclass(frozen=True, slots=True)
class ReferenceChecks:
    """Of further replies of the teacher, beside which the suspect's likeness was told. None of it changes the
    result."""

    measure: str
    """The plan's first one of texts."""
    replies: int
    questions: int
    p_value_without: float
    """Of that measure, had there been no such replies."""
    nearer_served: int
    """Units of which these replies themselves are nearer to what was served: drawn without regard to it, they are as
    often nearer to what was sealed."""
    nearer_sealed: int
    leaning_p_value: float
    """Two-sided: how often fair coins would make them lean as far to one side."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asked the suspect, and how: from the asker's `asked.json`."""

    by: str | None
    model: str
    address: str | None
    """None: a model that ran on the asker's own machine."""
    first_at: int
    last_at: int
    software: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    plan: Plan
    plan_digest: str
    planned_at: int
    """When the log recorded the plan."""
    plan_stamped_at: int | None
    """When an authority outside stamped a record of the log that follows the plan or is it; None: none did."""
    asking: Asking
    opened_at: int
    result: Result
    """The primary measure."""
    is_positive: bool
    """`result.p_value` is at most the plan's level, and the plan is no pilot."""
    others: tuple[Result, ...]
    accounts: tuple[AccountResult, ...]
    """In the plan's order. Of one account, its `holm_p` is the p-value itself."""
    counts: Counts
    closeness: TeacherCloseness | None
    """None: no third draw of the teacher was made."""
    needed: int | None
    """Of a pilot: how many pairs a test at this level needs to find such a model nine times in ten. None: no pilot, or
    more than can be told."""
    log: LogSummary
    picture: Picture
    telling: tuple[TellingPair, ...]
    """The pairs with the greatest differences, whichever side they are on."""
    software: dict[str, str]
    """Versions of what computed this, by name."""
    coins: CoinChecks | None = None
    references: ReferenceChecks | None = None
    """None: the plan has none."""


_STATEMENT = TypeAdapter(Statement)


def statement_bytes(statement: Statement) -> bytes:
    """statement.json. Raises ValueError for what is not a number: a statement has none such."""
    return canonical_bytes(_STATEMENT.dump_python(statement, mode="json")) + b"\n"


def read_statement(data: bytes, name: str) -> Statement:
    """From the bytes of a statement.json. `name`: of the file, for errors. Raises DataError."""
    try:
        return _STATEMENT.validate_json(data)
    except ValidationError as error:
        raise DataError(f"{name} is no statement of this version: {first_problem(error)}.") from error
