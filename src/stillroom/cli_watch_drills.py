"""`stillroom watch drill`: campaigns that the operator runs against itself, and which of them were seen."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.base.errors import DataError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json, person_of
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import group_of_commands, moment, show_rows
from stillroom.cli_watch_arguments import Person, Reason, State, Watch, findings_folder
from stillroom.text.counted import counted
from stillroom.text.moments import to_the_minute

if TYPE_CHECKING:
    from stillroom.watch.drill_report import DrillOutcome

drills = group_of_commands("Campaigns that the operator runs against itself, to see which share of real ones is seen.")
command = functools.partial(command_of, drills)


def register(app: typer.Typer) -> None:
    """Make `drill` a group of commands of `app`."""
    app.add_typer(drills, name="drill")


@command(
    "add",
    "stillroom watch drill add may accounts.txt --since 2027-05-01 --until 2027-05-15 --reason recall --state state",
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called: no two share a name.")],
    accounts: Annotated[Path, typer.Argument(metavar="FILE", help="The accounts that play it: an id on each line.")],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="When it begins: 2027-05-01T18:00, or 2h.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When it ends: 2027-05-15, or 14d.")],
    reason: Reason,
    by: Person = None,
    state: State = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """Register a drill, before it is played. What is found of its accounts alone is marked as the drill."""
    with ends_at_once():
        from stillroom.watch.drill import Drills

    since_at, until_at = moment(since, "--since"), moment(until, "--until")
    assert since_at is not None
    assert until_at is not None
    registered = Drills(findings_folder(state, watch))
    added = registered.add(
        name, _ids_in(accounts), since_at=since_at, until_at=until_at, by=person_of(by), reason=reason
    )
    if as_json:
        print_json({**asdict(added), "accounts": sorted(added.accounts)})
    else:
        lasts = f"{to_the_minute(added.since_at)} to {to_the_minute(added.until_at)}"
        print_result(f"Registered the drill {added.id}: {counted(len(added.accounts), 'account')}, {lasts}.")


@command("list", "stillroom watch drill list --state state")
def list_drills(state: State = None, watch: Watch = None, as_json: Json = False) -> None:
    """List the drills."""
    with ends_at_once():
        from stillroom.watch.drill import Drills

    rows = [
        {
            "drill": each.id,
            "accounts": sorted(each.accounts) if as_json else len(each.accounts),
            "since_at": each.since_at,
            "until_at": each.until_at,
            "registered_at": each.registered_at,
            "by": each.by,
            "reason": each.reason,
        }
        for each in Drills(findings_folder(state, watch)).list()
    ]
    columns = ("drill", "accounts", "since_at", "until_at", "by", "reason")
    show_rows(rows, columns, as_json, "There are no drills.")


@command("report", "stillroom watch drill report --state state")
def report(state: State = None, watch: Watch = None, as_json: Json = False) -> None:
    """Say which drills were seen, of how many of their accounts, and after how many days."""
    with ends_at_once():
        from stillroom.watch.drill_report import drill_report

    found = drill_report(findings_folder(state, watch))
    if as_json:
        print_json({**asdict(found), "outcomes": [*map(_outcome_as_json, found.outcomes)]})
        return
    print_result(*([*map(_outcome_in_words, found.outcomes)] or ["There are no drills."]))
    if found.recall is not None and found.low is not None and found.high is not None:
        share = f"{found.low:.0%} to {found.high:.0%} at 95 %"
        print_result(f"Seen: {found.seen} of {counted(found.over, 'drill')} ({share}).")


def _ids_in(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} cannot be read: {error}.", "Give a text file with an account's id on each line."
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _outcome_as_json(outcome: DrillOutcome) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(outcome).items() if name != "drill"}
    return {"drill": outcome.drill.id, "accounts": len(outcome.drill.accounts), **facts, "is_seen": outcome.is_seen}


def _outcome_in_words(outcome: DrillOutcome) -> str:
    name, accounts = outcome.drill.id, counted(len(outcome.drill.accounts), "account")
    if outcome.days_until_seen is not None:
        strangers = f", and {counted(outcome.strangers, 'stranger')} with them" if outcome.strangers else ""
        seen = f"{outcome.accounts_found:,} of its {accounts} found{strangers}"
        return f"{name}: seen after {outcome.days_until_seen:.1f} days, {seen} ({', '.join(outcome.findings)})"
    if not outcome.is_over:
        return f"{name}: not seen yet; it goes on until {to_the_minute(outcome.drill.until_at)}"
    return f"{name}: not seen ({outcome.accounts_found:,} of its {accounts} found)"
