"""`stillroom key` and `stillroom admin`: the keys that accounts call with, and those that administer a gateway."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import typer

from stillroom.admin_api import AdminApi
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Config, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_rows import (
    account_id,
    group_of_commands,
    id_itself,
    moment,
    seconds,
    show_new_key,
    show_row,
    show_rows,
)

keys = group_of_commands("The keys that accounts call with. A key is shown once, when it is made.")
admins = group_of_commands("Who administers a gateway: owners, operators and auditors, each with a key of its own.")
key_command = functools.partial(command_of, keys)
admin_command = functools.partial(command_of, admins)

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account: its name, if no other one has it, or its id.")
]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key's id: key_... (never the key itself).")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="WHEN", help="When it ends: 90d, 2027-01-31, 2027-01-31T18:00 (UTC).")
]
_KEY_COLUMNS = ("id", "prefix", "name", "state", "created_at", "expires_at", "replaced_by")
_ADMIN_COLUMNS = ("id", "name", "role", "organisation", "prefix", "created_at", "revoked_at")


@key_command("create", "stillroom key create research --name laptop --expires 90d")
def create_key(
    account: Account,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What it is for.")] = None,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Make a key of an account, and show it once."""
    body = {"name": name, "expires_at": moment(expires, "--expires")}
    api = AdminApi.from_environment()
    show_new_key(api.post(f"/v1/accounts/{account_id(api, account)}/keys", body), as_json)


@key_command("list", "stillroom key list research")
def list_keys(
    account: Account,
    as_json: Json = False,
) -> None:
    """List an account's keys, by what they begin with."""
    api = AdminApi.from_environment()
    rows = api.rows(f"/v1/accounts/{account_id(api, account)}/keys")
    show_rows(rows, _KEY_COLUMNS, as_json, "The account has no keys yet.")


@key_command("rotate", "stillroom key rotate key_0642a1b9d0f2c41ab3cd90 --grace 24h")
def rotate_key(
    key: Key,
    grace: Annotated[str, typer.Option("--grace", metavar="TIME", help="For how long the old one works on.")] = "24h",
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Make a new key in place of an old one, and show it once. It lives as long as the old one was to."""
    body = {"grace_s": seconds(grace, "--grace"), "expires_at": moment(expires, "--expires")}
    show_new_key(AdminApi.from_environment().post(f"{_path('key', key)}/rotate", body), as_json)


@key_command("revoke", "stillroom key revoke key_0642a1b9d0f2c41ab3cd90")
def revoke_key(key: Key, as_json: Json = False) -> None:
    """Stop a key: within two seconds, for good."""
    show_row(AdminApi.from_environment().post(f"{_path('key', key)}/revoke"), as_json)


@admin_command("create", "stillroom admin create Olga --role owner --config gateway.yaml")
def create_admin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is: every change is recorded with this name.")],
    config: Config,
    role: Annotated[
        Literal["owner", "operator", "auditor"],
        typer.Option(help="owner: everything; operator: accounts, keys, permits; auditor: reads."),
    ] = "owner",
    organisation: Annotated[
        str | None,
        typer.Option("--organisation", metavar="NAME|ID", help="The only one it shall see; none: all of them."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an administrator on the gateway's own machine, and show its key once. The gateway need not run."""
    with ends_at_once():
        from stillroom.serve.accounts.by_hand import make_admin
        from stillroom.serve.settings import read_settings

    show_new_key(make_admin(read_settings(config), name, role, organisation), as_json)


@admin_command("list", "stillroom admin list")
def list_admins(as_json: Json = False) -> None:
    """List the administrators."""
    show_rows(AdminApi.from_environment().rows("/v1/admins"), _ADMIN_COLUMNS, as_json, "There are none.")


@admin_command("revoke", "stillroom admin revoke admin_0642a1b9d0f2c41ab3cd90")
def revoke_admin(
    admin: Annotated[str, typer.Argument(metavar="ADMIN", help="Its id: admin_...")], as_json: Json = False
) -> None:
    """Take an administrator's key away: at once, for good."""
    show_row(AdminApi.from_environment().post(f"{_path('admin', admin)}/revoke"), as_json)


@admin_command("whoami", "stillroom admin whoami")
def whoami(as_json: Json = False) -> None:
    """Show whose key STILLROOM_ADMIN_KEY holds, and its role."""
    row: dict[str, Any] = AdminApi.from_environment().get("/v1/me")
    show_row(row, as_json)


def _path(kind: str, given: str) -> str:
    """Where the key or administrator with this id is. Raises UsageError for anything but an id."""
    listing = "stillroom key list ACCOUNT" if kind == "key" else "stillroom admin list"
    return f"/v1/{kind}s/{id_itself(given, kind, listing)}"
