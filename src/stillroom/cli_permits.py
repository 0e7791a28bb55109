"""`stillroom permit`: who may distil a gateway's models; issued and revoked over its admin API, read from a file."""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stillroom.admin_api import AdminApi
from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import group_of_commands, id_of, moment, organisation_id, show_rows

permits = group_of_commands("Who may train which model on replies of this gateway's, how many and until when.")
command = functools.partial(command_of, permits)

_COLUMNS = ("id", "state", "organisation", "student", "calls", "tokens", "expires_at")
_DAY = 86_400 * 1_000_000

PermitId = Annotated[str, typer.Argument(metavar="PERMIT", help="A permit's id, as stillroom permit list names it.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the permit to it: a recipe's teacher.permit.")
]


@command(
    "issue",
    "stillroom permit issue --organisation 'Somewhere University' --model abacus --student fraction-tutor "
    "--purpose 'a tutor for fractions' --until 2027-06-30 --calls 100000 --out somewhere.permit",
)
def issue(
    organisation: Annotated[str, typer.Option(metavar="NAME|ID", help="Whom it is for.")],
    model: Annotated[list[str], typer.Option(metavar="NAME", help="A model that may be distilled. May be repeated.")],
    student: Annotated[str, typer.Option(metavar="NAME", help="What the model that is trained will be called.")],
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What it is trained for.")],
    until: Annotated[str, typer.Option(metavar="DATE", help="The last day, in UTC; or 2027-06-30T12:00, or 90d.")],
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|ID", help="Who may use it; without it, all the accounts that there are now."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="The first day, or the moment; now if not given."),
    ] = None,
    calls: Annotated[int | None, typer.Option(min=1, help="The most calls; any number if not given.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="The most tokens, prompts included.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What is asked of the student. May be repeated.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Sign a permit, and print it or write it to a file, to be handed to whoever may distil."""
    _refuse_existing(out)
    body: dict[str, Any] = {
        "models": model,
        "student": student,
        "purpose": purpose,
        "calls": calls,
        "tokens": tokens,
        "conditions": condition or [],
        "begins_at": moment(since, "--from"),
        "expires_at": _last_moment(until),
    }
    api = AdminApi.from_environment()
    body["organisation"] = organisation_id(api, organisation)
    if account is not None:
        accounts = list(api.rows("/v1/accounts", organisation=body["organisation"]))
        body["accounts"] = [id_of(each, "account", accounts) for each in account]
    _give_out(api.post("/v1/permits", body), out, as_json)


@command("list", "stillroom permit list")
def list_permits(as_json: Json = False) -> None:
    """List the permits, and how much of each is used."""
    rows = list(AdminApi.from_environment().rows("/v1/permits"))
    show_rows(rows if as_json else map(_short_row, rows), _COLUMNS, as_json, "There are none.")


@command("show", "stillroom permit show somewhere.permit --keys https://gateway.example/.well-known/jwks.json")
def show(
    permit: Annotated[
        str, typer.Argument(metavar="FILE|PERMIT", help="A file with a permit; or the id of one that you administer.")
    ],
    keys: Annotated[
        str | None, typer.Option(metavar="URL|FILE", help="The owner's public keys: see who signed the file.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Say in plain words what a permit allows. Of a file, that needs neither a gateway nor a network."""
    if Path(permit).is_file():
        if out is not None:
            raise UsageError("--out goes with the id of a permit.", f"{permit} is a file already.")
        _show_file(Path(permit), keys, as_json)
        return
    if keys is not None or not permit.startswith("permit_"):
        raise UsageError(f"There is no file {permit}.", "Name a file with a permit, or a permit's id: permit_...")
    _refuse_existing(out)
    row = AdminApi.from_environment().get(f"/v1/permits/{_in_path(permit)}")
    if out is not None:
        _give_out(row, out, as_json)
    elif as_json:
        print_json(row)
    else:
        print_result(*_row_in_words(row))


@command("revoke", "stillroom permit revoke permit_063a4c1b2f8e00a1b2c3d4 --reason 'The student was sold.'")
def revoke(
    permit: PermitId,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the record of events.")] = None,
    as_json: Json = False,
) -> None:
    """End a permit for good. Within two seconds no worker takes it any more."""
    row = AdminApi.from_environment().post(f"/v1/permits/{_in_path(permit)}/revoke", {"reason": reason})
    if as_json:
        print_json(row)
    else:
        print_result(f"{row['id']} is revoked.")


def _give_out(row: dict[str, Any], out: Path | None, as_json: bool) -> None:
    if out is not None:
        from stillroom.store.files import write_atomically

        try:
            write_atomically(out, row["token"] + "\n")
        except StoreError as error:  # it is issued all the same
            raise StoreError(error.what, f"Then: stillroom permit show {row['id']} --out FILE.") from error
    if as_json:
        print_json(row)
    elif out is None:
        print_result(row["token"])
    else:
        print_result(*_row_in_words(row), f"Written to {out}, for teacher.permit of a recipe.")


def _show_file(path: Path, keys: str | None, as_json: bool) -> None:
    with ends_at_once():
        from stillroom.base.permit import permit_in_words, read_permit, read_unverified_permit
        from stillroom.base.signatures import PublicKeys, SignatureRefused
        from stillroom.check.receipts.owner import permit_in_file
        from stillroom.check.receipts.run import read_keys

    token = permit_in_file(path).token
    now = int(time.time())
    said, checked = read_unverified_permit(token), "Who signed it was not checked: --keys does."
    if keys is not None:
        try:
            said = read_permit(token, PublicKeys.from_jwks(read_keys(keys), keys), now)
        except SignatureRefused as error:
            raise DataError(f"{path} is not a permit by the owner of {keys}. {error.what}", error.remedy) from error
        checked = f"Its signature is by a key of {keys}."
    if as_json:
        print_json({"says": said.model_dump(mode="json"), "verified": keys is not None, "holds": said.holds_at(now)})
        return
    expired = "It has expired." if now >= said.exp else "It does not hold yet."
    print_result(*permit_in_words(said), checked, *([] if said.holds_at(now) else [expired]))


def _short_row(row: dict[str, Any]) -> dict[str, Any]:
    says = row["says"]
    return {
        "id": row["id"],
        "state": row["state"].replace("_", " "),
        "organisation": says["organisation"],
        "student": says["student"],
        "calls": _of(row["calls_used"], says["calls"]),
        "tokens": _of(row["tokens_used"], says["tokens"]),
        "expires_at": row["expires_at"],
    }


def _row_in_words(row: dict[str, Any]) -> list[str]:
    from stillroom.base.permit import Permit, permit_in_words

    says = Permit.model_validate(row["says"])
    counted = [(row["calls_used"], says.calls, "calls"), (row["tokens_used"], says.tokens, "tokens")]
    used = " and ".join(f"{_of(used, most)} {what}" for used, most, what in counted if most is not None)
    why = f": {row['revoked_for']}" if row["revoked_for"] else "."
    states = {
        "not_begun": "It does not hold yet.",
        "holds": "It holds.",
        "expired": "It has expired.",
        "revoked": f"It is revoked{why}",
    }
    return [*permit_in_words(says), states[row["state"]], *([f"Used: {used}."] if used else [])]


def _of(used: int | None, most: int | None) -> str:
    return "any" if most is None else f"{used:,} of {most:,}"


def _in_path(permit_id: str) -> str:
    """Nothing that would lead to another route."""
    if not permit_id.isascii() or not permit_id.replace("_", "").isalnum():
        raise UsageError(f"{permit_id!r} is no permit's id.", "stillroom permit list shows those that there are.")
    return permit_id


def _refuse_existing(out: Path | None) -> None:
    # Before anything is signed: a permit in a file may be in use.
    if out is not None and out.exists():
        raise UsageError(f"{out} exists already.", "Name another file.")


def _last_moment(text: str) -> int:
    """As `moment` reads it, but a day is meant to its end."""
    ends_at = moment(text, "--until")
    assert ends_at is not None
    return ends_at + (_DAY if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else 0)
