"""Opening the coins of a plan, once: what is checked before, what is written down when, and the bundle that it gives.

Nothing of the coins is looked at before the answers are in the log and the pairs are marked as spent, so that a process
that is killed leaves no second choice: the same command goes on with the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillroom.base.canonical import digest_bytes
from stillroom.base.clock import SystemClock
from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.base.progress import Progress, Silent
from stillroom.probe.bounded import read_bounded, read_bounded_rows
from stillroom.probe.bundle import MANIFEST, STATEMENT, THIRDS, Contents, write_bundle
from stillroom.probe.judging import Evidence, judge, measure
from stillroom.probe.logged_call import LoggedCall
from stillroom.probe.pack import STAMPS, copy_folder
from stillroom.probe.pairs import read_gathered
from stillroom.probe.plan import Plan, openings_digest_of
from stillroom.probe.plan_log import FILE, log_locked, read_log
from stillroom.probe.proof import proof_problems
from stillroom.probe.received import Received, evidence_digest, read_received, received_problems
from stillroom.probe.recorded import BUNDLES, PLANS, SALT, SOFTWARE, RecordedPlan, check_new, note, read_recorded
from stillroom.probe.references import further_replies, references_of
from stillroom.probe.report_page import report_page
from stillroom.probe.signer import KEYS, Signer, public_keys, remember_keys
from stillroom.probe.spent import escrow_missing, mark_spent, spent_among, spent_before
from stillroom.probe.stamping import stamp_files, stamp_last, times_of
from stillroom.probe.statement import Statement, read_statement, statement_bytes
from stillroom.probe.stating import state
from stillroom.store.files import read_object, write_atomically
from stillroom.store.siblings import Answer, write_rows

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SILENT = Silent()


@dataclass(frozen=True, slots=True)
class Opened:
    statement: Statement
    bundle: Path
    digest: str
    """Of the bundle's manifest."""
    notes: list[str]
    """What could not be checked."""


def open_plan(
    probe: Path,
    name: str,
    answers: Path,
    signer: Signer,
    by: str,
    *,
    tsa: str | None = None,
    roots: Sequence[Certificate] | None = None,
    progress: Progress = _SILENT,
) -> Opened:
    """Test a plan with the answers in a folder, and write its bundle. The plan's pairs are spent then.

    `tsa`: the address of a time stamping authority for the record of the result; the stamp has to trace back to one of
    `roots`, where there are some.

    Raises UsageError for a plan that was opened or given up, DataError for answers that are not those that the plan
    asked for, or lack too much, and for pairs that are not as they were committed to; StoreError.
    """
    with log_locked(probe):
        recorded = read_recorded(probe, name)
        bundle = probe / BUNDLES / name
        _check_state(recorded, bundle)
        received = read_received(answers)
        evidence, calls, notes = _evidence(probe, recorded, received, signer)
        if recorded.state != "opened":
            _open(probe, recorded, received, evidence, signer, by, progress)
        if tsa is not None:
            stamp_last(probe, tsa, roots)
        statement = read_statement(_stated(probe, name), name)
        digest = _write(probe, bundle, evidence, calls, received, signer)
        note(probe, recorded.plan, "bundle made", signer, by, digest_of=digest)
    missing = escrow_missing(probe)
    return Opened(statement, bundle, digest, [*notes, *([missing] if missing else [])])


def _check_state(recorded: RecordedPlan, bundle: Path) -> None:
    name = recorded.plan.name
    if recorded.state == "abandoned":
        raise UsageError(f"The plan {name} was given up.", "Make another plan.")
    if recorded.state == "opened" and any(record.event == "bundle made" for record in recorded.records):
        raise UsageError(
            f"The plan {name} was opened already: a second look is not a second test.", f"Its bundle is {bundle}."
        )


def _evidence(
    probe: Path, recorded: RecordedPlan, received: Received, signer: Signer
) -> tuple[Evidence, list[LoggedCall], list[str]]:
    """All that the test is computed from, when everything about it holds that can be checked. Raises DataError."""
    plan, now = recorded.plan, SystemClock().now_us()
    for problem in received_problems(received, plan, recorded.pairs, recorded.records[0].at, now):
        raise DataError(f"The answers cannot be used. {problem}", "Ask the suspect again, with the plan's pack.")
    earlier = next((r.digest_of for r in recorded.records if r.event == "answers received"), None)
    thirds = _thirds(probe, recorded)
    if earlier not in (None, evidence_digest(received, thirds)):
        raise DataError(
            f"Other answers were received for the plan {plan.name} before: those are the ones that count.",
            "Test with the folder that they are in.",
        )
    _check_unspent(probe, recorded)
    gathered = read_gathered(probe)
    opening_of = {opening.pair_id: opening for opening in gathered.openings}
    openings = [opening_of[pair.pair_id] for pair in recorded.pairs if pair.pair_id in opening_of]
    if openings_digest_of(openings, recorded.salt) != plan.openings_digest:
        raise DataError(
            f"The openings in {probe} are not those that the plan {plan.name} committed to.",
            "Put the folder back from a backup.",
        )
    ids = {pair.pair_id for pair in recorded.pairs}
    calls = [call for call in gathered.calls if call.call_id in ids]
    public = public_keys(remember_keys(probe, signer), str(probe / KEYS))
    problems, notes = proof_problems(recorded.pairs, openings, calls, public, is_strict=False)
    if problems:
        raise DataError(f"The pairs are not what was committed to. {problems[0]}", "Put the folder back from a backup.")
    return (
        Evidence(plan, recorded.pairs, openings, received.answers, received.likelihoods, thirds),
        calls,
        notes,
    )


def _check_unspent(probe: Path, recorded: RecordedPlan) -> None:
    if gone := spent_among(recorded.pairs, spent_before(probe, recorded.plan.digest)):
        raise DataError(
            f"{len(gone):,} pairs of the plan are spent, such as {gone[0]}.",
            f"Give it up (stillroom probe abandon PROBE {recorded.plan.name} --reason ...), and make another plan.",
        )


def _thirds(probe: Path, recorded: RecordedPlan) -> list[Answer] | None:
    """The plan's references, where it has some; else whatever was drawn when its answers came, for the closeness."""
    plan, own = recorded.plan, probe / PLANS / recorded.plan.name / THIRDS
    if plan.references_digest is not None:
        found = read_bounded_rows(own, Answer)
        references_of(plan, found)
        return found
    if recorded.state == "planned":
        return further_replies(probe / THIRDS, recorded.pairs) or None
    return read_bounded_rows(own, Answer) if own.exists() else None


def _keep_thirds(probe: Path, plan: Plan, thirds: Sequence[Answer] | None) -> None:
    """More may be drawn before a test that was stopped goes on, and the log has the digest of these."""
    path = probe / PLANS / plan.name / THIRDS
    if thirds is None:
        path.unlink(missing_ok=True)
    elif plan.references_digest is None:
        write_rows(path, Answer, thirds)


def _open(
    probe: Path,
    recorded: RecordedPlan,
    received: Received,
    evidence: Evidence,
    signer: Signer,
    by: str,
    progress: Progress,
) -> None:
    """The answers are in the log, and the pairs are spent, before the coins are looked at; then so is the result."""
    plan = recorded.plan
    measured = measure(evidence, progress)
    if recorded.state == "planned":
        _keep_thirds(probe, plan, evidence.thirds)
        note(probe, plan, "answers received", signer, by, digest_of=evidence_digest(received, evidence.thirds))
    mark_spent(probe, plan.digest, SystemClock().now_us(), recorded.pairs)
    _check_unspent(probe, recorded)  # they were when this began; another folder's plan may have come between
    judged = judge(evidence, measured)
    log = read_log(probe / FILE)
    stamps = times_of(probe / STAMPS, log) if stamp_files(probe, log) else {}
    statement = state(plan, judged, received.asked, log, stamps, SystemClock().now_us())
    data = statement_bytes(statement)
    write_atomically(probe / PLANS / plan.name / STATEMENT, data)
    note(probe, plan, "opened", signer, by, p_value=statement.result.p_value, digest_of=digest_bytes(data))


def _stated(probe: Path, name: str) -> bytes:
    """The statement that the log recorded. Raises StoreError where the file is another one."""
    path = probe / PLANS / name / STATEMENT
    data = read_bounded(path)
    opened = next(record for record in read_recorded(probe, name).records if record.event == "opened")
    if digest_bytes(data) != opened.digest_of:
        raise StoreError(f"{path} is not the statement that the log recorded.", "Put the file back from a backup.")
    return data


def _write(
    probe: Path, bundle: Path, evidence: Evidence, calls: list[LoggedCall], received: Received, signer: Signer
) -> str:
    """With the log up to the record of the result. Returns the digest of the bundle's manifest."""
    written = _stated(probe, evidence.plan.name)
    statement = read_statement(written, evidence.plan.name)
    log = read_log(probe / FILE)[: statement.log.records + 1]
    bundle.parent.mkdir(mode=0o700, exist_ok=True)
    contents = Contents(
        evidence=evidence,
        salt=read_bounded(probe / PLANS / evidence.plan.name / SALT),
        asked=received.asked,
        calls=calls,
        log=log,
        stamps=stamp_files(probe, log),
        keys=read_object(probe / KEYS),
        statement=written,
        page=report_page(statement, evidence.pairs, evidence.openings, evidence.answers),
        made_at=SystemClock().now_us(),
        software=SOFTWARE,
    )
    return write_bundle(bundle, contents, signer)


def give_bundle(probe: Path, name: str, to: Path, whom: str, signer: Signer, by: str) -> str:
    """Copy a plan's bundle for somebody; to whom it goes is in the log before it is there. Returns its digest.

    Raises UsageError where there is no bundle, or `to` is there already.
    """
    bundle = probe / BUNDLES / name
    if not (bundle / MANIFEST).is_file():
        raise UsageError(f"The plan {name} has no bundle.", f"stillroom probe test {probe} {name} makes it.")
    digest = digest_bytes(read_bounded(bundle / MANIFEST))
    with log_locked(probe):
        check_new(probe, to)
        note(probe, read_recorded(probe, name).plan, "bundle given", signer, by, digest_of=digest, said=whom)
        copy_folder(bundle, to)
    return digest
