"""Making a plan: its pairs are chosen, what it says is fixed, and its digest is in the log before anybody asks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from stillroom.base.clock import SystemClock
from stillroom.base.errors import UsageError
from stillroom.base.validation import first_problem
from stillroom.client.settings import Sampling
from stillroom.probe.asked import is_usable
from stillroom.probe.bounded import read_bounded_rows
from stillroom.probe.bundle import THIRDS
from stillroom.probe.choosing import Chosen, choose
from stillroom.probe.judging import LIKELIHOOD_VERSION
from stillroom.probe.measures import MEASURES, PRIMARY
from stillroom.probe.pack import PAIRS, PLAN, in_order
from stillroom.probe.pairs import Gathered, read_gathered
from stillroom.probe.plan import (
    LIKELIHOOD,
    NAME,
    MeasureNamed,
    Plan,
    answers_digest_of,
    openings_digest_of,
    pairs_digest_of,
)
from stillroom.probe.plan_log import FILE, LogLine, LogRecord, log_locked, read_log, records_of
from stillroom.probe.recorded import PLANS, SALT, SOFTWARE, RecordedPlan, make_pack, note, read_recorded, state_of
from stillroom.probe.references import further_replies
from stillroom.probe.signer import Signer
from stillroom.probe.spent import read_spent, spent_among
from stillroom.store.files import replacing_folder, write_atomically
from stillroom.store.siblings import Answer, Pair, write_rows

_SALT_BYTES = 32
_USUAL = "Was the suspect trained on replies that were served to these accounts?"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a plan is to be."""

    name: str
    suspect: str
    question: str | None = None
    """None: the usual one."""
    base: str | None = None
    teacher: str | None = None
    accounts: tuple[str, ...] = ()
    """None named: all whose pairs were gathered."""
    primary: str = PRIMARY
    others: tuple[str, ...] | None = None
    """None: with a measure of texts, all other measures of texts; with the likelihood, none."""
    samples: int = 4
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7))
    level: float = 0.05
    number: int | None = None
    """Of pairs; None: all that can be used."""
    may_lack: float = 0.1
    is_pilot: bool = False
    with_references: bool = True
    """Whether further replies of the teacher, where some have been drawn, are taken as references."""


@dataclass(frozen=True, slots=True)
class Planned:
    plan: Plan
    record: LogRecord
    pack: Path
    references: int
    """Replies of the teacher that the plan has as references."""


def make_plan(probe: Path, wish: Wish, signer: Signer, by: str) -> Planned:
    """Fix a plan, and write it into the log. `probe`: the folder that pairs were gathered in.

    Where it stands in the log already, as it is wished, and nothing came of it yet, its pack is made anew: who was
    stopped on the way goes on so. Raises UsageError for a name that was used otherwise, a measure or an account that
    there is not; DataError where no pair is left; StoreError.
    """
    if not re.fullmatch(NAME, wish.name):
        raise UsageError(f"{wish.name!r} is no name of a plan.", "Take letters, digits, dots and dashes: at most 64.")
    gathered, measures = read_gathered(probe), (_measure(wish.primary), *_others(wish))
    accounts = _accounts(wish, gathered)
    with log_locked(probe):
        log = read_log(probe / FILE)
        earlier = _waiting(probe, wish.name, log)
        chosen = _chosen(probe, wish, gathered, accounts, log)
        salt = os.urandom(_SALT_BYTES) if earlier is None else earlier.salt
        references = _references(probe, wish, measures, chosen.pairs)
        plan = _plan(wish, measures, gathered, chosen, salt, by, references)
        if earlier is None:
            _write(probe / PLANS / wish.name, plan, chosen.pairs, salt, references)
            record = note(probe, plan, "planned", signer, by).record
        else:
            plan, record = _same(earlier, plan), earlier.records[0]
    return Planned(plan, record, make_pack(probe, plan.name), sum(map(is_usable, references)))


def _waiting(probe: Path, name: str, log: Sequence[LogLine]) -> RecordedPlan | None:
    """The plan of that name that the log has, before anything came of it. Raises UsageError where something did."""
    if all(line.record.plan != name for line in log):
        return None
    recorded = read_recorded(probe, name)
    if recorded.state != "planned":
        raise UsageError(f"There is a plan {name} already; it is {recorded.state}.", "Give this one another name.")
    return recorded


def _same(earlier: RecordedPlan, plan: Plan) -> Plan:
    """The plan as it was recorded. Raises UsageError where this is another one."""
    then = {name: getattr(earlier.plan, name) for name in ("created_at", "by", "software")}
    if plan.model_copy(update=then) != earlier.plan:
        raise UsageError(
            f"There is a plan {plan.name} already, which says something else or has other pairs.",
            f"Give this one another name, or give that one up: stillroom probe abandon PROBE {plan.name} --reason ...",
        )
    return earlier.plan


def _plan(
    wish: Wish,
    measures: tuple[MeasureNamed, ...],
    gathered: Gathered,
    chosen: Chosen,
    salt: bytes,
    by: str,
    references: Sequence[Answer],
) -> Plan:
    """Raises UsageError for what no plan can say."""
    samples = wish.samples if any(each.name != LIKELIHOOD for each in measures) else 0
    if samples > 1 and wish.sampling.temperature == 0:
        raise UsageError("At temperature zero all samples of a question are one.", "Ask one sample, or set another.")
    ids = {pair.pair_id for pair in chosen.pairs}
    openings = [opening for opening in gathered.openings if opening.pair_id in ids]
    try:
        return Plan(
            name=wish.name,
            question=_USUAL if wish.question is None else wish.question,
            suspect=wish.suspect,
            base=wish.base,
            teacher=wish.teacher,
            accounts=tuple(sorted({opening.account for opening in openings})),
            grade="recorded" if all(each.coin_from == "recorded" for each in openings) else "assumed",
            primary=measures[0],
            others=measures[1:],
            samples=samples,
            sampling=wish.sampling,
            level=wish.level,
            pairs=len(chosen.pairs),
            questions=len({pair.question_id for pair in chosen.pairs}),
            may_lack=wish.may_lack,
            is_pilot=wish.is_pilot,
            pairs_digest=pairs_digest_of(chosen.pairs),
            openings_digest=openings_digest_of(openings, salt),
            references_digest=answers_digest_of(references) if references else None,
            left_out=dict([*gathered.left_out.items(), *chosen.left_out.items()]),
            created_at=SystemClock().now_us(),
            by=by,
            software=SOFTWARE,
        )
    except ValidationError as error:
        raise UsageError(f"This can be no plan: {first_problem(error)}.") from error


def _references(probe: Path, wish: Wish, measures: Sequence[MeasureNamed], pairs: Sequence[Pair]) -> list[Answer]:
    """None of which any could be used are none; nor are there any for likelihoods, which have the suspect's base."""
    if not wish.with_references or all(each.name == LIKELIHOOD for each in measures):
        return []
    found = further_replies(probe / THIRDS, pairs)
    return found if any(map(is_usable, found)) else []


def _chosen(probe: Path, wish: Wish, gathered: Gathered, accounts: Sequence[str], log: Sequence[LogLine]) -> Chosen:
    return choose(
        gathered.pairs,
        gathered.openings,
        accounts=set(accounts),
        spent=set(spent_among(gathered.pairs, read_spent(probe))),
        reserved=_reserved(probe, wish.name, log),
        number=wish.number,
        at_random=wish.is_pilot,
    )


def _reserved(probe: Path, name: str, log: Sequence[LogLine]) -> set[str]:
    """The pairs of plans that are neither opened nor given up, for one called so: of others than itself."""
    digests = {line.record.plan_digest: line.record.plan for line in log if line.record.plan != name}
    waiting = [name for each, name in digests.items() if state_of(records_of(log, each)) in ("planned", "answered")]
    return {pair.pair_id for name in waiting for pair in read_bounded_rows(probe / PLANS / name / PAIRS, Pair)}


def _accounts(wish: Wish, gathered: Gathered) -> tuple[str, ...]:
    """Of which pairs may be taken; sorted, each once."""
    there = set(gathered.by_account)
    if unknown := sorted(set(wish.accounts) - there):
        raise UsageError(
            f"No pair of {', '.join(unknown)} was gathered.", f"There are pairs of {', '.join(sorted(there))}."
        )
    return tuple(sorted(wish.accounts or there))


def _others(wish: Wish) -> tuple[MeasureNamed, ...]:
    if wish.others is None:
        names = () if wish.primary == LIKELIHOOD else tuple(name for name in MEASURES if name != wish.primary)
    else:
        names = tuple(dict.fromkeys(name for name in wish.others if name != wish.primary))
    return tuple(map(_measure, names))


def _measure(name: str) -> MeasureNamed:
    if name == LIKELIHOOD:
        return MeasureNamed(name=name, version=LIKELIHOOD_VERSION)
    if name not in MEASURES:
        raise UsageError(f"There is no measure {name!r}.", f"There are {', '.join([*MEASURES, LIKELIHOOD])}.")
    return MeasureNamed(name=name, version=MEASURES[name].version)


def _write(folder: Path, plan: Plan, pairs: Sequence[Pair], salt: bytes, references: Sequence[Answer]) -> None:
    """One of that name that is not in the log was never finished, and gives way."""
    with replacing_folder(folder) as aside:
        aside.chmod(0o700)
        write_atomically(aside / PLAN, plan.to_bytes())
        write_rows(aside / PAIRS, Pair, in_order(pairs))
        if references:
            write_rows(aside / THIRDS, Answer, references)
        write_atomically(aside / SALT, salt)
        (aside / SALT).chmod(0o600)
