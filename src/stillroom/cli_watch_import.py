"""`stillroom watch import`: calls that other programs wrote down."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.display import live_progress
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.watch.importing.importer import Imported

_EXAMPLE = "stillroom watch import spend.jsonl --mapping litellm.yaml --out imported --secret state"


def register(app: typer.Typer) -> None:
    """Make `import` a command of `app`."""
    command_of(app, "import", _EXAMPLE)(import_file)


def import_file(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Spend logs, an access log, CSV, JSON or Parquet.")],
    mapping: Annotated[
        Path, typer.Option("--mapping", metavar="FILE", help="Which field is which column: docs/import.md.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where imported calls are; `stillroom watch` reads it.")
    ],
    secret: Annotated[
        Path, typer.Option("--secret", metavar="STATE", help="The gateway's state folder, whose secret prints.")
    ],
    as_json: Json = False,
) -> None:
    """Import calls that another program wrote down. Texts are printed and never kept; rows imported twice are one."""
    with ends_at_once():
        from stillroom.store.secrets import Secrets
        from stillroom.watch.importing.importer import import_calls
        from stillroom.watch.importing.mapping import load_mapping

    settings = load_mapping(mapping)
    is_new = not secret.exists()
    secrets = Secrets.open(secret)
    with live_progress() as progress:
        done = import_calls(source, settings, out, secrets, progress)
    if as_json:
        print_json(_as_json(done))
        return
    print_result(*_in_words(done, settings.name))
    if is_new:
        print_result(f"A new secret was made in {secret}. Keep it: what two secrets printed can never be compared.")


def _as_json(done: Imported) -> dict[str, Any]:
    return {
        "rows": done.rows,
        "calls": done.calls,
        "already_there": done.already_there,
        "left_out": dict(done.left_out),
        "rejected": dict(done.rejected),
        "rejected_rows": None if done.rejected_rows is None else str(done.rejected_rows),
        "missing": done.missing,
        "unreadable": done.unreadable,
        "never_seen": done.never_seen,
        "manifest": str(done.manifest),
    }


def _in_words(done: Imported, name: str) -> list[str]:
    lines = [f"Imported {counted(done.calls, 'call')} of {name}{_days(done)}, from {counted(done.rows, 'row')}."]
    if done.already_there:
        lines.append(f"{counted(done.already_there, 'row')} had been imported before.")
    lines += [f"{counted(count, 'row')} left out: {reason}." for reason, count in done.left_out.most_common()]
    lines += [f"{counted(count, 'row')} rejected: {reason}." for reason, count in done.rejected.most_common()]
    if done.rejected_rows is not None:
        lines.append(f"Which rows were rejected: {done.rejected_rows}")
    for each in done.unreadable:
        values = counted(each["values"], "value")
        lines.append(f"{values} of {each['column']} not known: {each['problem']} (first in row {each['first_row']}).")
    if done.never_seen:
        lines.append(f"Named in the mapping, and in no row: {', '.join(done.never_seen)}.")
    if done.missing:
        lines.append(f"Not known of any call, so that what needs them is absent: {', '.join(done.missing)}.")
    return [*lines, f"What was imported: {done.manifest}"]


def _days(done: Imported) -> str:
    if done.first_at is None or done.last_at is None:
        return ""
    first, last = (f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d}" for at in (done.first_at, done.last_at))
    return f" ({first})" if first == last else f" ({first} to {last})"
