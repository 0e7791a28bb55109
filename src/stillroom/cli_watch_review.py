"""`stillroom watch findings`, and what people do with findings: look, decide, tell whom they are about."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.base.clock import SystemClock
from stillroom.base.interrupts import ends_at_once
from stillroom.base.records import FindingStatus
from stillroom.cli_arguments import Json, person_of
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import show_rows
from stillroom.cli_watch_arguments import Person, Reason, State, Watch, findings_folder, role_of
from stillroom.text.counted import counted
from stillroom.text.moments import to_the_minute

if TYPE_CHECKING:
    from stillroom.watch.review.store import Decision, FindingStore, KeptFinding, Step

Name = Annotated[str, typer.Argument(metavar="FINDING", help="A finding's id.")]
_COLUMNS = ("finding", "status", "accounts", "calls", "score", "expected_a_month", "found_at", "what")
_WHAT = 90
_NAMES_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Make the commands commands of `app`."""
    command = functools.partial(command_of, app)
    command("findings", "stillroom watch findings --state state")(findings)
    command("show", "stillroom watch show f_3a9c --state state")(show)
    example = "stillroom watch {} f_3a9c --reason '{}' --state state"
    command("confirm", example.format("confirm", "one operator, see ticket 118"))(confirm)
    command("dismiss", example.format("dismiss", "a tutoring service"))(dismiss)
    command("ask", example.format("ask", "we wrote to them"))(ask)
    command(
        "export", "stillroom watch export f_3a9c --organisation org_7Qm2 --contact appeals@example.com --state state"
    )(export)
    command("review", "stillroom watch review --state state")(review)


def findings(
    status: Annotated[
        FindingStatus | None, typer.Option("--status", metavar="STATUS", help="Only those that stand so.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write all of them on one page, with their charts.")
    ] = None,
    by: Person = None,
    state: State = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """List the findings, those that need a decision first. Who looks at hits of banks is written down."""
    store = _store(state, watch)
    kept = store.list(status)
    if html is not None or as_json:
        from stillroom.watch.review.looks import note_look

        note_look(store.watch, kept if html is None else store.list(), by=person_of(by), role=role_of(state))
    if html is not None:
        from stillroom.store.files import write_atomically
        from stillroom.watch.review.rendering import written_findings

        write_atomically(html, written_findings(store, SystemClock().now_us()))
    if as_json:
        print_json([_as_json(each) for each in kept])
        return
    show_rows((_row(each) for each in kept), _COLUMNS, False, "There are no findings.")
    if html is not None:
        print_result(f"Written to {html}.")


def show(name: Name, by: Person = None, state: State = None, watch: Watch = None, as_json: Json = False) -> None:
    """Show one finding: what was seen, what it may be instead, and what was decided.

    Who looks at how much of a bank its accounts asked is written down.
    """
    store = _store(state, watch)
    with ends_at_once():
        from stillroom.watch.review.looks import note_look

    kept, steps = store.get(name), store.history(name)
    note_look(store.watch, [kept], by=person_of(by), role=role_of(state))
    if as_json:
        deliveries = [asdict(each) for each in store.deliveries(name).values()]
        print_json({**_as_json(kept), "history": [asdict(step) for step in steps], "deliveries": deliveries})
    else:
        print_result(*_in_words(kept), "", *map(_step_in_words, steps))


def confirm(
    name: Name, reason: Reason, by: Person = None, state: State = None, watch: Watch = None, as_json: Json = False
) -> None:
    """Decide that it is a campaign. Nothing is throttled or closed by it."""
    _decide(name, "confirm", reason, by, _store(state, watch), as_json)


def dismiss(
    name: Name, reason: Reason, by: Person = None, state: State = None, watch: Watch = None, as_json: Json = False
) -> None:
    """Decide that it is innocent, or cannot be told from innocent use."""
    _decide(name, "dismiss", reason, by, _store(state, watch), as_json)


def ask(
    name: Name, reason: Reason, by: Person = None, state: State = None, watch: Watch = None, as_json: Json = False
) -> None:
    """Note that the customer is asked. Writing to them is yours to do."""
    _decide(name, "ask", reason, by, _store(state, watch), as_json)


def export(
    name: Name,
    organisation: Annotated[str, typer.Option("--organisation", metavar="ORGANISATION", help="Whom it is for: an id.")],
    contact: Annotated[str, typer.Option("--contact", metavar="ADDRESS", help="Where they answer to.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page instead of printing it.")
    ] = None,
    by: Person = None,
    state: State = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """Take out what one organisation is told of a finding: its own figures, and nobody else's."""
    store = _store(state, watch)
    with ends_at_once():
        from stillroom.store.files import write_atomically
        from stillroom.watch.review.accused import export_for, in_words
        from stillroom.watch.review.looks import note_look
        from stillroom.watch.review.rendering import told_page

    kept = store.get(name)
    told = export_for(kept, organisation, contact)
    note_look(store.watch, [kept], by=person_of(by), role=role_of(state))
    store.note_export(name, organisation, by=person_of(by))
    if html is not None:
        write_atomically(html, told_page(told))
    if as_json:
        print_json(told)
    elif html is None:
        print_result(in_words(told))
    else:
        print_result(f"Written to {html}.")


def review(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: a free one.")] = 0,
    by: Person = None,
    state: State = None,
    watch: Watch = None,
) -> None:
    """Serve the pages to review findings in a browser on this machine, until Ctrl-C."""
    with ends_at_once():
        from stillroom.watch.review.serving import serve_review
        from stillroom.watch.review.webhook import webhook_of_environment

        webhook = webhook_of_environment()
    serve_review(
        _store(state, watch),
        by=person_of(by),
        role=role_of(state),
        port=port,
        webhook=webhook,
        say=lambda url: print_result(f"Open {url}"),
    )


def _store(state: Path | None, watch: Path | None) -> FindingStore:
    with ends_at_once():
        from stillroom.watch.review.store import FindingStore

    return FindingStore(findings_folder(state, watch))


def _decide(name: str, decision: Decision, reason: str, by: str | None, store: FindingStore, as_json: bool) -> None:
    with ends_at_once():
        from stillroom.watch.review.webhook import deliver, webhook_of_environment

    webhook = webhook_of_environment()
    step = store.decide(name, decision, by=person_of(by), reason=reason)
    problem = None if webhook is None else deliver(store, webhook).problem
    if as_json:
        print_json({**asdict(step), "webhook_problem": problem})
        return
    print_result(_step_in_words(step))
    if problem is not None:
        print_result(f"The webhook has not taken it: {problem} It is tried again later.")


def _row(kept: KeptFinding) -> dict[str, Any]:
    from stillroom.watch.review.rendering import headline

    finding = kept.finding
    what = headline(finding)
    return {
        "finding": finding.id,
        "status": f"{finding.status}, changed" if kept.since_decision else finding.status,
        "accounts": len(finding.accounts),
        "calls": finding.calls,
        "score": f"{finding.score:.1f}",
        "expected_a_month": None if finding.alarm_rate is None else f"{finding.alarm_rate:.2g}",
        "found_at": kept.first_at,
        "what": what if len(what) <= _WHAT else f"{what[: _WHAT - 1]}…",
    }


def _as_json(kept: KeptFinding) -> dict[str, Any]:
    from stillroom.watch.review.found import finding_as_json

    return {
        **finding_as_json(kept.finding),
        "version": kept.version,
        "first_at": kept.first_at,
        "last_at": kept.last_at,
        "drill": kept.drill,
        "needs_decision": kept.needs_decision,
        "decision": None if kept.decision is None else asdict(kept.decision),
        "since_decision": kept.since_decision,
    }


def _in_words(kept: KeptFinding) -> list[str]:
    finding = kept.finding
    expected = "" if finding.alarm_rate is None else f", of which {finding.alarm_rate:.2g} are expected a month"
    whose = counted(len(finding.organisations), "organisation")
    lines = [
        f"{finding.id}: {finding.status}, {counted(len(finding.accounts), 'account')} of {whose}, score "
        f"{finding.score:.1f}{expected}",
        f"{counted(finding.calls, 'call')} from {to_the_minute(finding.since_at)} to {to_the_minute(finding.until_at)}",
    ]
    lines.append(f"Organisations: {_some(finding.organisations)}")
    lines.append(f"Accounts: {_some(finding.accounts)}")
    if kept.drill is not None:
        lines.append(f"The operator's own drill {kept.drill}.")
    if kept.decision is not None:
        lines += [f"Since it was {kept.decision.step}: {each}" for each in kept.since_decision]
    lines += ["", "What was seen:", *(f"  [{each.family}] {each.sentence}" for each in finding.signals)]
    if finding.links:
        lines += ["What links the accounts:", *(f"  [{each.family}] {each.sentence}" for each in finding.links)]
    lines += ["Innocent explanations that were tested:"]
    lines += [
        f"  {each.name}, {'ruled out' if each.is_ruled_out else 'possible'}: {each.sentence}"
        for each in finding.explanations
    ]
    lines += ["What would speak against it:", *(f"  {each}" for each in finding.against)]
    if finding.permitted_calls:
        permitted = counted(finding.permitted_calls, "other call carries", "other calls carry")
        lines.append(f"Not in it: {permitted} a permit{''.join(f', {each}' for each in finding.permits)}.")
    return lines


def _some(names: Sequence[str]) -> str:
    """The first of them; --json has all."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _step_in_words(step: Step) -> str:
    by = "" if step.by is None else f" by {step.by}"
    said = " ".join(filter(None, (step.reason, *step.detail.get("said", ()), step.detail.get("organisation"))))
    return f"{to_the_minute(step.at)}  {step.finding} {step.step}{by}" + (f": {said}" if said else "")
