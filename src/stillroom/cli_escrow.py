"""`stillroom escrow`: the second replies that a gateway keeps sealed, on the machine that has them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, By, Config, Json, person_of
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import account_id_itself, group_of_commands
from stillroom.text.counted import counted
from stillroom.text.moments import to_the_second

if TYPE_CHECKING:
    from stillroom.serve.escrow.escrow import Escrow, Kept
    from stillroom.serve.escrow.holds import Hold
    from stillroom.serve.escrow.record_file import Opened

escrow = group_of_commands("Second replies that a gateway keeps sealed: what is there, opening, deleting, legal holds.")
command = functools.partial(command_of, escrow)


@command("list", "stillroom escrow list --config gateway.yaml")
def list_records(config: Config, as_json: Json = False) -> None:
    """List what is kept of each account, and the legal holds that are in force."""
    kept_there = _escrow(config)
    kept, holds = kept_there.kept(), kept_there.holds()
    if as_json:
        from dataclasses import asdict

        print_json({"accounts": [asdict(each) for each in kept], "holds": [asdict(hold) for hold in holds]})
        return
    lines = [_kept_in_words(each) for each in kept] or ["Nothing is kept."]
    print_result(*lines, *(_hold_in_words(hold) for hold in holds if hold.released_at is None))


@command("show", "stillroom escrow show 019a3f52c4e1a7c09b44e80f1d5b6a2c --config gateway.yaml")
def show(
    call_id: Annotated[str, typer.Argument(metavar="CALL", help="The call's id, as it stands in the call log.")],
    config: Config,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Open one call's record: its request and both replies. That you did is noted."""
    opened = _escrow(config).open(call_id, person_of(by))
    if opened is None:
        raise UsageError(f"Nothing is kept of the call {call_id}.", "It was not in the sample, or has expired.")
    if as_json:
        print_json(_as_json(opened))
        return
    drawn = opened.drawn
    print_result(
        f"Call {drawn.call_id} of {drawn.account}, {to_the_second(drawn.at)}; the coin said {drawn.coin}.",
        f"Its escrow_digest: {opened.escrow_digest}",
    )
    for name, data in (("request", drawn.request), ("served", drawn.served), ("sealed", drawn.sealed)):
        print_result(f"\n{name}:", data.decode("utf-8", errors="replace"))


@command("forget", "stillroom escrow forget acct_7Qm2 --config gateway.yaml")
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account's id.")],
    config: Config,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Delete an account's key and its records. Refused while a legal hold covers them."""
    records = _escrow(config).forget(account_id_itself(account), person_of(by))
    if as_json:
        print_json({"records": records})
    elif records:
        print_result(f"Deleted {counted(records, 'record')} of {account}, and the key that opened them.")
    else:
        print_result(f"Nothing was kept of {account}.")


@command("hold", "stillroom escrow hold case-2026-114 --account acct_7Qm2 --reason 'court order' --config gateway.yaml")
def hold(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called: no two holds share a name.")],
    config: Config,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    account: Annotated[
        str | None, typer.Option("--account", metavar="ACCOUNT", help="Whose records: an account's id.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", metavar=FLAG, help="Instead: every account's.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Keep records from expiring and from being deleted until the hold is released."""
    if (account is None) != everybody:
        raise UsageError("A hold is on one account or on all.", "Give --account ACCOUNT or --all.")
    held = None if account is None else account_id_itself(account)
    _print_hold(_escrow(config).hold(held, name, reason, person_of(by)), as_json)


@command("release", "stillroom escrow release case-2026-114 --config gateway.yaml")
def release(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The hold's name.")],
    config: Config,
    by: By = None,
    as_json: Json = False,
) -> None:
    """End a legal hold: what is old enough expires from now on."""
    _print_hold(_escrow(config).release(name, person_of(by)), as_json)


def _escrow(config: Path) -> Escrow:
    with ends_at_once():
        from stillroom.serve.escrow.escrow import FOLDER, Escrow
        from stillroom.serve.settings import read_settings
        from stillroom.store.secrets import Secrets

    settings = read_settings(config)
    if not settings.state.is_dir():
        raise UsageError(f"{settings.state} is not there yet.", "The gateway makes it when it starts.")
    return Escrow(settings.state / FOLDER, Secrets.of(settings.state), settings.escrow)


def _print_hold(hold: Hold, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        print_json(asdict(hold))
    else:
        print_result(_hold_in_words(hold))


def _hold_in_words(hold: Hold) -> str:
    whose = "every account" if hold.account is None else hold.account
    words = f"Hold {hold.name} on {whose}, since {to_the_second(hold.at)}, by {hold.by}: {hold.reason}"
    if hold.released_at is None:
        return words
    return f"{words}. Released {to_the_second(hold.released_at)} by {hold.released_by}"


def _kept_in_words(kept: Kept) -> str:
    words = f"{kept.account}  {counted(kept.records, 'record')}"
    if kept.oldest_at is not None and kept.newest_at is not None:
        words += f", {to_the_second(kept.oldest_at)} to {to_the_second(kept.newest_at)}"
    return f"{words}; held: {', '.join(kept.holds)}" if kept.holds else words


def _as_json(opened: Opened) -> dict[str, str | int]:
    """Bodies as text where they are UTF-8, which is what the digests are over; in base64 otherwise."""
    import base64

    drawn = opened.drawn
    facts: dict[str, str | int] = {
        "call_id": drawn.call_id,
        "account": drawn.account,
        "at": drawn.at,
        "coin": drawn.coin,
        "salt": opened.salt.hex(),
        "escrow_digest": opened.escrow_digest,
    }
    for name, data in (("request", drawn.request), ("served", drawn.served), ("sealed", drawn.sealed)):
        try:
            facts[name] = data.decode()
        except UnicodeDecodeError:
            facts[f"{name}_base64"] = base64.b64encode(data).decode()
    return facts
