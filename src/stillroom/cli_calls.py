"""`stillroom calls`: what may be asked of a gateway's call log, on the machine that has it, or of a copy."""

from __future__ import annotations

import functools
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Config, Json, Roots, roots_of
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import BEGINS_WITH_A_DAY, account_id_itself, group_of_commands
from stillroom.cli_usage import By, show_usage, usage_as_json
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.base.signatures import PublicKeys
    from stillroom.serve.meter.verification import LogReport
    from stillroom.serve.settings import GatewaySettings

calls = group_of_commands(
    "A gateway's log of calls: what was used, whether it is as it was written, forgetting, time stamps."
)
command = functools.partial(command_of, calls)

_FOLDER = "calls"
_SHOWN = 20


@command("usage", "stillroom calls usage --config gateway.yaml --by organisation --since 2026-11-01")
def usage(
    config: Config,
    by: Annotated[By, typer.Option("--by", help="What is added up.")] = "account",
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="The first day (UTC), or 2026-11-01T12:00.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="The last day (UTC), or 2026-11-30T12:00.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what was used: calls, tokens, money, of all calls that have ended, whether or not the gateway runs."""
    begins_at, ends_at = _moment(since, "--since"), _moment(until, "--until", is_end=True)
    if begins_at is not None and ends_at is not None and ends_at <= begins_at:
        raise UsageError("--until lies before --since.", "Turn them round.")
    with ends_at_once():
        from stillroom.serve.usage import gateway_usage

    used = gateway_usage(_settings(config), by, begins_at, ends_at)
    if as_json:
        print_json(usage_as_json(used, by))
    elif used.rows:
        show_usage(used, by)
    else:
        print_result("No call has ended in that time.")
    if used.running and not as_json:
        verb = "is" if used.running == 1 else "are"
        print_result(f"{counted(used.running, 'call')} {verb} still running, and in no sum.")


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
    public = _keys(config, keys)
    report = verify_log(place, public, roots_of(roots))
    if as_json:
        print_json(asdict(report))
    else:
        print_result(*verified_in_words(report, with_keys=public is not None))
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
        from stillroom.serve.keyring import FOLDER, Keyring
        from stillroom.serve.meter.chain import RECORD_TYPE
        from stillroom.serve.meter.forgetting import forget as forget_account

    account_id_itself(account)
    state = _state(config)
    if not (state / FOLDER).is_dir():  # a new key would sign what older ones have to be known for
        raise UsageError(f"{state} has no signing keys.", "Look at state: in the file, or put them back from a backup.")
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

    stamped = stamp_log(_state(config) / _FOLDER, tsa, roots_of(roots))
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


def _moment(text: str | None, option: str, *, is_end: bool = False) -> int | None:
    """UTC microseconds; a day is meant to its end where it is one."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text) if BEGINS_WITH_A_DAY.match(text) else None
        is_day = len(text) <= len("2026-11-30")
        moment = read and (read if read.tzinfo else read.replace(tzinfo=UTC)) + timedelta(days=is_end and is_day)
    except (ValueError, OverflowError):  # the last day of all has none behind it
        moment = None
    if moment is None:
        raise UsageError(f"{option}: {text!r} is no date.", "Write 2026-11-30 or 2026-11-30T12:00.")
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def verified_in_words(report: LogReport, *, with_keys: bool) -> list[str]:
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
    if not with_keys:
        signed = "No signature was checked: --keys does"
    lines.append(f"{signed}; {counted(report.stamped, 'time stamp')} that fit.")
    if report.open_segments:
        lines.append(f"{counted(report.open_segments, 'segment')} not sealed yet, and so not verified.")
    if report.damaged_lines:
        lines.append(f"{counted(report.damaged_lines, 'line')} could not be read when sealed; docs/calls.md says why.")
    return lines


def _settings(config: Path) -> GatewaySettings:
    from stillroom.serve.settings import read_settings

    return read_settings(config)


def _state(config: Path | None) -> Path:
    assert config is not None
    return _settings(config).state


def _keys(config: Path | None, keys: str | None) -> PublicKeys | None:
    from stillroom.base.signatures import PublicKeys
    from stillroom.check.receipts.run import read_keys
    from stillroom.serve.keyring import FOLDER, Keyring

    if keys is not None:
        return PublicKeys.from_jwks(read_keys(keys), keys)
    state = None if config is None else _state(config)
    return Keyring.open(state).public_keys() if state is not None and (state / FOLDER).is_dir() else None
