"""`stillroom calls`: what may be asked of a gateway's call log, on the machine that has it, or of a copy."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from stillroom.base.signatures import PublicKeys
    from stillroom.serve.meter.verification import LogReport

calls = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="A gateway's log of calls: whether it is as it was written, forgetting an account, time stamps.",
)
command = functools.partial(command_of, calls)

_FOLDER = "calls"
_SHOWN = 20

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The gateway's YAML file.")]
Roots = Annotated[
    Path | None,
    typer.Option("--roots", metavar="FILE", help="Certificates (PEM) that time stamps have to trace back to."),
]


@command("verify", "stillroom calls verify --config gateway.yaml")
def verify(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The gateway's YAML file: its log, and its keys.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Instead: the folder `calls` of its state, or a copy."),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option("--keys", metavar="URL|FILE", help="With --folder: the owner's public keys, for the signatures."),
    ] = None,
    roots: Roots = None,
    as_json: Json = False,
) -> None:
    """Name each row that was altered, dropped or added since it was sealed, and each gap in the log."""
    if (config is None) == (folder is None):
        raise UsageError("A log is named by --config or by --folder.", "Give one of them.")
    if config is not None and keys is not None:
        raise UsageError("--keys goes with --folder.", "With --config, the gateway's own keys are taken.")
    with ends_at_once():
        from stillroom.serve.meter.verification import verify_log

    place = folder if folder is not None else _state(config) / _FOLDER
    report = verify_log(place, _keys(config, keys), _roots(roots))
    if as_json:
        print_json(asdict(report))
    else:
        print_result(*verified_in_words(report))
    if report.problems:
        raise SystemExit(1)


@command("forget", "stillroom calls forget acct_7Qm2 --config gateway.yaml")
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account's id, as it stands in the log.")],
    config: Config,
    as_json: Json = False,
) -> None:
    """Delete an account's rows, sketches and receipts from the log. It can be verified as before, and says how many."""
    with ends_at_once():
        from stillroom.serve.keyring import Keyring
        from stillroom.serve.meter.chain import RECORD_TYPE
        from stillroom.serve.meter.forgetting import forget as forget_account

    state = _state(config)
    keyring = Keyring.open(state)
    forgotten = forget_account(state / _FOLDER, account, lambda record: keyring.active.sign(RECORD_TYPE, record))
    if as_json:
        print_json({"rows": forgotten.rows, "segments": forgotten.segments, "open_calls": forgotten.open_calls})
        return
    where = f" from {counted(forgotten.segments, 'segment')}" if forgotten.rows else ""
    print_result(f"Deleted {counted(forgotten.rows, 'row')} of {account}{where}.")
    if forgotten.open_calls:
        still = counted(forgotten.open_calls, "call")
        print_result(f"{still} of it had not ended: run this again when they have. Restrict the account first.")


@command("stamp", "stillroom calls stamp --config gateway.yaml --tsa https://freetsa.org/tsr")
def stamp(
    config: Config,
    tsa: Annotated[str, typer.Option("--tsa", metavar="URL", help="A time stamping authority (RFC 3161).")],
    roots: Roots = None,
    as_json: Json = False,
) -> None:
    """Have an authority outside sign that the log was there, as it is, by now. It is told nothing but a digest."""
    with ends_at_once():
        from stillroom.serve.meter.time_stamps import stamp_log

    stamped = stamp_log(_state(config) / _FOLDER, tsa, _roots(roots))
    if as_json:
        rows = [
            {"worker": each.worker, "record": each.index, "at": each.at.isoformat(), "file": str(each.file)}
            for each in stamped
        ]
        print_json({"stamps": rows})
        return
    for each in stamped:
        print_result(f"Record {each.index} of {each.worker} is stamped {each.at:%Y-%m-%d %H:%M:%S} UTC: {each.file}")
    if not stamped:
        print_result("Nothing was sealed since the last stamps.")


def verified_in_words(report: LogReport) -> list[str]:
    shown = [problem.what for problem in report.problems[:_SHOWN]]
    if len(report.problems) > _SHOWN:
        shown.append(f"And {len(report.problems) - _SHOWN:,} more; --json names all.")
    lines = [f"{counted(len(report.problems), 'problem')}:", *shown] if shown else []
    rows = (
        f"{counted(report.rows, 'row')} in {counted(report.segments, 'segment')} of {counted(report.workers, 'worker')}"
    )
    lines.append(f"{rows} {'is' if report.rows == 1 else 'are'} as sealed.")
    if report.forgotten:
        lines.append(f"{counted(report.forgotten, 'row')} deleted on request.")
    verb = "has" if report.records == 1 else "have"
    signed = f"{report.signed} of {counted(report.records, 'record')} {verb} a right signature"
    lines.append(f"{signed}; {counted(report.stamped, 'time stamp')} that fit.")
    if report.open_segments:
        lines.append(f"{counted(report.open_segments, 'segment')} not sealed yet, and so not verified.")
    if report.damaged_lines:
        lines.append(f"{counted(report.damaged_lines, 'line')} could not be read when sealed; docs/calls.md says why.")
    return lines


def _state(config: Path | None) -> Path:
    from stillroom.serve.settings import read_settings

    assert config is not None
    return read_settings(config).state


def _keys(config: Path | None, keys: str | None) -> PublicKeys | None:
    from stillroom.base.signatures import PublicKeys
    from stillroom.check.receipts.run import read_keys
    from stillroom.serve.keyring import FOLDER, Keyring

    if keys is not None:
        return PublicKeys.from_jwks(read_keys(keys), keys)
    state = None if config is None else _state(config)
    return Keyring.open(state).public_keys() if state is not None and (state / FOLDER).is_dir() else None


def _roots(path: Path | None) -> list[Certificate] | None:
    if path is None:
        return None
    from stillroom.serve.meter.time_stamps import read_roots

    return read_roots(path)
