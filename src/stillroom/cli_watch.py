"""`stillroom watch`: from the gateway's calls to findings that a careful person can act on."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom import cli_watch_banks, cli_watch_calibration, cli_watch_drills, cli_watch_import, cli_watch_review
from stillroom.admin_api import AdminApi
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Json, person_of
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import group_of_commands
from stillroom.cli_watch_arguments import (
    By,
    Calls,
    EngineName,
    OfEngine,
    Reason,
    State,
    Until,
    Watch,
    calls_of,
    day_after,
    day_before,
    engine_of,
    existing_watch,
    role_of,
    secrets_of,
    watch_of,
)
from stillroom.text.counted import counted, listed

if TYPE_CHECKING:
    import pyarrow as pa

    from stillroom.watch.review.webhook import Webhook
    from stillroom.watch.run import Looked

watch_commands = group_of_commands("See distillation campaigns in a gateway's calls. Nothing is throttled or closed.")
command = functools.partial(command_of, watch_commands)
cli_watch_banks.register(watch_commands)
cli_watch_calibration.register(watch_commands)
cli_watch_import.register(watch_commands)
cli_watch_review.register(watch_commands)
cli_watch_drills.register(watch_commands)

Events = Annotated[
    bool,
    typer.Option("--events", metavar=FLAG, help="Ask the gateway's admin API what happened to accounts, too."),
]


@command("run", "stillroom watch run --state state")
def run(
    state: State = None,
    calls: Calls = None,
    watch: Watch = None,
    until: Until = None,
    events: Events = False,
    engine: OfEngine = EngineName.duckdb,
    as_json: Json = False,
) -> None:
    """Take in the calls that are new, and look for campaigns in the four weeks before."""
    with ends_at_once():
        from stillroom.watch.review.webhook import webhook_of_environment
        from stillroom.watch.run import look

    kept = watch_of(state, watch)
    webhook = webhook_of_environment()  # before anything is done, since it may be written wrongly
    with engine_of(kept, engine) as opened:
        looked = look(
            calls_of(state, calls),
            kept,
            secrets_of(state),
            engine=opened,
            until_day=day_after(until),
            events=_events() if events else None,
        )
    problem = None if webhook is None else _send(kept, webhook)
    if as_json:
        _note_look(kept, looked, role_of(state))
        print_json({**_as_json(looked), "webhook_problem": problem})
        return
    print_result(*_in_words(looked))
    if problem is not None:
        print_result(f"The webhook has not taken it: {problem} It is tried again later.")


@command("forget", "stillroom watch forget acct_7Qm2 --by Olga --reason 'they asked us to' --state state")
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account's id, as it stands in the calls.")],
    by: By,
    reason: Reason,
    state: State = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """Take an account out of all counts. In findings and calibrations a random name stands for it from then on.

    First forget it in the log of calls: stillroom calls forget. What people wrote about it stays.
    """
    with ends_at_once():
        from stillroom.watch.forgetting import forget_account

    kept = existing_watch(state, watch)
    with engine_of(kept, EngineName.duckdb) as opened:
        done = forget_account(opened, kept, account, by=by, role=role_of(state), reason=reason)
    if as_json:
        print_json(asdict(done))
        return
    whom = f"{account} and its organisation" if done.organisation else account
    print_result(f"Forgot {whom}: in {counted(done.parts, 'part')} of the counts, {counted(done.findings, 'finding')}.")


def _send(watch: Path, webhook: Webhook) -> str | None:
    """Word of what is new to the operator's own systems; why it was not taken, if so."""
    from stillroom.watch.review.store import FindingStore
    from stillroom.watch.review.webhook import deliver

    return deliver(FindingStore(watch), webhook).problem


def _note_look(watch: Path, looked: Looked, role: str) -> None:
    """Whoever is told the findings' accounts is told what they asked of banks."""
    from stillroom.watch.review.looks import note_look
    from stillroom.watch.review.store import FindingStore

    store = FindingStore(watch)
    note_look(watch, [store.get(finding.id) for finding in looked.findings], by=person_of(None), role=role)


def _as_json(looked: Looked) -> dict[str, Any]:
    return {
        "until": day_before(looked.until_day),
        "taken": asdict(looked.taken),
        "findings": [asdict(finding) for finding in looked.findings],
        "calibration": looked.version,
        "drifts": [asdict(drift) for drift in looked.drifts],
        "organisations": looked.organisations,
        "missing": sorted(looked.missing),
    }


def _in_words(looked: Looked) -> Iterator[str]:
    taken = looked.taken
    yield f"{counted(taken.counted, 'new call')} taken in, {taken.duplicates:,} of them known before."
    if not looked.organisations:
        yield f"In the four weeks to {day_before(looked.until_day)} nobody called."
        return
    if looked.missing:
        yield f"No call says {listed(sorted(looked.missing))}: what needs that was not looked at."
    if looked.version is None:
        yield "Not calibrated yet: organisations alone are not looked at. stillroom watch calibrate does it."
    yield from (drift.sentence for drift in looked.drifts)
    yield f"The four weeks to {day_before(looked.until_day)}: {counted(len(looked.findings), 'finding')}."
    if not looked.banks:
        yield "No bank is known: whether anybody asked one was not looked at. stillroom watch bank add adds one."
    decided = [finding for finding in looked.findings if finding.status != "open"]
    yield from (f"{finding.id}: {finding.status} before." for finding in decided)
    for finding in looked.findings:
        if finding in decided:
            continue
        yield ""
        yield f"{finding.id}: {counted(len(finding.accounts), 'account')}, score {finding.score:.2f}"
        yield from (f"  {signal.sentence}" for signal in finding.signals[:2])
        yield from (f"  {link.sentence}" for link in finding.links)
    if len(looked.findings) > len(decided):
        yield ""
        yield "stillroom watch review shows them, and takes what you decide."


def _events() -> pa.Table:
    """All that happened to accounts, as the gateway tells it."""
    import orjson
    import pyarrow as pa

    from stillroom.watch.tables import EVENTS

    rows = AdminApi.from_environment().rows("/v1/events", limit=500)
    told = [{**row, "prints": orjson.dumps(row["prints"]).decode()} for row in rows]
    return pa.Table.from_pylist([{name: row[name] for name in EVENTS.names} for row in told], schema=EVENTS)
