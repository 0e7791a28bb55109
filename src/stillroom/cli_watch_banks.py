"""`stillroom watch bank`: which collections of questions are looked for in the calls, and who decided so."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.admin_api import KEY_ENV, URL_ENV, AdminApi
from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import group_of_commands
from stillroom.cli_watch_arguments import By, Reason, State, Watch
from stillroom.text.counted import counted
from stillroom.text.moments import to_the_minute

if TYPE_CHECKING:
    from stillroom.watch.banks.stored import BankRow

banks = group_of_commands("Known collections of questions: how much of them accounts have asked is looked for.")
command = functools.partial(command_of, banks)

Gateway = Annotated[
    bool,
    typer.Option(
        "--gateway",
        metavar=FLAG,
        help=f"Prove to be an owner by {KEY_ENV} to the gateway at {URL_ENV}, instead of by its secret in --state.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The bank's name.")]


def register(app: typer.Typer) -> None:
    """Make `bank` a group of commands of `app`."""
    app.add_typer(banks, name="bank")


@command(
    "add", "stillroom watch bank add train.jsonl --name gsm8k-train --split train --by Olga --reason ... --state state"
)
def add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSONL, CSV, TSV, Parquet or text: 500 questions or more.")
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Such as gsm8k-train; it stays that of these.")],
    by: By,
    reason: Reason,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="WORD", help="train, test, ...: a test split is what benchmarks run."),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", metavar="NAME", help="Where the questions are, if not under a usual name.")
    ] = None,
    state: State = None,
    watch: Watch = None,
    gateway: Gateway = False,
    as_json: Json = False,
) -> None:
    """Have a bank looked for in the calls that are taken in from now on. That you did is written down."""
    with ends_at_once():
        from stillroom.watch.banks.stored import add_bank

    folder, (role, proof) = _folder(state, watch), _role(state, gateway)
    added = add_bank(folder, file, name, by=by, role=role, reason=reason, split=split, column=column, proof=proof)
    if as_json:
        print_json({**asdict(added), "record": _record(added.record)})
        return
    left_out = f" {counted(added.repeated, 'text')} repeated, {added.too_short:,} too short."
    print_result(
        f"Added {added.name}: {counted(added.questions, 'question')}."
        + (left_out if added.repeated or added.too_short else ""),
        f"Record {added.record.index} of the audit log: {added.record.digest}",
    )
    if (folder / "state").exists():
        print_result(
            "Calls that were taken in before are not compared with it. To have them compared, too: delete the folder",
            f"{folder / 'state'}, and the next stillroom watch run takes all calls in again.",
        )


@command("list", "stillroom watch bank list --state state")
def list_all(state: State = None, watch: Watch = None, as_json: Json = False) -> None:
    """List the banks that are looked for."""
    with ends_at_once():
        from stillroom.watch.banks.stored import list_banks

    rows = list_banks(_folder(state, watch))
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_result(*([_in_words(row) for row in rows] or ["There are no banks."]))


@command("show", "stillroom watch bank show gsm8k-train --state state")
def show(name: Name, state: State = None, watch: Watch = None, as_json: Json = False) -> None:
    """Say what a bank is, who added it and why. Who asked its questions is not told here."""
    with ends_at_once():
        from stillroom.watch.banks.stored import bank_named

    row = bank_named(_folder(state, watch), name)
    if as_json:
        print_json(asdict(row))
        return
    print_result(_in_words(row), f"From {row.file}, {row.digest}", f"Why: {row.reason}")


@command("remove", "stillroom watch bank remove gsm8k-train --by Olga --reason 'not needed' --state state")
def remove(
    name: Name,
    by: By,
    reason: Reason,
    state: State = None,
    watch: Watch = None,
    gateway: Gateway = False,
    as_json: Json = False,
) -> None:
    """Delete a bank: nobody is looked for by it any more. That you did is written down."""
    with ends_at_once():
        from stillroom.watch.banks.stored import remove_bank

    folder, (role, proof) = _folder(state, watch), _role(state, gateway)
    record = remove_bank(folder, name, by=by, role=role, reason=reason, proof=proof)
    if as_json:
        print_json({"name": name, "record": _record(record)})
    else:
        print_result(f"Removed {name}.", f"Record {record.index} of the audit log: {record.digest}")


@command("audit", "stillroom watch bank audit --state state --seen sha256:...")
def audit(
    seen: Annotated[
        str | None, typer.Option("--seen", metavar="DIGEST", help="A record's digest that was kept elsewhere.")
    ] = None,
    state: State = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """Say who did what with banks and hits, and whether the log is as it was written. Exit code 1 if it is not."""
    with ends_at_once():
        from stillroom.watch.banks.audit import audit_problems, read_audit

    folder = _folder(state, watch)
    problems = audit_problems(folder, seen)
    records = [] if problems else read_audit(folder)
    if as_json:
        print_json({"problems": problems, "records": [_record(record) for record in records]})
    else:
        lines = [
            f"{to_the_minute(record.at)}  {record.by} ({record.role}): "
            + f"{record.act} {record.detail.get('bank') or ''}".rstrip()
            + f". {record.reason}"
            for record in records
        ]
        whole = [f"{counted(len(records), 'record')}, each as it was written."]
        if records:
            whole.append(f"The last one: {records[-1].digest}")
        print_result(*lines, *(problems or whole))
    if problems:
        raise SystemExit(1)


def _folder(state: Path | None, watch: Path | None) -> Path:
    if watch is not None:
        return watch
    if state is None:
        raise UsageError("It is not said where the banks are kept.", "Give --state or --watch.")
    return state / "watch"


def _role(state: Path | None, gateway: bool) -> tuple[str, str]:
    """The role of whoever runs the command, and how that was found: never taken at anybody's word.

    Raises UsageError or StoreError where there is no proof.
    """
    if gateway:
        me = AdminApi.from_environment().get("/v1/me")
        if me["organisation"] is not None:
            raise UsageError(f"{me['name']} administers one organisation alone.", "Have an owner of the gateway do it.")
        return me["role"], f"admin {me['name']} ({me['id']})"
    if state is None:
        raise UsageError(
            "It is not proven that an owner of the gateway does this.",
            f"Give --state, the folder with the gateway's secret, or --gateway with {KEY_ENV} set.",
        )
    from stillroom.store.secrets import Secrets
    from stillroom.watch.banks.audit import ROLE

    Secrets.of(state)  # only the owner can read it
    return ROLE, "the gateway's secret"


def _in_words(row: BankRow) -> str:
    split = f" ({row.split})" if row.split else ""
    return f"{row.name}{split}: {counted(row.questions, 'question')}, added {to_the_minute(row.added_at)} by {row.by}"


def _record(record: Any) -> dict[str, Any]:
    return {**asdict(record), "digest": record.digest}
