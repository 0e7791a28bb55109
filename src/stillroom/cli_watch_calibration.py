"""`stillroom watch calibrate`, and what became of earlier calibrations: versions, alarm shares, shadow."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import show_rows
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
    engine_of,
    existing_watch,
    secrets_of,
    watch_of,
)

if TYPE_CHECKING:
    from stillroom.watch.window import Window

Version = Annotated[str, typer.Argument(metavar="NAME", help="A calibration's name.")]


def register(app: typer.Typer) -> None:
    """Make the commands commands of `app`."""
    command = functools.partial(command_of, app)
    command(
        "calibrate",
        "stillroom watch calibrate --until 2026-10-31 --name october --by Olga --reason 'the first' --state state",
    )(calibrate)
    command("versions", "stillroom watch versions --state state")(versions)
    command("compare", "stillroom watch compare november --state state")(compare)
    command("promote", "stillroom watch promote november --by Olga --reason 'fits growth' --state state")(promote)
    command("alarms", "stillroom watch alarms --state state")(alarms)


def calibrate(
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The last day that is fitted on, in UTC.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of this calibration, such as october.")],
    by: By,
    reason: Reason,
    weeks: Annotated[int, typer.Option("--weeks", min=1, help="How many weeks before that day.")] = 4,
    alarms_per_week: Annotated[
        float, typer.Option("--alarms-per-week", help="How many new findings a week you can look at.")
    ] = 1.0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="ORGANISATION", help="No part of ordinary traffic: may be repeated."),
    ] = None,
    state: State = None,
    calls: Calls = None,
    watch: Watch = None,
    engine: OfEngine = EngineName.duckdb,
    as_json: Json = False,
) -> None:
    """Learn from earlier weeks what is usual, and set the thresholds. Who is in a confirmed finding is left out.

    The first calibration counts at once; a later one runs in shadow beside it until it is promoted.
    """
    with ends_at_once():
        from stillroom.watch.run import calibrate_on, take

    kept, day = watch_of(state, watch), day_after(until)
    assert day is not None
    with engine_of(kept, engine) as opened:
        taken = take(opened, calls_of(state, calls), kept, secrets_of(state), None)
        left_out = frozenset(leave_out or [])
        made, step = calibrate_on(
            opened, kept, name, day, weeks, alarms_per_week, by=by, reason=reason, left_out=left_out
        )
    if as_json:
        print_json(
            {
                "name": name,
                "taken": asdict(taken),
                "step": step,
                "account": asdict(made.account),
                "campaign": asdict(made.campaign),
            }
        )
        return
    if taken.counted:
        print_result(f"{taken.counted:,} new calls taken in.")
    print_result(f"{name} counts from now on." if step == "counts" else f"{name} runs in shadow: it calls nobody.")
    for kind, threshold in (("organisations alone", made.account), ("campaigns", made.campaign)):
        rate = threshold.expected_per_week
        print_result(f"Of {kind}: from a score of {threshold.score:.2f} on, {rate:.2g} a week are expected.")
        print_result(*(f"  {caveat}" for caveat in threshold.caveats))


def versions(state: State = None, watch: Watch = None, as_json: Json = False) -> None:
    """List which calibrations counted and ran in shadow, when, and who decided so."""
    from stillroom.watch.calibration.kept import CalibrationFolder

    steps = [asdict(step) for step in CalibrationFolder(existing_watch(state, watch)).steps()]
    if as_json:
        print_json(steps)
        return
    show_rows(iter(steps), ("version", "step", "at", "by", "reason"), False, "Nothing was calibrated yet.")


def compare(
    version: Version,
    until: Until = None,
    state: State = None,
    watch: Watch = None,
    engine: OfEngine = EngineName.duckdb,
    as_json: Json = False,
) -> None:
    """Show what a calibration in shadow alarmed on, beside the one that counts."""
    with ends_at_once():
        from stillroom.watch.alarms import compared

    kept = existing_watch(state, watch)
    found = compared(kept, version, _window(kept, engine, until))
    if as_json:
        print_json(asdict(found))
        return
    print_result(f"{found.old} counts, {found.new} runs in shadow: {found.weeks:.1f} weeks.")
    for which, labels in found.counts().items():
        print_result(f"{which}: " + (", ".join(f"{count} {label}" for label, count in labels.items()) or "none"))
    print_result(*(f"Against it: {reason}" for reason in found.against))


def promote(
    version: Version,
    by: By,
    reason: Reason,
    overrule: Annotated[
        bool, typer.Option("--overrule", metavar=FLAG, help="Although something speaks against it.")
    ] = False,
    until: Until = None,
    state: State = None,
    watch: Watch = None,
    engine: OfEngine = EngineName.duckdb,
) -> None:
    """Let a calibration that ran in shadow count from now on. Refused where the comparison speaks against it."""
    with ends_at_once():
        from stillroom.watch.alarms import compared
        from stillroom.watch.calibration.kept import CalibrationFolder
        from stillroom.watch.folder import held

    kept = existing_watch(state, watch)
    found = compared(kept, version, _window(kept, engine, until))
    with held(kept):
        CalibrationFolder(kept).promote(found, by=by, reason=reason, overrule=overrule)
    print_result(f"{version} counts from now on, in the place of {found.old}.")


def alarms(
    until: Until = None,
    state: State = None,
    watch: Watch = None,
    engine: OfEngine = EngineName.duckdb,
    as_json: Json = False,
) -> None:
    """Say which share of organisations ever alarmed, how sure that is, and whether some are alarmed on more.

    On traffic whose truth nobody knows it is an alarm share; it becomes a false-alarm rate as you decide.
    """
    with ends_at_once():
        from stillroom.watch.alarms import alarm_figures

    kept = existing_watch(state, watch)
    figures = alarm_figures(kept, _window(kept, engine, until))
    if as_json:
        print_json(asdict(figures))
    else:
        print_result(figures.alarms.sentence, *(report.sentence for report in figures.groups))


def _window(watch: Path, name: EngineName, until: str | None) -> Window:
    from stillroom.watch.run import last_day, windows_until

    with engine_of(watch, name) as opened:
        day = day_after(until)
        return windows_until(opened, watch, last_day(watch) + 1 if day is None else day).whole
