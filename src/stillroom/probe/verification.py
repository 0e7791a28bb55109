"""Everything of a bundle computed again, by anybody, without a network.

A bundle is somebody else's folder: what is read of it is bounded, and nothing of it is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stillroom import __version__
from stillroom.base.errors import DataError, StoreError
from stillroom.base.progress import Progress, Silent
from stillroom.base.signatures import PublicKeys
from stillroom.probe.bounded import MOST_FILE_BYTES, read_bounded, read_bounded_rows
from stillroom.probe.bundle import CALLS, OPENINGS, REPORT, SALT, STATEMENT, THIRDS, Manifest
from stillroom.probe.comparing import statement_differences
from stillroom.probe.integrity import check_integrity
from stillroom.probe.judging import Evidence, judge, measure
from stillroom.probe.log_checks import log_problems
from stillroom.probe.log_times import log_times
from stillroom.probe.logged_call import LoggedCall, read_calls
from stillroom.probe.pack import LOG, PAIRS, PLAN, STAMPS, read_pack
from stillroom.probe.pack_messages import messages_of
from stillroom.probe.plan import Plan, openings_digest_of, pairs_digest_of, read_plan
from stillroom.probe.plan_log import LogLine, read_log, records_of
from stillroom.probe.proof import proof_problems
from stillroom.probe.received import Received, evidence_digest, read_received, received_problems
from stillroom.probe.report_page import report_page
from stillroom.probe.stamping import check_log_stamps, times_of
from stillroom.probe.statement import Statement, read_statement
from stillroom.probe.stating import state
from stillroom.store.siblings import Answer, Opening, Pair, question_id_of

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SILENT = Silent()


@dataclass(slots=True)
class Verified:
    manifest: Manifest
    digest: str
    """Of the manifest: of all of the bundle."""
    signed_by: str | None
    """The `kid` of the key; None: the signature is wrong."""
    problems: list[str]
    """What is not as it should be, a sentence each; none: all of it holds."""
    notes: list[str] = field(default_factory=list)
    """What could not be checked, or is to be known."""
    statement: Statement | None = None
    """What the bundle says was found: worth as much as the list of problems is short."""
    recomputed: Statement | None = None


@dataclass(frozen=True, slots=True)
class _Bundle:
    plan: Plan
    pairs: list[Pair]
    openings: list[Opening]
    salt: bytes
    calls: list[LoggedCall]
    received: Received
    thirds: list[Answer] | None
    log: list[LogLine]
    statement: Statement
    page: bytes


def verify_bundle(
    folder: Path,
    trusted: PublicKeys | None = None,
    *,
    roots: Sequence[Certificate] | None = None,
    answers: Path | None = None,
    pack: Path | None = None,
    progress: Progress = _SILENT,
) -> Verified:
    """`trusted`: keys that are known to be the owner's, for all signatures; None: those in the bundle are taken.

    `roots`: certificates that time stamps have to trace back to. `answers`: the folder of whoever asked the suspect,
    to see whether its answers are the ones that were used; `pack`: the folder that they were asked with. Raises
    DataError where `folder` is no bundle at all, or `answers` and `pack` are not what they should be.
    """
    whole = check_integrity(folder, trusted)
    keys = whole.keys
    verified = Verified(whole.manifest, whole.digest, whole.signed_by, [*whole.problems])
    if verified.problems:
        return verified  # of files that are other files, nothing more can be said
    if trusted is None:
        verified.notes.append("Whose key signed it was not checked: the key is the bundle's own.")
    try:
        bundle = _read(folder)
    except (DataError, StoreError) as error:
        verified.problems.append(error.what)
        return verified
    verified.statement = bundle.statement
    _check_log(folder, bundle, keys, roots, verified)
    if verified.problems:
        return verified
    _check_pairs(bundle, keys, is_strict=trusted is not None, verified=verified)
    if bundle.calls:
        times = log_times(bundle.calls, roots)
        verified.problems += times.problems
        verified.notes += [] if times.problems else [times.sentence]
    _check_answers(bundle, verified)
    if not verified.problems:
        _recompute(folder, bundle, verified, progress)
    if answers is not None and read_received(answers).digest != bundle.received.digest:
        verified.problems.append(f"The answers in {answers} are not the ones that were used.")
    if pack is not None:
        verified.problems += _pack_problems(pack, bundle)
    return verified


def _read(folder: Path) -> _Bundle:
    """Raises DataError or StoreError."""
    return _Bundle(
        plan=read_plan(read_bounded(folder / PLAN), PLAN),
        pairs=read_bounded_rows(folder / PAIRS, Pair),
        openings=read_bounded_rows(folder / OPENINGS, Opening),
        salt=read_bounded(folder / SALT),
        calls=read_calls(folder / CALLS),
        received=read_received(folder),
        thirds=read_bounded_rows(folder / THIRDS, Answer) if (folder / THIRDS).exists() else None,
        log=read_log(folder / LOG),
        statement=read_statement(read_bounded(folder / STATEMENT), STATEMENT),
        page=read_bounded(folder / REPORT, MOST_FILE_BYTES),
    )


def _check_log(
    folder: Path, bundle: _Bundle, keys: PublicKeys, roots: Sequence[Certificate] | None, verified: Verified
) -> None:
    received, statement_data = evidence_digest(bundle.received, bundle.thirds), read_bounded(folder / STATEMENT)
    verified.problems += log_problems(bundle.log, bundle.plan, received, statement_data, keys)
    if not (folder / STAMPS).exists():
        verified.notes.append(
            "No record of the log is time-stamped: that the plan is older than the asking is the owner's word."
        )
        return
    checked = check_log_stamps(folder / STAMPS, bundle.log, roots)
    verified.problems += checked.wrong
    if roots is None:
        verified.notes.append("By whom the time stamps are was not checked: no certificates were given.")


def _check_pairs(bundle: _Bundle, keys: PublicKeys, *, is_strict: bool, verified: Verified) -> None:
    plan, pairs, openings = bundle.plan, bundle.pairs, bundle.openings
    found = verified.problems
    if pairs_digest_of(pairs) != plan.pairs_digest:
        found.append("The pairs are not those of the plan.")
    if openings_digest_of(openings, bundle.salt) != plan.openings_digest:
        found.append("The openings are not those that the plan committed to.")
    ids = [pair.pair_id for pair in pairs]
    if ids != sorted(set(ids)) or ids != [opening.pair_id for opening in openings]:
        found.append("The pairs and the openings are not each other's, one for one, in the order of their ids.")
        return
    found += _other_than_planned(plan, pairs, openings)
    problems, notes = proof_problems(pairs, openings, bundle.calls, keys, is_strict=is_strict)
    found += problems
    verified.notes += notes
    extra = {call.call_id for call in bundle.calls} - {pair.pair_id for pair in pairs}
    if extra:
        found.append(f"There are rows of the call log of {len(extra):,} calls that are no pairs of the plan.")


def _other_than_planned(plan: Plan, pairs: Sequence[Pair], openings: Sequence[Opening]) -> list[str]:
    problems = []
    if (len(pairs), len({pair.question_id for pair in pairs})) != (plan.pairs, plan.questions):
        problems.append("The plan says another number of pairs or questions than there are.")
    grade = "recorded" if all(opening.coin_from == "recorded" for opening in openings) else "assumed"
    if plan.grade != grade:
        problems.append(f"The plan's grade is {plan.grade!r}, and that of its pairs {grade!r}.")
    if strangers := {opening.account for opening in openings} - set(plan.accounts):
        problems.append(f"There are pairs of accounts that the plan does not name: {', '.join(sorted(strangers))}.")
    for pair in pairs:
        if _question_of(pair) != pair.question_id:
            problems.append(f"The question of pair {pair.pair_id} is another one than it says.")
            break
    return problems


def _question_of(pair: Pair) -> str | None:
    try:
        return question_id_of(messages_of(pair.question_id, pair.messages))
    except (DataError, ValueError):  # no messages, or a text that is none
        return None


def _check_answers(bundle: _Bundle, verified: Verified) -> None:
    records = records_of(bundle.log, bundle.plan.digest)
    until = records[-1].at
    verified.problems += received_problems(bundle.received, bundle.plan, bundle.pairs, records[0].at, until)


def _recompute(folder: Path, bundle: _Bundle, verified: Verified, progress: Progress) -> None:
    evidence = Evidence(
        bundle.plan,
        bundle.pairs,
        bundle.openings,
        bundle.received.answers,
        bundle.received.likelihoods,
        bundle.thirds,
    )
    said = bundle.statement
    try:
        judged = judge(evidence, measure(evidence, progress))
    except DataError as error:
        verified.problems.append(f"It cannot be computed again. {error.what} {error.remedy}")
        return
    records = records_of(bundle.log, bundle.plan.digest)
    received, opened = next(each for each in records if each.event == "answers received"), records[-1]
    if not received.at <= said.opened_at <= opened.at:
        verified.problems.append("The statement says another time of the opening than the log.")
    log = bundle.log[: opened.index]
    stamps = times_of(folder / STAMPS, log) if (folder / STAMPS).exists() else {}
    computed = state(bundle.plan, judged, bundle.received.asked, log, stamps, said.opened_at)
    verified.recomputed = computed
    if said.plan != bundle.plan:
        verified.problems.append("The statement is about another plan.")
    verified.problems += statement_differences(said, computed)
    if verified.problems:
        return
    if said.software.get("stillroom") != __version__:
        verified.notes.append(
            f"Computed with stillroom {said.software.get('stillroom')}, and again with {__version__}: its page was not."
        )
    elif report_page(said, bundle.pairs, bundle.openings, bundle.received.answers).encode() != bundle.page:
        verified.problems.append(f"{REPORT} is not the page of its statement.")


def _pack_problems(pack: Path, bundle: _Bundle) -> list[str]:
    given = read_pack(pack)
    problems = []
    if given.plan != bundle.plan:
        problems.append(f"The plan in {pack} is another one.")
    log = read_log(pack / LOG)
    if [line.record for line in bundle.log[: len(log)]] != [line.record for line in log]:
        problems.append(f"The log of plans does not go on from the one in {pack}: it was written anew.")
    return problems
